//! Baselines of a quality benchmark: averaging, ffmpeg's minterpolate filter, and image files of other programs.

use std::path::{Path, PathBuf};

use rife::media::{CancelToken, Ffmpeg, RgbImage, minterpolate};

use super::{FrameFile, Sample, Target};
use rife::media::time::seconds;
use rife::{Error, Result};

/// Names that another program's images cannot have in tables.
const RESERVED: [&str; 3] = ["rife", AVERAGING, MINTERPOLATE];
/// Name of [`Baseline::Averaging`] in tables.
const AVERAGING: &str = "averaging";
/// Name of [`Baseline::Minterpolate`] in tables.
const MINTERPOLATE: &str = "minterpolate";
/// Accepted extensions of another program's image files.
const EXTENSIONS: [&str; 5] = ["png", "tif", "tiff", "webp", "jpg"];

/// A function that returns the frame of the target with this index in a sample.
pub(super) type FrameMaker<'a> = Box<dyn Fn(usize) -> Result<RgbImage> + 'a>;

/// Another interpolation method for the frames of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Baseline {
    /// The mean of both frames, weighted by time.
    Averaging,
    /// ffmpeg's motion-compensated minterpolate filter with its best settings.
    Minterpolate(Ffmpeg),
    /// Image files that another program made: `FOLDER/NAME.png`, where NAME is the frame's name in the set.
    Folder {
        /// The program's name.
        name: String,
        /// The folder of the image files.
        folder: PathBuf,
    },
}

impl Baseline {
    /// Makes a baseline of another program's image files.
    ///
    /// # Errors
    /// [`Error::Usage`] for an empty or reserved name, [`Error::Data`] if `folder` is no folder.
    pub fn folder(name: &str, folder: &Path) -> Result<Self> {
        if name.is_empty() || RESERVED.contains(&name) {
            return Err(Error::Usage(format!(
                "{name:?} cannot name another program's pictures: it is taken"
            )));
        }
        if !folder.is_dir() {
            return Err(Error::Data(format!(
                "{} of {name} is no folder",
                folder.display()
            )));
        }
        Ok(Self::Folder {
            name: name.to_owned(),
            folder: folder.to_owned(),
        })
    }

    /// Returns the baseline's name in tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Averaging => AVERAGING,
            Self::Minterpolate(_) => MINTERPOLATE,
            Self::Folder { name, .. } => name,
        }
    }

    /// Returns the function that makes the baseline's frames for the targets of a sample with these two input frames.
    pub(super) fn maker<'a>(
        &'a self,
        sample: &'a Sample,
        [first, second]: [&'a RgbImage; 2],
        cancel: &CancelToken,
    ) -> Result<FrameMaker<'a>> {
        Ok(match self {
            Self::Averaging => {
                Box::new(move |index| Ok(first.blend(second, seconds(sample.targets[index].time) as f32)))
            }
            Self::Minterpolate(ffmpeg) => {
                // The targets of a sample are evenly spaced between its input frames.
                let factor = sample.targets.len() as u32 + 1;
                let made = minterpolate(ffmpeg, [first, second], factor, cancel)?;
                Box::new(move |index| Ok(made[index].clone()))
            }
            Self::Folder { name, folder } => {
                Box::new(move |index| read_frame(name, folder, &sample.targets[index], first))
            }
        })
    }
}

/// Reads another program's image of a target, which must have the size of the input frame `input`.
fn read_frame(program: &str, folder: &Path, target: &Target, input: &RgbImage) -> Result<RgbImage> {
    let file = |extension: &&str| folder.join(format!("{}.{extension}", target.name));
    let Some(path) = EXTENSIONS.iter().map(file).find(|path| path.is_file()) else {
        let wanted = file(&"png");
        let text = format!(
            "{program} has no picture of {}: {} is missing",
            target.name,
            wanted.display()
        );
        return Err(Error::Data(text));
    };
    let image = FrameFile::Image(path.clone()).read()?;
    if (image.width, image.height) != (input.width, input.height) {
        return Err(Error::Data(format!(
            "{} is {}x{}, but the set's frame is {}x{}",
            path.display(),
            image.width,
            image.height,
            input.width,
            input.height
        )));
    }
    Ok(image)
}
