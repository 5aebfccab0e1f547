//! A video written anew in a form that everything plays. Before, it is looked at: what is in that form already is left
//! alone. After, source and result are both decoded and compared: a result whose colours are off is not kept.
//!
//! Profiles:
//! - `web`: H.264 High, yuv420p, CRF 18, medium, BT.709 (limited range), sound in AAC, in MP4.
//! - `latentsync`: the same at 25 frames a second, with sound at 16 kHz.
//! - `archive`: FFV1, lossless, in the source's own pixel format and tags, all streams copied, in Matroska.
//!
//! Codes are converted, not relabelled: matrix and range through RGB, primaries in linear light. The curves
//! of SDR are taken for one, as players do; HDR is refused, since it would need tone mapping.

mod analysis;
mod check;
mod write;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use num_rational::Ratio;
use rife_media::sink::Workplace;
use rife_media::{
    CancelToken, Container, Input, Orientation, SourceSpec, StreamInfo, StreamPlan, Written, open_source,
};

pub use analysis::Finding;
pub use check::{ColorCheck, ColorLimits, compare};

use crate::video::Keep;
use crate::{Error, Result};

/// Frames per second and audio sample rate in Hz that LatentSync, a lip-sync network, works with.
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

    /// Its name, as options have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::LatentSync => "latentsync",
            Self::Archive => "archive",
        }
    }

    /// The extension of its container.
    pub fn extension(self) -> &'static str {
        if self == Self::Archive { "mkv" } else { "mp4" }
    }
}

/// A video to write anew.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
    /// Whether and how an unfinished result is kept, so that the same job goes on where it was.
    pub keep: Keep,
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
    /// What the result of `input` is called where [`ReencodeJob::output`] is nothing: `{stem}_reencoded.{extension}`.
    pub fn usual_output(&self, input: &Path) -> PathBuf {
        rife_files::with_stem(input, &format!("_reencoded.{}", self.profile.extension()))
    }

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
            keep: Keep::default(),
        }
    }

    /// Looks at the source; nothing is written yet.
    ///
    /// # Errors
    /// Those of opening the source; [`Error::Data`] for HDR, except into an archive.
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
    /// the output's name then; what is encoded is kept beside it as [`ReencodeJob::keep`] says.
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

    /// Compares the result with the source, as both are shown.
    fn check(&self, result: &Path, progress: &mut dyn FnMut(Stage, u64)) -> Result<ColorCheck> {
        let source = SourceSpec {
            orientation: Orientation::Apply,
            ..self.job.source.clone()
        };
        let made = SourceSpec {
            input: Input::parse(result),
            frame_rate: None,
            deinterlace: false,
            ..source.clone()
        };
        let exact = self.job.profile == Profile::Archive;
        let mut compared = |frames| progress(Stage::Checking, frames);
        compare(&source, &made, exact, &self.job.limits, &mut compared)
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
