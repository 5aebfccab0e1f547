//! Re-encoding job: converts a video to a widely supported format. A source that conforms to the profile already is not
//! re-encoded. Afterwards source and result are decoded and compared, and a result with wrong colours is discarded.
//!
//! Profiles:
//! - `web`: H.264 High, yuv420p, CRF 18, preset medium, BT.709 (limited range), AAC audio, in MP4.
//! - `latentsync`: the same at 25 frames per second, with audio at 16 kHz.
//! - `archive`: FFV1, lossless, in the source's pixel format and colour tags, all streams copied, in Matroska.
//!
//! Colours are converted, not only tagged anew: matrix and range through RGB, primaries in linear light. The SDR transfer
//! functions are treated as one, as players do; HDR is refused, since it would need tone mapping.

mod analysis;
mod color_check;
mod write;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use num_rational::Ratio;
use rife_media::sink::Workplace;
use rife_media::{
    CancelToken, Container, Input, Orientation, SourceSpec, StreamInfo, StreamPlan, Written, open_source,
};

pub use analysis::Finding;
pub use color_check::{ColorCheck, ColorLimits, compare};

use crate::choice::NamedChoice;
use crate::video::Keep;
use crate::{Error, Result};

/// Input of LatentSync, a lip-sync network: frames per second, and audio samples per second.
const LATENTSYNC: (i64, u32) = (25, 16_000);

/// The target format, by its use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Browsers and common players: H.264 and AAC in MP4.
    #[default]
    Web,
    /// The lip-sync network LatentSync: as [`Profile::Web`], 25 frames per second, audio at 16 kHz.
    LatentSync,
    /// Archiving: lossless FFV1 in Matroska.
    Archive,
}

impl Profile {
    /// Returns the frame rate that the profile requires, if any.
    fn rate(self) -> Option<Ratio<i64>> {
        (self == Self::LatentSync).then(|| Ratio::from(LATENTSYNC.0))
    }

    /// Returns the audio sample rate in Hz that the profile requires, if any.
    fn audio_rate(self) -> Option<u32> {
        (self == Self::LatentSync).then_some(LATENTSYNC.1)
    }

    /// Returns the profile's name in options: `web`, `latentsync` or `archive`.
    pub fn name(self) -> &'static str {
        self.option_name()
    }

    /// Returns the file name extension of the profile's container.
    pub fn extension(self) -> &'static str {
        if self == Self::Archive { "mkv" } else { "mp4" }
    }
}

/// A video to re-encode, and the options.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReencodeJob {
    /// The input.
    pub source: SourceSpec,
    /// The output's path; [`ReencodeJob::usual_output`] when absent.
    pub output: Option<PathBuf>,
    /// The target format.
    pub profile: Profile,
    /// Whether a source that conforms already is re-encoded all the same.
    pub force: bool,
    /// Whether an existing output is replaced.
    pub overwrite: bool,
    /// The encoder's quality setting (CRF), 0 (best) to 63; 18 when absent.
    pub crf: Option<u32>,
    /// The encoder's preset; medium when absent.
    pub preset: Option<String>,
    /// Tolerances of the colour check.
    pub limits: ColorLimits,
    /// Whether and how an unfinished result is kept for the same job to resume.
    pub keep: Keep,
}

/// Result of a [`ReencodeRun`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReencodeSummary {
    /// The sink's report on the written file.
    pub written: Written,
    /// Comparison of source and result.
    pub check: ColorCheck,
    /// Duration of encoding and check.
    pub elapsed: Duration,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// A job whose source was analysed, ready to run.
#[derive(Debug)]
pub struct ReencodeRun {
    job: ReencodeJob,
    /// The source's video stream.
    info: StreamInfo,
    /// The output's path.
    target: PathBuf,
    /// Properties of the source, compared with the profile.
    findings: Vec<Finding>,
    /// What happens to each stream of the source, if it is a file with streams.
    streams: Option<StreamPlan>,
    cancel: CancelToken,
}

impl ReencodeJob {
    /// Returns the default output path in the input's folder: `{stem}_reencoded.{extension}`.
    pub fn usual_output(&self, input: &Path) -> PathBuf {
        rife_files::with_stem(input, &format!("_reencoded.{}", self.profile.extension()))
    }

    /// Makes a job that re-encodes `input` by `profile`, with defaults for all other options.
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
            keep: Keep::default(),
        }
    }

    /// Probes the source and compares it with the profile; nothing is written yet.
    ///
    /// # Errors
    /// Those of opening the source; [`Error::Data`] for HDR, except for [`Profile::Archive`]; [`Error::Usage`] for an input
    /// that cannot be read twice.
    pub fn open(mut self, cancel: &CancelToken) -> Result<ReencodeRun> {
        self.source.cancel = cancel.clone();
        let input = &self.source.input;
        let path = crate::video::input_path(input).filter(|_| !rife_media::source::is_stream(input));
        let path = path.map(Path::to_owned);
        let path = path.ok_or_else(|| {
            Error::Usage("standard input and pipes cannot be read twice: give a file".into())
        })?;
        let target = self.output.clone().unwrap_or_else(|| self.usual_output(&path));
        let container = Container::of(&target)?;
        if !container.holds_rotation() {
            self.source.orientation = Orientation::Apply;
        }
        let info = open_source(&self.source)?.info().clone();
        if info.tags.is_hdr() && self.profile != Profile::Archive {
            return Err(Error::Data(format!(
                "{} is HDR ({}): BT.709 would need tone mapping, which is not done here; the profile for archives keeps it",
                path.display(),
                info.tags.transfer.name().unwrap_or_default()
            )));
        }
        let findings = analysis::analyse(&info, self.profile);
        let streams = match &info.media {
            Some(media) => Some(analysis::streams(media, container, self.profile, cancel)?),
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

impl ReencodeRun {
    /// Returns one finding for each property that the target [`Profile`] requires: the source's value, and whether it
    /// conforms.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Reports whether the source conforms to the profile.
    pub fn conforms(&self) -> bool {
        self.findings.iter().all(|finding| finding.conforms)
    }

    /// Reports whether the source needs re-encoding: it does not conform, or [`ReencodeJob::force`] is set.
    pub fn is_needed(&self) -> bool {
        self.job.force || !self.conforms()
    }

    /// Returns the output's path.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Returns the number of frames that the source's container declares.
    pub fn frames(&self) -> Option<u64> {
        self.info.frames
    }

    /// Returns what happens to each stream of the source, if it is a file with streams.
    pub fn streams(&self) -> Option<&StreamPlan> {
        self.streams.as_ref()
    }

    /// Runs the job. `progress` is called with the number of frames written, then with the number of frames compared.
    ///
    /// # Errors
    /// Those of reading and writing; [`Error::Data`] if the colours of the result are wrong. No output file exists then;
    /// finished segments are kept in its folder if [`ReencodeJob::keep`] is on.
    pub fn run(self, progress: &mut dyn FnMut(Stage, u64)) -> Result<ReencodeSummary> {
        let start = Instant::now();
        let input = crate::video::input_path(&self.job.source.input).unwrap_or(Path::new(""));
        let mut place = Workplace::beside(&self.target, self.job.overwrite, std::iter::once(input))?;
        let unchecked = place.file("unchecked");
        let (mut written, mut warnings) = write::write(&self, &unchecked, progress)?;
        let check = self.check(&unchecked, progress)?;
        if !check.passed() {
            return Err(Error::Data(format!(
                "the colours of the result are not those of {}: {}; it was not kept",
                input.display(),
                check.failures.join("; ")
            )));
        }
        place.promote(&unchecked)?;
        written.path = Some(self.target);
        warnings.append(&mut written.warnings);
        Ok(ReencodeSummary {
            written,
            check,
            elapsed: start.elapsed(),
            warnings,
        })
    }

    /// Compares the colours of the file `result` with the source's.
    fn check(&self, result: &Path, progress: &mut dyn FnMut(Stage, u64)) -> Result<ColorCheck> {
        let mut source = self.job.source.clone();
        source.orientation = Orientation::Apply;
        let mut made = source.clone();
        made.input = Input::parse(result);
        made.frame_rate = None;
        made.deinterlace = false;
        let exact = self.job.profile == Profile::Archive;
        let mut compared = |frames| progress(Stage::Checking, frames);
        compare(&source, &made, exact, &self.job.limits, &mut compared)
    }
}

/// Stage of a running job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Frames are encoded.
    Writing,
    /// Frames of source and result are compared.
    Checking,
}
