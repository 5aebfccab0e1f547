//! The still image job: two pictures in, the pictures between them out, as the original `inference_img.py` names
//! them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use num_rational::Ratio;
use rife_media::read_image;
use rife_media::sink::write_image;
use rife_media::{CancelToken, ColorTags, Frame, Limits, PixelFormat, RgbImage};

use crate::{Error, Interpolator, InterpolatorSpec, Result};

/// Which pictures are made between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// One, at this time: 0 is the first picture, 1 the second.
    Timestep(Ratio<i64>),
    /// `2^exp - 1`, evenly spaced.
    Exp(u32),
    /// One, near this time, by middles of middles (`--ratio`).
    Ratio(Ratio<i64>),
}

/// Most passes: 1023 pictures between two.
pub const MAX_EXP: u32 = 10;

impl Between {
    /// The times, ends excluded.
    ///
    /// # Errors
    /// [`Error::Usage`] for times outside 0 to 1 and more than [`MAX_EXP`] passes.
    pub fn timesteps(self) -> Result<Vec<Ratio<i64>>> {
        match self {
            Self::Exp(exp @ 1..=MAX_EXP) => Ok((1..1 << exp).map(|i| Ratio::new(i, 1 << exp)).collect()),
            Self::Exp(exp) => Err(Error::Usage(format!("exp {exp} is not between 1 and {MAX_EXP}"))),
            Self::Timestep(at) | Self::Ratio(at) if at < Ratio::from(0) || at > Ratio::from(1) => {
                let value = rife_media::time::seconds(at);
                Err(Error::Usage(format!(
                    "time {value} is not between 0 (the first picture) and 1 (the second)"
                )))
            }
            Self::Timestep(at) | Self::Ratio(at) => Ok(vec![at]),
        }
    }
}

/// Two pictures to interpolate.
#[derive(Debug, Clone)]
pub struct ImageJob {
    /// The first picture.
    pub first: PathBuf,
    /// The second one, of the same size.
    pub second: PathBuf,
    /// Which pictures between.
    pub between: Between,
    /// A picture's name (`.png`, `.exr`...) for one picture between, else a folder, which gets `img0`, the first
    /// picture, `img1`... and last the second one.
    pub output: PathBuf,
    /// Replace existing files.
    pub overwrite: bool,
    /// What to interpolate with.
    pub interpolator: InterpolatorSpec,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// The files written, in order of time.
    pub files: Vec<PathBuf>,
    /// How many of them the network made.
    pub made: usize,
    /// How they were made, in a line for people.
    pub method: String,
    /// The model and its options, in a line for people.
    pub model: String,
}

/// Extensions that make an output one picture instead of a folder.
const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "exr"];

/// Whether `path` names a picture.
pub fn names_a_picture(path: &Path) -> bool {
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    EXTENSIONS.contains(&extension.as_str())
}

impl ImageJob {
    /// Does it. `progress` is told pictures made and to make.
    ///
    /// # Errors
    /// Those of reading, interpolating and writing; [`Error::Data`] for pictures that differ in size.
    pub fn run(&self, progress: &mut dyn FnMut(usize, usize), cancel: &CancelToken) -> Result<ImageSummary> {
        let times = self.between.timesteps()?;
        let files = self.files(times.len())?;
        let [(first, tags, format), (second, ..)] = [read(&self.first)?, read(&self.second)?];
        if (first.width, first.height) != (second.width, second.height) {
            return Err(Error::Data(format!(
                "the pictures differ in size: {} is {}x{}, {} is {}x{}",
                self.first.display(),
                first.width,
                first.height,
                self.second.display(),
                second.width,
                second.height
            )));
        }
        let interpolator = Interpolator::new(&self.interpolator)?;
        let (a, b) = (interpolator.prepare(first)?, interpolator.prepare(second)?);
        let mut between = interpolator.between(&a, &b);
        let mut pictures = Vec::with_capacity(times.len());
        for (index, time) in times.iter().enumerate() {
            progress(index, times.len());
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            pictures.push(between.at(*time)?);
        }
        if files.len() > times.len() {
            pictures.insert(0, a.image().clone());
            pictures.push(b.image().clone());
        }
        self.write(&files, &pictures, format, &tags)?;
        let (method, model) = (interpolator.describe_method(), interpolator.describe());
        Ok(ImageSummary {
            files,
            made: times.len(),
            method,
            model,
        })
    }

    /// The files that will be written, none of which may be there yet.
    fn files(&self, made: usize) -> Result<Vec<PathBuf>> {
        let files = if names_a_picture(&self.output) {
            if made != 1 {
                let wanted = format!(
                    "{made} pictures do not fit into {}; give a folder",
                    self.output.display()
                );
                return Err(Error::Usage(wanted));
            }
            vec![self.output.clone()]
        } else {
            let extension = if is_exr(&self.first) && is_exr(&self.second) {
                "exr"
            } else {
                "png"
            };
            (0..made + 2)
                .map(|index| self.output.join(format!("img{index}.{extension}")))
                .collect()
        };
        match files.iter().find(|file| !self.overwrite && file.exists()) {
            Some(file) => Err(rife_media::MediaError::Exists(file.clone()).into()),
            None => Ok(files),
        }
    }

    fn write(
        &self,
        files: &[PathBuf],
        pictures: &[Arc<RgbImage>],
        format: PixelFormat,
        tags: &ColorTags,
    ) -> Result<()> {
        let folder = if names_a_picture(&self.output) {
            self.output.parent()
        } else {
            Some(self.output.as_path())
        };
        if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        }
        for (file, picture) in files.iter().zip(pictures) {
            let format = format.with_alpha(picture.alpha.is_some());
            write_image(
                file,
                &Frame::from_rgb(picture, format, tags),
                tags,
                self.overwrite,
            )?;
        }
        Ok(())
    }
}

fn is_exr(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("exr"))
}

fn read(path: &Path) -> Result<(Arc<RgbImage>, ColorTags, PixelFormat)> {
    let (frame, tags) = read_image(path, &Limits::default())?;
    Ok((Arc::new(frame.to_rgb(&tags)), tags, frame.format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_divides_evenly_and_times_are_checked() {
        let quarters = Between::Exp(2).timesteps().unwrap();
        assert_eq!(quarters, [Ratio::new(1, 4), Ratio::new(1, 2), Ratio::new(3, 4)]);
        assert!(Between::Exp(0).timesteps().is_err() && Between::Exp(11).timesteps().is_err());
        let outside = Between::Timestep(Ratio::new(3, 2)).timesteps().unwrap_err();
        assert!(outside.to_string().contains("1.5"), "{outside}");
    }
}
