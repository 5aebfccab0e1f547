//! Still image job: two or more image files in, the interpolated images out, as one image, a folder of images (named as by
//! the original `inference_img.py`), a video, a GIF or an animated WebP. Submodules: `coding` converts images to the
//! network's input and back, `sequence` orders the computation, `writer` writes the frames, `memory` estimates the memory.

mod coding;
mod memory;
mod sequence;
mod writer;

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::sink::{self, ImageFormat, Pictures, Resume, same_file};
use rife_media::{
    CancelToken, Codec, ColorTags, Container, Fit, Frame, Limits, MediaError, Output, PixelFormat, SinkSpec,
    VideoParams, plan_encoding,
};

use crate::video::{Keep, model_facts, owned};
use crate::{Error, Interpolator, InterpolatorSpec, Result};
use coding::{Coding, Picture};
use sequence::FrameSequence;
pub use sequence::Storage;
use writer::Writer;

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
    /// Whether the last image is followed by those computed between it and the first one. The first is not written again, so
    /// that a clip repeats without a double frame.
    pub looped: bool,
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
    /// Whether and how an unfinished folder or clip is kept, so that the same job resumes.
    pub keep: Keep,
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

/// Progress of an [`ImageRun`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageProgress {
    /// Number of frames written, those of earlier runs included.
    pub written: usize,
    /// Number of those that an earlier run has written.
    pub resumed: usize,
    /// Number of frames of the output.
    pub total: usize,
}

/// Result of an [`ImageRun`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// The files written, in order of time.
    pub files: Vec<PathBuf>,
    /// Number of frames in these files.
    pub frames: usize,
    /// Number of frames that the network computed, in earlier runs of the job too.
    pub made: usize,
    /// Number of frames that an earlier run has written.
    pub resumed: usize,
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
    /// A folder of image files in this format.
    Folder(PathBuf, ImageFormat),
    /// A video, GIF or animated WebP.
    Clip(PathBuf),
}

impl Target {
    /// Returns the output of the sink that writes it; `None` for one image file.
    fn output(&self) -> Option<Output> {
        match self {
            Self::Picture(_) => None,
            Self::Folder(folder, format) => {
                let names = folder.join(format!("img%d.{}", format.extension()));
                Some(Output::Images(names, *format))
            }
            Self::Clip(path) => Some(Output::File(path.clone())),
        }
    }
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
    /// Makes a job that interpolates between each two neighbouring `pictures` (at least two) at `timesteps`, and writes `output`:
    /// an image file, a folder of images, or a video, by its extension. All other options have their defaults.
    pub fn new(pictures: Vec<PathBuf>, timesteps: Timesteps, output: PathBuf) -> Self {
        Self {
            pictures,
            timesteps,
            output,
            looped: false,
            fps: Ratio::from(25),
            size: None,
            fit: Fit::default(),
            storage: Storage::default(),
            codec: None,
            crf: None,
            overwrite: false,
            keep: Keep::default(),
            interpolator: InterpolatorSpec::default(),
        }
    }

    /// Reads the headers of all images, loads the model and estimates the job's memory. Only images of linear light (EXR) are
    /// decoded, and nothing is written.
    ///
    /// # Errors
    /// Those of reading and of the model; [`Error::Usage`] for options that exclude each other.
    pub fn open(mut self, cancel: &CancelToken) -> Result<ImageRun> {
        let times = self.timesteps.timesteps()?;
        if !(2..=MAX_PICTURES).contains(&self.pictures.len()) {
            let count = self.pictures.len();
            return Err(Error::Usage(format!(
                "{count} pictures; 2 to {MAX_PICTURES} are accepted"
            )));
        }
        let made = times.len() * (self.pictures.len() - usize::from(!self.looped));
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
        self.interpolator = spec;
        let target = self.target(made);
        let frames = match target {
            Target::Picture(_) => 1,
            Target::Folder(..) | Target::Clip(_) => made + self.pictures.len(),
        };
        let clip = matches!(target, Target::Clip(_));
        let mut notes = coding.notes.clone();
        notes.extend(self.max_rate_note(clip));
        notes.extend(interpolator.note_on_tiles(coding.size));
        if let Some(sink) = self.sink(&target, cancel) {
            notes.extend(self.losses(&sink, &coding)?);
        }
        let plan = ImagePlan {
            size: coding.size,
            frames,
            made,
            duration: clip.then(|| frames as f64 / rife_media::time::seconds(self.fps)),
            memory,
            disk,
            method: interpolator.describe_method() + &crate::memory::note(given, limit),
            model: interpolator.describe(),
            notes,
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
            _ if self.pictures.iter().all(|path| extension(path) == "exr") => {
                Target::Folder(output, ImageFormat::Exr)
            }
            _ => Target::Folder(output, ImageFormat::Png),
        }
    }

    /// Returns the options of the sink of a folder or clip, without [`SinkSpec::resume`]; `None` for one image file.
    fn sink(&self, target: &Target, cancel: &CancelToken) -> Option<SinkSpec> {
        let mut spec = SinkSpec::new(target.output()?);
        spec.codec = self.codec.filter(|_| matches!(target, Target::Clip(_)));
        spec.crf = self.crf;
        spec.overwrite = self.overwrite;
        spec.inputs = self.pictures.clone();
        spec.cancel = cancel.clone();
        Some(spec)
    }

    /// Returns the parameters of the frames for `sink`.
    fn params(&self, sink: &SinkSpec, coding: &Coding) -> VideoParams {
        let (webm, fps) = match &sink.output {
            Output::File(path) => (extension(path) == "webm", self.fps),
            // A folder of images does not depend on the rate of a clip.
            _ => (false, Ratio::from(1)),
        };
        // WebM has alpha with 8 bits only; alpha matters more than the additional bits.
        let eight = coding.format.alpha && webm;
        VideoParams {
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
            time_base: fps.recip(),
            frame_rate: Some(fps),
            hdr: rife_media::probe::HdrMetadata::default(),
        }
    }

    /// Returns notes on what the output cannot store, and on why an interrupted run starts over, if it does.
    fn losses(&self, sink: &SinkSpec, coding: &Coding) -> Result<Vec<String>> {
        let params = self.params(sink, coding);
        let mut losses = plan_encoding(sink, &params)?.losses;
        if self.keep.on
            && let Some(reason) = sink::starts_over(sink, &params)?
        {
            losses.push(format!("an interrupted run starts over: {reason}"));
        }
        Ok(losses)
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
    /// `overwrite` is set or an unfinished job is there, which the sink checks. `made` is the number of computed images.
    fn check_target(&self, made: usize) -> Result<()> {
        let target = self.target(made);
        let unfinished = target.output().and_then(|output| output.unfinished());
        let unfinished = self.keep.on && unfinished.is_some_and(|folder| folder.symlink_metadata().is_ok());
        let files = match target {
            Target::Picture(path) if made != 1 => {
                let path = path.display();
                return Err(Error::Usage(format!(
                    "{made} pictures do not fit into {path}; give a folder, or a clip (.mp4, .mkv, .gif, .webp...)"
                )));
            }
            Target::Picture(path) | Target::Clip(path) => vec![path],
            Target::Folder(folder, format) => (0..made + self.pictures.len())
                .map(|index| folder.join(file_name(index, format)))
                .collect(),
        };
        // An input is never overwritten, even with `overwrite`.
        let is_input = |file: &&PathBuf| self.pictures.iter().any(|picture| same_file(picture, file));
        if let Some(file) = files.iter().find(is_input) {
            return Err(MediaError::OutputIsInput(file.clone()).into());
        }
        let taken = |file: &&PathBuf| !self.overwrite && !unfinished && file.exists();
        match files.iter().find(taken) {
            Some(file) => Err(MediaError::Exists(file.clone()).into()),
            None => Ok(()),
        }
    }
}

/// Returns the name of the image with a zero-based index in an output folder.
fn file_name(index: usize, format: ImageFormat) -> String {
    format!("img{index}.{}", format.extension())
}

impl ImageRun {
    /// Returns the job's plan.
    pub fn plan(&self) -> &ImagePlan {
        &self.plan
    }

    /// Returns the folder in which an unfinished output is kept; `None` where nothing is kept.
    pub fn unfinished(&self) -> Option<PathBuf> {
        let target = self.job.target(self.plan.made);
        target.output()?.unfinished().filter(|_| self.job.keep.on)
    }

    /// Runs the job. `progress` is called after every frame written.
    ///
    /// # Errors
    /// Those of reading, interpolating and writing; [`Error::Cancelled`]. The frames written are then kept if
    /// [`ImageJob::keep`] says so; otherwise they are removed.
    pub fn run(self, progress: &mut dyn FnMut(&ImageProgress)) -> Result<ImageSummary> {
        let pictures = Pictures::of_files(&self.job.pictures)?;
        let mut writer = Writer::open(&self, pictures.clone(), progress)?;
        let mut sequence = FrameSequence::new(&self.interpolator, &self.times, self.job.storage)?;
        for path in &self.job.pictures {
            pictures.count();
            sequence.push(&mut || self.coding.load(path), &mut writer)?;
        }
        if self.job.looped {
            sequence.close(&mut || self.coding.load(&self.job.pictures[0]), &mut writer)?;
        }
        let done = writer.finish()?;
        let mut notes = self.plan.notes.clone();
        notes.extend(
            done.notes
                .into_iter()
                .filter(|note| !self.plan.notes.contains(note)),
        );
        Ok(ImageSummary {
            files: done.files,
            frames: self.plan.frames,
            made: self.plan.made,
            resumed: done.resumed,
            peak_memory: memory::peak(),
            notes,
        })
    }

    /// Returns how the sink keeps the unfinished output; `None` where it does not.
    fn resume(&self, pictures: Pictures) -> Result<Option<Resume>> {
        let keep = self.job.keep;
        if !keep.on {
            return Ok(None);
        }
        let mut resume = Resume::new(self.facts()?);
        resume.pictures = Some(pictures);
        resume.restart = keep.restart;
        resume.segment_frames = keep.segment_frames;
        Ok(Some(resume))
    }

    /// Computes the job fingerprint: everything that the frames depend on, each entry with a name for people. The sink adds
    /// size, pixel format, colour and encoder; input images are compared one by one (see [`Pictures`]).
    fn facts(&self) -> Result<Vec<(String, String)>> {
        let ImageJob {
            timesteps,
            interpolator,
            looped,
            // Compared one by one.
            pictures: _,
            // In the coding's entries.
            fit: _,
            // Added by the sink.
            fps: _,
            size: _,
            codec: _,
            crf: _,
            // Without influence on frames.
            output: _,
            storage: _,
            overwrite: _,
            keep: _,
        } = &self.job;
        let times: Vec<String> = self.times.iter().map(ToString::to_string).collect();
        let between = match timesteps {
            Timesteps::Ratio(at) => format!("one near {at}, by bisection"),
            Timesteps::Timestep(_) | Timesteps::Exp(_) => format!("at {}", times.join(", ")),
        };
        let mut facts = vec![
            ("the program", env!("CARGO_PKG_VERSION").to_owned()),
            ("the pictures between two", between),
        ];
        if *looped {
            facts.push(("the end", "a transition to the first picture".to_owned()));
        }
        facts.extend(model_facts(interpolator, &self.interpolator)?);
        facts.extend(self.coding.facts());
        Ok(owned(facts))
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
