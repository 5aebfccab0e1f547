//! The still image job: two or more pictures in, the pictures between them out, as one picture, a folder of pictures
//! (named as the original `inference_img.py` names them), a video, a GIF or an animated WebP. How a picture is turned
//! into what the network sees is in `picture`, the order in which frames are made in `walk`, what it takes in
//! `memory`.

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
pub use walk::Waiting;
use walk::{Step, Walk};

/// Which pictures are made between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// One, at this time: 0 is the first picture, 1 the second.
    Timestep(Ratio<i64>),
    /// `2^exp - 1`, evenly spaced.
    Exp(u32),
    /// One, near this time, by middles of middles (`--ratio`).
    Ratio(Ratio<i64>),
}

/// The largest [`Between::Exp`]: 2^6 - 1 = 63 pictures between two.
pub const MAX_EXP: u32 = 6;
/// The maximum number of pictures that one job makes.
pub const MAX_PICTURES: usize = 10_000;

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

/// Pictures to interpolate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImageJob {
    /// The pictures in order, two or more.
    pub pictures: Vec<PathBuf>,
    /// Which pictures between each two.
    pub between: Between,
    /// A picture's name (`.png`, `.exr`...) for the one picture between two; a video's (`.mp4`, `.gif`...) or `.webp`
    /// for all of them as a clip; else a folder, which gets `img0`, the first picture, `img1`... and last the last one.
    pub output: PathBuf,
    /// The rate of a clip.
    pub fps: Ratio<i64>,
    /// The output's size; the first picture's when absent.
    pub size: Option<[u32; 2]>,
    /// What becomes of pictures of another shape.
    pub fit: Fit,
    /// Where frames wait for their turn.
    pub waiting: Waiting,
    /// The codec of a clip; its container's usual one when absent.
    pub codec: Option<Codec>,
    /// The quality of a clip, 0 to 63.
    pub crf: Option<u32>,
    /// Replace existing files.
    pub overwrite: bool,
    /// What to interpolate with.
    pub interpolator: InterpolatorSpec,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePlan {
    /// The output's size.
    pub size: [u32; 2],
    /// Frames that will be written.
    pub frames: usize,
    /// How many of them the network makes.
    pub made: usize,
    /// How long a clip will last, in seconds.
    pub duration: Option<f64>,
    /// The most memory that the process will hold, in bytes, measured with frames of other sizes.
    pub memory: u64,
    /// The most disk that waiting frames will take, in bytes.
    pub disk: u64,
    /// How they are made, in a line for people.
    pub method: String,
    /// The model and its options, in a line for people.
    pub model: String,
    /// Things worth telling the user.
    pub notes: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// The files written, in order of time.
    pub files: Vec<PathBuf>,
    /// Frames in them.
    pub frames: usize,
    /// How many of them the network made.
    pub made: usize,
    /// The most memory that the process has held, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
    /// Things worth telling the user.
    pub notes: Vec<String>,
}

/// Extensions that make an output one picture instead of a folder.
const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "exr"];

/// Whether `path` names a picture.
pub fn names_a_picture(path: &Path) -> bool {
    EXTENSIONS.contains(&extension(path).as_str())
}

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// Where frames go.
enum Target {
    Picture(PathBuf),
    Folder(PathBuf, &'static str),
    Clip(PathBuf),
}

/// A planned job, ready to run.
#[derive(Debug)]
pub struct ImageRun {
    job: ImageJob,
    times: Vec<Ratio<i64>>,
    coding: Coding,
    interpolator: Interpolator,
    plan: ImagePlan,
    cancel: CancelToken,
}

impl ImageJob {
    /// The pictures between `pictures` into `output`, everything else by default.
    pub fn new(pictures: Vec<PathBuf>, between: Between, output: PathBuf) -> Self {
        Self {
            pictures,
            between,
            output,
            fps: Ratio::from(25),
            size: None,
            fit: Fit::default(),
            waiting: Waiting::default(),
            codec: None,
            crf: None,
            overwrite: false,
            interpolator: InterpolatorSpec::default(),
        }
    }

    /// Looks at the headers of all pictures, loads the model, and measures what the job will take, before any picture of
    /// integers is decoded. Nothing is written yet.
    ///
    /// # Errors
    /// Those of reading and of the model; [`Error::Usage`] for options that make no sense together.
    pub fn open(self, cancel: &CancelToken) -> Result<ImageRun> {
        let times = self.between.timesteps()?;
        if !(2..=MAX_PICTURES).contains(&self.pictures.len()) {
            let count = self.pictures.len();
            return Err(Error::Usage(format!(
                "{count} pictures; 2 to {MAX_PICTURES} are accepted"
            )));
        }
        let made = times.len() * (self.pictures.len() - 1);
        self.check_target(made)?;
        let mut coding = Coding::of(&self, cancel)?;
        let (limits, given) = (Limits::default(), self.interpolator.memory_limit);
        let mut spec = InterpolatorSpec {
            cancel: cancel.clone(),
            ..self.interpolator.clone()
        };
        let mut interpolator = Interpolator::new(&spec)?;
        let (whole, disk) = memory::estimate(&self, &coding, &interpolator)?;
        let beside = crate::memory::of_ffmpeg(coding.size);
        let limit = crate::memory::limit(&limits, given, whole, beside);
        if limit != given {
            spec.memory_limit = limit;
            interpolator = Interpolator::new(&spec)?;
        }
        let memory = limit.map_or(whole, |limit| whole.min(limit));
        limits.check_memory(memory)?;
        let parts = [memory, whole, beside];
        crate::memory::check(&limits, &interpolator, coding.size, given, parts)?;
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
            notes: coding.notes.iter().cloned().chain(self.too_fast(clip)).collect(),
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

    /// Removes what an earlier, longer run has left in the folder: the pictures whose numbers follow on from this one's.
    fn remove_longer(&self, made: usize, total: usize) -> Result<()> {
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

    /// What happens to frames that players would not show as fast as is asked for.
    fn too_fast(&self, clip: bool) -> Option<String> {
        let sink = SinkSpec::new(Output::File(self.output.clone()));
        let fastest = sink.fastest().filter(|fastest| clip && self.fps > *fastest)?;
        Some(format!(
            "players show such a file at up to {fastest} fps: of frames that lie closer, the last is kept"
        ))
    }

    /// Refuses an output that the frames do not fit into, or that is there.
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
        // Whatever may be overwritten: the pictures themselves never are.
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

fn file_name(index: usize, extension: &str) -> String {
    format!("img{index}.{extension}")
}

impl ImageRun {
    /// What will be done.
    pub fn plan(&self) -> &ImagePlan {
        &self.plan
    }

    /// Does it. `progress` is told frames written and to write.
    ///
    /// # Errors
    /// Those of reading, interpolating and writing; [`Error::Cancelled`]. No unfinished clip is left then.
    pub fn run(self, progress: &mut dyn FnMut(usize, usize)) -> Result<ImageSummary> {
        let mut writer = Writer::open(&self)?;
        let mut walk = Walk::new(&self.interpolator, &self.times, self.job.waiting)?;
        let total = self.plan.frames;
        let mut emit = |step: Step| {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            progress(writer.written(), total);
            writer.write(&self.coding, step)
        };
        for path in &self.job.pictures {
            walk.push(self.coding.load(path)?, &mut emit)?;
        }
        let (files, mut notes) = writer.finish()?;
        if self.job.overwrite {
            self.job.remove_longer(self.plan.made, total)?;
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

/// The output that is being written.
struct Writer {
    kind: Kind,
    files: Vec<PathBuf>,
    count: usize,
    overwrite: bool,
    finished: bool,
}

enum Kind {
    /// The single interpolated picture.
    Picture(PathBuf),
    /// A folder, and the extension of the pictures in it.
    Folder(PathBuf, &'static str),
    /// A clip, and its frames per second.
    Clip(Option<Box<dyn Sink>>, Ratio<i64>),
}

impl Writer {
    fn open(run: &ImageRun) -> Result<Self> {
        let job = &run.job;
        let kind = match job.target(run.plan.made) {
            Target::Picture(path) => {
                create_folder(path.parent())?;
                Kind::Picture(path)
            }
            Target::Folder(folder, extension) => {
                create_folder(Some(&folder))?;
                Kind::Folder(folder, extension)
            }
            Target::Clip(path) => Kind::Clip(Some(clip(job, &run.coding, path, &run.cancel)?), job.fps),
        };
        Ok(Self {
            kind,
            files: Vec::new(),
            count: 0,
            overwrite: job.overwrite,
            finished: false,
        })
    }

    fn written(&self) -> usize {
        self.count
    }

    fn write(&mut self, coding: &Coding, step: Step) -> Result<()> {
        let file = match &mut self.kind {
            Kind::Picture(_) if matches!(step, Step::End(_)) => return Ok(()),
            Kind::Picture(path) => path.clone(),
            Kind::Folder(folder, extension) => folder.join(file_name(self.count, extension)),
            Kind::Clip(sink, fps) => {
                let Some(sink) = sink else { return Ok(()) };
                let (format, tags) = (sink.params().format, sink.params().tags);
                let time = |index: usize| Time::from(index as i64) / *fps;
                let (start, end) = (time(self.count), time(self.count + 1));
                sink.write(&coding.frame(&step, format, &tags).at(start, end - start))?;
                self.count += 1;
                return Ok(());
            }
        };
        let frame = coding.frame(&step, coding.format, &coding.tags);
        write_image(&file, &frame, &coding.tags, self.overwrite)?;
        self.count += 1;
        self.files.push(file);
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<PathBuf>, Vec<String>)> {
        let mut notes = Vec::new();
        if let Kind::Clip(sink, _) = &mut self.kind
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
    /// A job that did not come to its end leaves none of its files.
    fn drop(&mut self) {
        if !self.finished {
            self.files.iter().for_each(|file| {
                let _ = fs::remove_file(file);
            });
        }
    }
}

fn clip(job: &ImageJob, coding: &Coding, path: PathBuf, cancel: &CancelToken) -> Result<Box<dyn Sink>> {
    // WebM holds alpha beside 8 bits only, and alpha says more than the bits beyond.
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

fn create_folder(folder: Option<&Path>) -> Result<()> {
    match folder.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error)),
        None => Ok(()),
    }
}

/// A frame for a file of `format` from one that is shown as it came, where it is of that format.
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
        let quarters = Between::Exp(2).timesteps().unwrap();
        assert_eq!(quarters, [Ratio::new(1, 4), Ratio::new(1, 2), Ratio::new(3, 4)]);
        assert!(Between::Exp(0).timesteps().is_err() && Between::Exp(7).timesteps().is_err());
        let outside = Between::Timestep(Ratio::new(3, 2)).timesteps().unwrap_err();
        assert!(outside.to_string().contains("1.5"), "{outside}");
    }
}
