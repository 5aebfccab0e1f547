//! A video written anew in a form that everything plays. Before, it is looked at: what is in that form already is left
//! alone. After, source and result are both decoded and compared: a result whose colours are off is not kept.
//!
//! Profiles:
//! - `web`: H.264 High, yuv420p, CRF 18, medium, BT.709 (limited range), sound in AAC, in MP4.
//! - `latentsync`: the same at 25 frames a second, with sound at 16 kHz.
//! - `archive`: FFV1, lossless, in the source's own pixel format and tags, all streams copied, in Matroska.
//!
//! Codes are converted, not relabelled: matrix and range through RGB, primaries in linear light (`gamut`). The curves
//! of SDR are taken for one, as players do; HDR is refused, since it would need tone mapping.

mod check;
mod gamut;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use num_rational::Ratio;
use rife_media::plan::{Action, Companions, plan_streams};
use rife_media::probe::StreamKind;
use rife_media::timeline::Push;
use rife_media::{
    CancelToken, Codec, ColorTags, Container, Frame, Input, Matrix, MediaError, MediaInfo, Orientation,
    Output, OutputFrame, PixelFormat, Primaries, Range, RgbImage, Sink, SinkSpec, SourceSpec, StreamInfo,
    StreamPlan, Time, Timeline, TimelineMode, TimelineOptions, Transfer, VideoParams, Written, open_sink,
    open_source, time,
};

pub use check::{ColorCheck, ColorLimits, compare};

use crate::{Error, Result};

/// The tags of everything but archives.
const BT709: ColorTags = ColorTags {
    matrix: Matrix::Bt709,
    range: Range::Limited,
    primaries: Primaries::Bt709,
    transfer: Transfer::Bt709,
    chroma_location: rife_media::ChromaLocation::Left,
};
/// LatentSync's own rate and sound.
const LATENTSYNC: (i64, u32) = (25, 16_000);

/// What the result is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Browsers and every player.
    #[default]
    Web,
    /// LatentSync: 25 frames a second, sound at 16 kHz.
    LatentSync,
    /// Keeping: lossless.
    Archive,
}

impl Profile {
    /// Its rate, where it has one.
    fn rate(self) -> Option<Ratio<i64>> {
        (self == Self::LatentSync).then(|| Ratio::from(LATENTSYNC.0))
    }

    /// The samples of sound a second, where it wants them.
    fn audio_rate(self) -> Option<u32> {
        (self == Self::LatentSync).then_some(LATENTSYNC.1)
    }

    /// The extension of its container.
    pub fn extension(self) -> &'static str {
        if self == Self::Archive { "mkv" } else { "mp4" }
    }
}

/// A video to write anew.
#[derive(Debug, Clone)]
pub struct ReencodeJob {
    /// What to read.
    pub source: SourceSpec,
    /// The result; beside the source when absent.
    pub output: Option<PathBuf>,
    /// What it is for.
    pub profile: Profile,
    /// Write it even where nothing needs to be done.
    pub force: bool,
    /// Replace an existing output.
    pub overwrite: bool,
    /// Quality, 0 to 63; 18 when absent.
    pub crf: Option<u32>,
    /// The encoder's preset; medium when absent.
    pub preset: Option<String>,
    /// What the colour check accepts.
    pub limits: ColorLimits,
}

/// One line of the analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What it is.
    pub found: String,
    /// What it is to be.
    pub wanted: String,
    /// Whether it is so.
    pub conforms: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReencodeSummary {
    /// What was written.
    pub written: Written,
    /// How source and result compare.
    pub check: ColorCheck,
    /// How long it took, the check included.
    pub elapsed: Duration,
    /// Things worth telling the user.
    pub warnings: Vec<String>,
}

/// A video that has been looked at.
#[derive(Debug)]
pub struct ReencodeRun {
    job: ReencodeJob,
    info: StreamInfo,
    target: PathBuf,
    findings: Vec<Finding>,
    streams: Option<StreamPlan>,
    cancel: CancelToken,
}

impl ReencodeJob {
    /// `input` by `profile`, everything else by default.
    pub fn new(input: &Path, profile: Profile) -> Self {
        Self {
            source: SourceSpec::new(Input::parse(input)),
            output: None,
            profile,
            force: false,
            overwrite: false,
            crf: None,
            preset: None,
            limits: ColorLimits::default(),
        }
    }

    /// Looks at the source; nothing is written yet.
    ///
    /// # Errors
    /// Those of opening the source; [`Error::Data`] for HDR, except into an archive.
    pub fn open(mut self, cancel: &CancelToken) -> Result<ReencodeRun> {
        self.source.cancel = cancel.clone();
        let path = crate::video::input_path(&self.source.input).map(Path::to_owned);
        let path =
            path.ok_or_else(|| Error::Usage("standard input cannot be read twice: give a file".into()))?;
        let target = self.output.clone().unwrap_or_else(|| {
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            path.with_file_name(format!("{stem}_reencoded.{}", self.profile.extension()))
        });
        let container = Container::of(&target)?;
        if !container.holds_rotation() {
            self.source.orientation = Orientation::Apply;
        }
        let info = open_source(&self.source)?.info().clone();
        if info.tags.is_hdr() && self.profile != Profile::Archive {
            return Err(Error::Data(format!(
                "{} is HDR ({}): BT.709 would need tone mapping, which is not done here; --preset-profile archive keeps it",
                path.display(),
                info.tags.transfer.name().unwrap_or_default()
            )));
        }
        let findings = analyse(&info, self.profile);
        let streams = match &info.media {
            Some(media) => Some(streams(media, container, self.profile, cancel)?),
            None => None,
        };
        Ok(ReencodeRun {
            job: self,
            info,
            target,
            findings,
            streams,
            cancel: cancel.clone(),
        })
    }
}

/// What the source is beside what it is to be.
fn analyse(info: &StreamInfo, profile: Profile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |what, found: String, wanted: &str, conforms| {
        let wanted = wanted.to_owned();
        findings.push(Finding {
            what,
            found,
            wanted,
            conforms,
        });
    };
    let media = info.media.as_ref();
    let Some((media, (stream, video))) = media.and_then(|media| Some((media, media.main_video()?))) else {
        look(
            "container",
            "pictures or raw video".into(),
            profile.extension(),
            false,
        );
        return findings;
    };
    let container = media.container.clone();
    if profile == Profile::Archive {
        look(
            "container",
            container.clone(),
            "Matroska",
            container.contains("matroska"),
        );
        look("codec", stream.codec.clone(), "ffv1", stream.codec == "ffv1");
        return findings;
    }
    look("container", container.clone(), "MP4", container.contains("mp4"));
    look("codec", stream.codec.clone(), "h264", stream.codec == "h264");
    let codec_profile = video.profile.clone().unwrap_or_else(|| "unknown".into());
    look("profile", codec_profile.clone(), "High", codec_profile == "High");
    look(
        "pixel format",
        video.pixel_format.clone(),
        "yuv420p",
        video.pixel_format == "yuv420p",
    );
    let tag = |name: Option<&'static str>| name.unwrap_or("not tagged").to_owned();
    let tags = video.color;
    look(
        "matrix",
        tag(tags.matrix.name()),
        "bt709",
        tags.matrix == Matrix::Bt709,
    );
    look(
        "primaries",
        tag(tags.primaries.name()),
        "bt709",
        tags.primaries == Primaries::Bt709,
    );
    look(
        "transfer",
        tag(tags.transfer.name()),
        "bt709",
        tags.transfer == Transfer::Bt709,
    );
    // H.264 without a range tag is limited by definition.
    look("range", tag(tags.range.name()), "tv", tags.range != Range::Full);
    if let Some(wanted) = profile.rate() {
        let found = crate::video::rate_text(info.frame_rate.filter(|_| !info.variable_rate));
        let conforms = info.frame_rate == Some(wanted) && !info.variable_rate;
        look("rate", found, "25 fps", conforms);
    }
    for stream in media
        .streams
        .iter()
        .filter(|stream| stream.kind == StreamKind::Audio)
    {
        let rate = stream.audio.map_or(0, |(_, rate)| rate);
        let wanted = profile.audio_rate();
        let conforms = stream.codec == "aac" && wanted.is_none_or(|wanted| wanted == rate);
        let text = wanted.map_or("aac".to_owned(), |wanted| format!("aac, {wanted} Hz"));
        look("sound", format!("{}, {rate} Hz", stream.codec), &text, conforms);
    }
    findings
}

/// What happens to the other streams: sound that the profile does not want is transcoded.
fn streams(
    media: &MediaInfo,
    container: Container,
    profile: Profile,
    cancel: &CancelToken,
) -> Result<StreamPlan> {
    let mut plan = plan_streams(media, container, Companions::Keep);
    if profile != Profile::Archive {
        plan.audio_rate = profile.audio_rate();
        for planned in plan
            .streams
            .iter_mut()
            .filter(|stream| stream.kind == StreamKind::Audio)
        {
            let source = media.streams.iter().find(|stream| stream.index == planned.index);
            let rate = source.and_then(|stream| stream.audio).map(|(_, rate)| rate);
            let rate_fits = profile.audio_rate().is_none() || profile.audio_rate() == rate;
            if planned.codec != "aac" || !rate_fits {
                let reason = match profile.audio_rate() {
                    Some(wanted) => format!("the profile wants AAC at {wanted} Hz"),
                    None => "the profile wants AAC".to_owned(),
                };
                planned.action = Action::Transcode {
                    encoder: "aac",
                    reason,
                };
            }
        }
    }
    plan.check(media, container, cancel)?;
    Ok(plan)
}

impl ReencodeRun {
    /// What was found.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether there is nothing to do.
    pub fn conforms(&self) -> bool {
        self.findings.iter().all(|finding| finding.conforms)
    }

    /// Whether it will be written: it does not conform, or is to be written anyway.
    pub fn is_needed(&self) -> bool {
        self.job.force || !self.conforms()
    }

    /// The result's name.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Frames announced by the source.
    pub fn frames(&self) -> Option<u64> {
        self.info.frames
    }

    /// What happens to each stream.
    pub fn streams(&self) -> Option<&StreamPlan> {
        self.streams.as_ref()
    }

    /// Does it. `progress` is told frames written, and then frames compared.
    ///
    /// # Errors
    /// Those of reading and writing; [`Error::Data`] where the colours of the result are off. Nothing is left under
    /// the output's name then.
    pub fn run(self, progress: &mut dyn FnMut(Stage, u64)) -> Result<ReencodeSummary> {
        let start = Instant::now();
        let input = crate::video::input_path(&self.job.source.input).unwrap_or(Path::new(""));
        if same_file(input, &self.target) {
            return Err(MediaError::OutputIsInput(self.target).into());
        }
        if !self.job.overwrite && self.target.symlink_metadata().is_ok() {
            return Err(MediaError::Exists(self.target).into());
        }
        let unchecked = Unchecked::beside(&self.target);
        let (mut written, mut warnings) = self.write(&unchecked.0, progress)?;
        let read = |path: &Path| SourceSpec {
            input: Input::parse(path),
            orientation: Orientation::Apply,
            frame_rate: None,
            ..self.job.source.clone()
        };
        let source = SourceSpec {
            orientation: Orientation::Apply,
            ..self.job.source.clone()
        };
        let exact = self.job.profile == Profile::Archive;
        let check = compare(
            &source,
            &read(&unchecked.0),
            exact,
            &self.job.limits,
            &mut |frames| {
                progress(Stage::Checking, frames);
            },
        )?;
        if !check.passed() {
            return Err(Error::Data(format!(
                "the colours of the result are not those of {}: {}; it was not kept",
                input.display(),
                check.failures.join("; ")
            )));
        }
        fs::rename(&unchecked.0, &self.target)
            .map_err(|error| Error::io("rename to", &self.target, error))?;
        written.path = Some(self.target);
        warnings.extend(written.warnings.iter().cloned());
        Ok(ReencodeSummary {
            written,
            check,
            elapsed: start.elapsed(),
            warnings,
        })
    }

    fn write(&self, path: &Path, progress: &mut dyn FnMut(Stage, u64)) -> Result<(Written, Vec<String>)> {
        let archive = self.job.profile == Profile::Archive;
        let spec = SinkSpec {
            codec: Some(if archive { Codec::Ffv1 } else { Codec::H264 }),
            crf: self.job.crf,
            preset: self.job.preset.clone(),
            pixel_format: (!archive).then_some(PixelFormat::YUV420P),
            overwrite: true,
            companions: self.info.media.clone().zip(self.streams.clone()),
            cancel: self.cancel.clone(),
            ..SinkSpec::new(Output::File(path.to_owned()))
        };
        let timeline = self.timeline();
        let mut params = VideoParams::for_timeline(&self.info, &timeline);
        if !archive {
            params.tags = BT709;
            (params.width, params.height) = (even(params.width), even(params.height));
        }
        let mut source = open_source(&self.job.source)?;
        let mut writer = Writer {
            sink: open_sink(&spec, &params)?,
            info: &self.info,
            convert: !archive,
            cancel: &self.cancel,
            progress,
            frames: 0,
        };
        let mut timeline = Timeline::new(timeline)?;
        let mut left: Option<Arc<Frame>> = None;
        while let Some(frame) = source.next_frame()? {
            if let Push::Frames(frames) = timeline.push(frame.pts, frame.duration)? {
                if let Some(left) = &left {
                    writer.show(left, &frames)?;
                }
                left = Some(Arc::new(frame));
            }
        }
        if let Some(left) = &left {
            writer.show(left, &timeline.finish()?)?;
        }
        Ok((writer.sink.finish()?, source.warnings()))
    }

    /// Times as they are, or the profile's rate: of two frames the one that is on screen then.
    fn timeline(&self) -> TimelineOptions {
        let mode = self
            .job
            .profile
            .rate()
            .map_or(TimelineMode::Factor(1), TimelineMode::TargetRate);
        TimelineOptions {
            max_gap: Time::from(time::MAX_SECONDS),
            ..TimelineOptions::new(mode, self.info.frame_rate)
        }
    }
}

/// What a job is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Frames are written.
    Writing,
    /// Frames are compared.
    Checking,
}

struct Writer<'a> {
    sink: Box<dyn Sink>,
    info: &'a StreamInfo,
    convert: bool,
    cancel: &'a CancelToken,
    progress: &'a mut dyn FnMut(Stage, u64),
    frames: u64,
}

impl Writer<'_> {
    /// One source frame at all the times at which it is shown.
    fn show(&mut self, frame: &Frame, times: &[OutputFrame]) -> Result<()> {
        if times.is_empty() {
            return Ok(());
        }
        let frame = self.converted(frame);
        for at in times {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            self.sink.write(&frame.clone().at(at.pts, at.duration))?;
            self.frames += 1;
            (self.progress)(Stage::Writing, self.frames);
        }
        Ok(())
    }

    fn converted(&self, frame: &Frame) -> Frame {
        let (params, tags) = (self.sink.params(), &self.info.tags);
        let same_size = [frame.width, frame.height] == [params.width, params.height];
        let meant_so = tags.effective_matrix(frame.width, frame.height) == params.tags.matrix
            && tags.range != Range::Full
            && !gamut::differs(tags.primaries);
        if frame.format == params.format && same_size && (!self.convert || meant_so) {
            return frame.clone();
        }
        let mut image = frame.to_rgb(tags);
        if self.convert {
            gamut::to_bt709(&mut image, tags.primaries);
        }
        Frame::from_rgb(
            &extend(image, params.width, params.height),
            params.format,
            &params.tags,
        )
    }
}

fn even(side: u32) -> u32 {
    side.next_multiple_of(2)
}

/// A picture with its last column and row repeated up to a size; alpha is left behind where it must be extended.
fn extend(image: RgbImage, width: u32, height: u32) -> RgbImage {
    if [image.width, image.height] == [width, height] {
        return image;
    }
    let (w, h) = (image.width as usize, image.height as usize);
    let pixel = |plane: &[f32], x: usize, y: usize| plane[y.min(h - 1) * w + x.min(w - 1)];
    let data = image.channels().into_iter().flat_map(|plane| {
        (0..height as usize).flat_map(move |y| (0..width as usize).map(move |x| pixel(plane, x, y)))
    });
    RgbImage::new(width, height, data.collect())
}

/// A result that is still to be checked; removed where it does not get its name.
struct Unchecked(PathBuf);

impl Unchecked {
    fn beside(target: &Path) -> Self {
        let stem = target
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let extension = target
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Self(target.with_file_name(format!(".{stem}.unchecked.{extension}")))
    }
}

impl Drop for Unchecked {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
