//! Still image job: two or more image files in, the interpolated images out, as one image, a folder of images (named as by
//! the original `inference_img.py`), a video, a GIF or an animated WebP. Submodules: `picture` converts images to the
//! network's input and back, `walk` orders the computation, `memory` estimates its memory.

mod memory;
mod picture;
mod walk;

use std::fs;
use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::sink::{same_file, write_image};
use rife_media::{
    CancelToken, Codec, ColorTags, Container, Fit, Frame, Limits, MediaError, Output, PixelFormat, Sink,
    SinkSpec, Time, VideoParams, open_sink,
};

use crate::{Error, Interpolator, InterpolatorSpec, Result};
use picture::{Coding, Picture};
pub use walk::Storage;
use walk::{Step, Walk};

/// Times of the images that are computed between each two; 0 is the first image, 1 the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timesteps {
    /// One image at this time.
    Timestep(Ratio<i64>),
    /// `2^exp - 1` images, evenly spaced; 1 to [`MAX_EXP`].
    Exp(u32),
    /// One image at about this time, by recursive bisection (`--ratio`).
    Ratio(Ratio<i64>),
}

/// Maximum of [`Timesteps::Exp`]: 2^6 - 1 = 63 images between two.
pub const MAX_EXP: u32 = 6;
/// Maximum number of input images of a job.
pub const MAX_PICTURES: usize = 10_000;

impl Timesteps {
    /// Returns the times in order, without 0 and 1 themselves unless given.
    ///
    /// # Errors
    /// [`Error::Usage`] for times outside 0 to 1 and for exponents outside 1 to [`MAX_EXP`].
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

/// Image files to interpolate, and the options.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImageJob {
    /// The image files in order, 2 to [`MAX_PICTURES`].
    pub pictures: Vec<PathBuf>,
    /// Times of the computed images between each two.
    pub timesteps: Timesteps,
    /// An image file (`.png`, `.exr`...) for a single computed image; a video file (`.mp4`, `.gif`...) or `.webp` for a clip
    /// of all images; else a folder, which gets all images in order of time as `img0`, `img1`...
    pub output: PathBuf,
    /// Frame rate of a clip in frames per second.
    pub fps: Ratio<i64>,
    /// The output's width and height; the first image's when absent.
    pub size: Option<[u32; 2]>,
    /// How images of another aspect ratio are fitted to the output's size.
    pub fit: Fit,
    /// Where recursive bisection keeps frames that are needed later.
    pub storage: Storage,
    /// The codec of a clip; the container's default when absent.
    pub codec: Option<Codec>,
    /// The encoder's quality setting (CRF) of a clip, 0 (best) to 63.
    pub crf: Option<u32>,
    /// Whether existing files are replaced.
    pub overwrite: bool,
    /// Model and options of the network.
    pub interpolator: InterpolatorSpec,
}

/// What an [`ImageRun`] will do.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePlan {
    /// The output's width and height.
    pub size: [u32; 2],
    /// Number of frames that will be written.
    pub frames: usize,
    /// Number of frames that the network computes.
    pub made: usize,
    /// Duration of a clip in seconds; `None` for images.
    pub duration: Option<f64>,
    /// Expected peak memory of the process in bytes, extrapolated from a run on smaller frames.
    pub memory: u64,
    /// Expected peak size of temporary files in bytes.
    pub disk: u64,
    /// How frames are computed, in a line for people.
    pub method: String,
    /// The model and its options, in a line for people.
    pub model: String,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

/// Result of an [`ImageRun`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// The files written, in order of time.
    pub files: Vec<PathBuf>,
    /// Number of frames in these files.
    pub frames: usize,
    /// Number of frames that the network computed.
    pub made: usize,
    /// Peak memory of the process in bytes; `None` where the system does not report it.
    pub peak_memory: Option<u64>,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

/// Extensions of outputs that are an image file instead of a folder.
const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "exr"];

/// Reports whether `path` has the extension of an image file.
pub fn names_a_picture(path: &Path) -> bool {
    EXTENSIONS.contains(&extension(path).as_str())
}

/// Returns a path's extension in lower case; empty if it has none.
fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// The kind of output, with its path.
enum Target {
    /// One image file.
    Picture(PathBuf),
    /// A folder of image files with this extension.
    Folder(PathBuf, &'static str),
    /// A video, GIF or animated WebP.
    Clip(PathBuf),
}

/// A planned job, ready to run.
#[derive(Debug)]
pub struct ImageRun {
    job: ImageJob,
    /// Timesteps of the computed images between each two.
    times: Vec<Ratio<i64>>,
    coding: Coding,
    interpolator: Interpolator,
    plan: ImagePlan,
    cancel: CancelToken,
}

impl ImageJob {
    /// Makes a job that interpolates `pictures` into `output`, with defaults for all other options.
    pub fn new(pictures: Vec<PathBuf>, timesteps: Timesteps, output: PathBuf) -> Self {
        Self {
            pictures,
            timesteps,
            output,
            fps: Ratio::from(25),
            size: None,
            fit: Fit::default(),
            storage: Storage::default(),
            codec: None,
            crf: None,
            overwrite: false,
            interpolator: InterpolatorSpec::default(),
        }
    }

    /// Reads the headers of all images, loads the model and estimates the job's memory. Only images of linear light (EXR) are
    /// decoded, and nothing is written.
    ///
    /// # Errors
    /// Those of reading and of the model; [`Error::Usage`] for options that exclude each other.
    pub fn open(self, cancel: &CancelToken) -> Result<ImageRun> {
        let times = self.timesteps.timesteps()?;
        if !(2..=MAX_PICTURES).contains(&self.pictures.len()) {
            let count = self.pictures.len();
            return Err(Error::Usage(format!(
                "{count} pictures; 2 to {MAX_PICTURES} are accepted"
            )));
        }
        let made = times.len() * (self.pictures.len() - 1);
        self.check_target(made)?;
        let mut coding = Coding::from_headers(&self, cancel)?;
        let (limits, given) = (Limits::default(), self.interpolator.memory_limit);
        let mut spec = InterpolatorSpec {
            cancel: cancel.clone(),
            ..self.interpolator.clone()
        };
        let mut interpolator = Interpolator::new(&spec)?;
        let (untiled, disk) = memory::estimate(&self, &coding, &interpolator)?;
        let ffmpeg = crate::memory::of_ffmpeg(coding.size);
        let limit = crate::memory::limit(&limits, given, untiled, ffmpeg);
        if limit != given {
            spec.memory_limit = limit;
            interpolator = Interpolator::new(&spec)?;
        }
        let memory = limit.map_or(untiled, |limit| untiled.min(limit));
        limits.check_memory(memory)?;
        let bytes = [memory, untiled, ffmpeg];
        crate::memory::check(&limits, &interpolator, coding.size, given, bytes)?;
        coding.find_peak(&self, cancel)?;
        let frames = match self.target(made) {
            Target::Picture(_) => 1,
            Target::Folder(..) | Target::Clip(_) => made + self.pictures.len(),
        };
        let clip = matches!(self.target(made), Target::Clip(_));
        let plan = ImagePlan {
            size: coding.size,
            frames,
            made,
            duration: clip.then(|| frames as f64 / rife_media::time::seconds(self.fps)),
            memory,
            disk,
            method: interpolator.describe_method() + &crate::memory::note(given, limit),
            model: interpolator.describe(),
            notes: coding
                .notes
                .iter()
                .cloned()
                .chain(self.max_rate_note(clip))
                .collect(),
        };
        let cancel = cancel.clone();
        Ok(ImageRun {
            job: self,
            times,
            coding,
            interpolator,
            plan,
            cancel,
        })
    }

    /// Classifies the output by its extension; `made` is the number of computed images.
    fn target(&self, made: usize) -> Target {
        let output = self.output.clone();
        let video = Container::of(&output).is_ok();
        match extension(&output).as_str() {
            "webp" if made > 1 => Target::Clip(output),
            _ if names_a_picture(&output) => Target::Picture(output),
            _ if video && !output.is_dir() => Target::Clip(output),
            _ if self.pictures.iter().all(|path| extension(path) == "exr") => Target::Folder(output, "exr"),
            _ => Target::Folder(output, "png"),
        }
    }

    /// Removes images of an earlier, longer run from an output folder: those numbered `total` and on, up to a gap, an input
    /// or a folder of that name.
    fn remove_surplus(&self, made: usize, total: usize) -> Result<()> {
        let Target::Folder(folder, extension) = self.target(made) else {
            return Ok(());
        };
        for path in (total..).map(|index| folder.join(file_name(index, extension))) {
            let input = self.pictures.iter().any(|picture| same_file(picture, &path));
            if input
                || path.symlink_metadata().is_ok_and(|there| there.is_dir())
                || path.symlink_metadata().is_err()
            {
                break;
            }
            std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
        }
        Ok(())
    }

    /// Returns a note if the clip's rate is above what players of its format (GIF, WebP) show.
    fn max_rate_note(&self, clip: bool) -> Option<String> {
        let sink = SinkSpec::new(Output::File(self.output.clone()));
        let fastest = sink.fastest().filter(|fastest| clip && self.fps > *fastest)?;
        Some(format!(
            "players show such a file at up to {fastest} fps: of frames that lie closer, the last is kept"
        ))
    }

    /// Refuses an image file as output of several images, an output that is an input, and existing files unless
    /// `overwrite` is set. `made` is the number of computed images.
    fn check_target(&self, made: usize) -> Result<()> {
        let files = match self.target(made) {
            Target::Picture(path) if made != 1 => {
                let path = path.display();
                return Err(Error::Usage(format!(
                    "{made} pictures do not fit into {path}; give a folder, or a clip (.mp4, .mkv, .gif, .webp...)"
                )));
            }
            Target::Picture(path) | Target::Clip(path) => vec![path],
            Target::Folder(folder, extension) => (0..made + self.pictures.len())
                .map(|index| folder.join(file_name(index, extension)))
                .collect(),
        };
        // An input is never overwritten, even with `overwrite`.
        let is_input = |file: &&PathBuf| self.pictures.iter().any(|picture| same_file(picture, file));
        if let Some(file) = files.iter().find(is_input) {
            return Err(MediaError::OutputIsInput(file.clone()).into());
        }
        match files.iter().find(|file| !self.overwrite && file.exists()) {
            Some(file) => Err(MediaError::Exists(file.clone()).into()),
            None => Ok(()),
        }
    }
}

/// Returns the name of the image with a zero-based index in an output folder.
fn file_name(index: usize, extension: &str) -> String {
    format!("img{index}.{extension}")
}

impl ImageRun {
    /// Returns the job's plan.
    pub fn plan(&self) -> &ImagePlan {
        &self.plan
    }

    /// Runs the job. `progress` is called with the number of frames written and the total.
    ///
    /// # Errors
    /// Those of reading, interpolating and writing; [`Error::Cancelled`]. On an error all files written are removed.
    pub fn run(self, progress: &mut dyn FnMut(usize, usize)) -> Result<ImageSummary> {
        let mut writer = Writer::open(&self)?;
        let mut walk = Walk::new(&self.interpolator, &self.times, self.job.storage)?;
        let total = self.plan.frames;
        let mut emit = |step: Step| {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            progress(writer.frames, total);
            writer.write(&self.coding, step)
        };
        for path in &self.job.pictures {
            walk.push(self.coding.load(path)?, &mut emit)?;
        }
        let (files, mut notes) = writer.finish()?;
        if self.job.overwrite {
            self.job.remove_surplus(self.plan.made, total)?;
        }
        notes.splice(0..0, self.plan.notes.iter().cloned());
        Ok(ImageSummary {
            files,
            frames: total,
            made: self.plan.made,
            peak_memory: memory::peak(),
            notes,
        })
    }
}

/// Writer of the job's frames. Dropped before [`Writer::finish`], it removes the files it has written.
struct Writer {
    destination: Destination,
    /// Files written so far.
    files: Vec<PathBuf>,
    /// Number of frames written so far.
    frames: usize,
    overwrite: bool,
    finished: bool,
}

/// An opened output.
enum Destination {
    /// The file of the single computed image.
    Picture(PathBuf),
    /// A folder, and the extension of the images in it.
    Folder(PathBuf, &'static str),
    /// The encoder of a clip (`None` once finished), and its frames per second.
    Clip(Option<Box<dyn Sink>>, Ratio<i64>),
}

impl Writer {
    /// Creates the output's folder, and opens the encoder of a clip.
    fn open(run: &ImageRun) -> Result<Self> {
        let job = &run.job;
        let destination = match job.target(run.plan.made) {
            Target::Picture(path) => {
                create_folder(path.parent())?;
                Destination::Picture(path)
            }
            Target::Folder(folder, extension) => {
                create_folder(Some(&folder))?;
                Destination::Folder(folder, extension)
            }
            Target::Clip(path) => {
                Destination::Clip(Some(clip(job, &run.coding, path, &run.cancel)?), job.fps)
            }
        };
        Ok(Self {
            destination,
            files: Vec::new(),
            frames: 0,
            overwrite: job.overwrite,
            finished: false,
        })
    }

    /// Writes one frame. For a single image the given images are skipped.
    fn write(&mut self, coding: &Coding, step: Step) -> Result<()> {
        let file = match &mut self.destination {
            Destination::Picture(_) if matches!(step, Step::End(_)) => return Ok(()),
            Destination::Picture(path) => path.clone(),
            Destination::Folder(folder, extension) => folder.join(file_name(self.frames, extension)),
            Destination::Clip(sink, fps) => {
                let Some(sink) = sink else { return Ok(()) };
                let (format, tags) = (sink.params().format, sink.params().tags);
                let time = |index: usize| Time::from(index as i64) / *fps;
                let (start, end) = (time(self.frames), time(self.frames + 1));
                sink.write(&coding.frame(&step, format, &tags).at(start, end - start))?;
                self.frames += 1;
                return Ok(());
            }
        };
        let frame = coding.frame(&step, coding.format, &coding.tags);
        write_image(&file, &frame, &coding.tags, self.overwrite)?;
        self.frames += 1;
        self.files.push(file);
        Ok(())
    }

    /// Completes the output; returns its files and the encoder's warnings.
    fn finish(mut self) -> Result<(Vec<PathBuf>, Vec<String>)> {
        let mut notes = Vec::new();
        if let Destination::Clip(sink, _) = &mut self.destination
            && let Some(sink) = sink.take()
        {
            let written = sink.finish()?;
            self.files.extend(written.path);
            notes = written.warnings;
        }
        self.finished = true;
        Ok((std::mem::take(&mut self.files), notes))
    }
}

impl Drop for Writer {
    /// Removes the written files of a job that failed or was cancelled.
    fn drop(&mut self) {
        if !self.finished {
            self.files.iter().for_each(|file| {
                let _ = fs::remove_file(file);
            });
        }
    }
}

/// Opens the encoder of a clip.
fn clip(job: &ImageJob, coding: &Coding, path: PathBuf, cancel: &CancelToken) -> Result<Box<dyn Sink>> {
    // WebM has alpha with 8 bits only; alpha matters more than the additional bits.
    let eight = coding.format.alpha && extension(&path) == "webm";
    let spec = SinkSpec {
        codec: job.codec,
        crf: job.crf,
        overwrite: job.overwrite,
        inputs: job.pictures.clone(),
        cancel: cancel.clone(),
        ..SinkSpec::new(Output::File(path))
    };
    let params = VideoParams {
        width: coding.size[0],
        height: coding.size[1],
        format: if eight {
            PixelFormat::RGB8.with_alpha(true)
        } else {
            coding.format
        },
        tags: coding.tags,
        sample_aspect: Ratio::from(1),
        matrix: rife_media::probe::DisplayMatrix::IDENTITY,
        time_base: job.fps.recip(),
        frame_rate: Some(job.fps),
        hdr: rife_media::probe::HdrMetadata::default(),
    };
    Ok(open_sink(&spec, &params)?)
}

/// Creates an output folder if missing; does nothing for `None` and an empty path.
fn create_folder(folder: Option<&Path>) -> Result<()> {
    match folder.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error)),
        None => Ok(()),
    }
}

/// Converts a frame with colour tags `tags` to a pixel format with colour tags `to`; returns it unchanged if both are equal.
fn as_format(frame: &Frame, tags: &ColorTags, format: PixelFormat, to: &ColorTags) -> Frame {
    if frame.format == format && tags == to {
        return frame.clone();
    }
    Frame::from_rgb(&frame.to_rgb(tags), format, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_divides_evenly_and_times_are_checked() {
        let quarters = Timesteps::Exp(2).timesteps().unwrap();
        assert_eq!(quarters, [Ratio::new(1, 4), Ratio::new(1, 2), Ratio::new(3, 4)]);
        assert!(Timesteps::Exp(0).timesteps().is_err() && Timesteps::Exp(7).timesteps().is_err());
        let outside = Timesteps::Timestep(Ratio::new(3, 2)).timesteps().unwrap_err();
        assert!(outside.to_string().contains("1.5"), "{outside}");
    }
}
