//! Manifest of a result: a JSON file `OUT.EXT.rife.json` in the result's folder with the input, all options, the result's
//! hash, streams and times, for a later check by [`verify`](crate::verify).
//!
//! The manifest is a separate file and not a metadata tag of the result: a tag cannot hold the hash of its own file, and not
//! all containers have tags. It is written after the result was renamed to its final name, so that a resumed job leaves the
//! same manifest as an uninterrupted one.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::probe::{self, StreamKind};
use rife_media::{
    Action, CancelToken, ColorTags, Limits, MediaInfo, PixelFormat, StreamInfo, StreamPlan, VideoParams,
    Written, time,
};
use serde::{Deserialize, Serialize};

use crate::hash::file_hash;
use crate::{Error, Result};

/// Version of the JSON schema; files of another version are refused.
const LAYOUT: u32 = 1;
/// Maximum number of bytes of a manifest that are read.
const MAX_BYTES: u64 = 1 << 20;

/// A stored fraction: numerator, denominator.
pub type Fraction = [i64; 2];

/// The manifest of a result, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    layout: u32,
    /// The version of the program that wrote the result.
    pub program: String,
    /// The input's path as the user gave it; `None` for an input without a path.
    pub input: Option<PathBuf>,
    /// The job's fingerprint, as pairs of a name for people and a value: SHA-256 of the input and of the weights, and every
    /// option that the frames depend on.
    pub facts: Vec<(String, String)>,
    /// The result's SHA-256.
    pub sha256: String,
    /// The result's size in bytes.
    pub bytes: u64,
    /// The number of video frames.
    pub frames: u64,
    /// End of the last frame minus start of the first, in seconds.
    pub duration: Fraction,
    /// The time base of the video stream, in seconds.
    pub time_base: Fraction,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Pixel format, colour tags and sample aspect ratio, as pairs of name and value.
    pub tags: Vec<(String, String)>,
    /// Expected timing of each audio stream of the result, derived from the input.
    #[serde(rename = "sound")]
    pub audio: Vec<AudioTiming>,
}

/// Position of an audio stream relative to the video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioTiming {
    /// Start of the audio minus start of the video, in seconds.
    pub start: Fraction,
    /// Encoder delay (priming) before `start`, which the container tells players to skip, in seconds.
    #[serde(default = "no_priming")]
    pub priming: Fraction,
    /// Duration in seconds, if the container says it.
    pub duration: Option<Fraction>,
}

/// Returns the path of the manifest of the result `output`.
pub fn path_of(output: &Path) -> PathBuf {
    rife_files::beside(output, "", ".rife.json")
}

/// Returns 0 seconds, the priming of manifests that do not have this field.
fn no_priming() -> Fraction {
    [0, 1]
}

/// Converts a time in seconds to the stored form.
pub(crate) fn fraction(time: Ratio<i64>) -> Fraction {
    [*time.numer(), *time.denom()]
}

/// Converts a stored time to seconds. Invalid fractions, which [`Manifest::read_at`] refuses, give 0.
pub(crate) fn ratio(fraction: Fraction) -> Ratio<i64> {
    time::from_fraction(fraction).unwrap_or_default()
}

/// Arguments of [`Manifest::new`]: what is known of a job and its result when the result is complete.
pub(crate) struct ManifestParts<'a> {
    pub(crate) input: Option<&'a Path>,
    /// The job's fingerprint.
    pub(crate) facts: Vec<(String, String)>,
    /// The input's video stream and its file's other streams.
    pub(crate) info: &'a StreamInfo,
    /// The output's video stream.
    pub(crate) params: &'a VideoParams,
    /// Which of the input's other streams were copied.
    pub(crate) streams: Option<&'a StreamPlan>,
    /// Factor by which times of the input are multiplied: above 1 for slow motion.
    pub(crate) stretch: Ratio<i64>,
    pub(crate) written: &'a Written,
    pub(crate) cancel: &'a CancelToken,
}

impl Manifest {
    /// Builds the manifest of the complete result `output`, whose hash is computed here.
    pub(crate) fn new(made: ManifestParts<'_>, output: &Path) -> Result<Self> {
        let sha256 = file_hash(output, made.cancel)?;
        let metadata = fs::metadata(output).map_err(|error| Error::io("read", output, error))?;
        let media = made.info.media.as_ref().zip(made.streams);
        Ok(Self {
            layout: LAYOUT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            input: made.input.map(Path::to_owned),
            facts: made.facts,
            sha256,
            bytes: metadata.len(),
            frames: made.written.frames,
            duration: fraction(made.written.duration),
            time_base: fraction(made.params.time_base),
            size: [made.params.width, made.params.height],
            tags: tags(made.params.format, &made.params.tags, made.params.sample_aspect),
            audio: match media {
                // The sink has compared it with the input's part.
                Some((_, plan)) if plan.excerpt.is_some() => {
                    let written = probe::probe(output, &Limits::default())?;
                    audio_timings(&written, |_| true, Ratio::from(1))?
                }
                Some((media, plan)) => audio_timings(media, |index| is_kept(plan, index), made.stretch)?,
                None => Vec::new(),
            },
        })
    }

    /// Reads the manifest of the result `output`; `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::Data`] for a file that is no manifest or has another schema version; [`Error::Io`].
    pub fn read(output: &Path) -> Result<Option<Self>> {
        Self::read_at(&path_of(output))
    }

    /// Reads the manifest at `path`; `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::Data`] for a file that is no manifest or has another schema version; [`Error::Io`].
    pub fn read_at(path: &Path) -> Result<Option<Self>> {
        let file = match rife_files::open_regular(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open", path, error)),
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES)
            .read_to_end(&mut text)
            .map_err(|error| Error::io("read", path, error))?;
        let bad = |reason: String| Error::Data(format!("{} is no manifest: {reason}", path.display()));
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        if manifest.layout != LAYOUT {
            return Err(bad(format!("its layout is {}, not {LAYOUT}", manifest.layout)));
        }
        if let Some((name, [numer, denom])) = manifest.wrong_time() {
            return Err(bad(format!(
                "its {name} is {numer}/{denom}; a time of at most {} s either way is accepted, with a denominator from 1 to \
                 {}",
                time::MAX_SECONDS,
                time::MAX_DENOMINATOR
            )));
        }
        Ok(Some(manifest))
    }

    /// Returns the name and value of the first time that is out of range.
    fn wrong_time(&self) -> Option<(&'static str, Fraction)> {
        let own = [("duration", self.duration), ("time base", self.time_base)];
        let audio = self.audio.iter().flat_map(|audio| {
            let known = [
                ("start of sound", audio.start),
                ("priming of sound", audio.priming),
            ];
            let length = audio.duration.map(|duration| ("duration of sound", duration));
            known.into_iter().chain(length)
        });
        let mut all = own.into_iter().chain(audio);
        all.find(|(_, fraction)| time::from_fraction(*fraction).is_none())
    }

    /// Writes the manifest of the result `output` atomically; returns the manifest's path.
    pub(crate) fn write(&self, output: &Path) -> Result<PathBuf> {
        let path = path_of(output);
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::Data(error.to_string()))?;
        rife_files::replace(&path, &text).map_err(|error| Error::io("write", &path, error))?;
        Ok(path)
    }

    /// Returns the value of the entry `name` of [`Manifest::facts`], such as "the weights".
    pub fn fact(&self, name: &str) -> Option<&str> {
        let found = self.facts.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Describes the pixel format, colour tags and sample aspect ratio as pairs of name and value.
pub(crate) fn tags(format: PixelFormat, tags: &ColorTags, aspect: Ratio<i64>) -> Vec<(String, String)> {
    [
        ("pixel format", format.to_string()),
        ("matrix", format!("{:?}", tags.matrix)),
        ("range", format!("{:?}", tags.range)),
        ("primaries", format!("{:?}", tags.primaries)),
        ("transfer", format!("{:?}", tags.transfer)),
        ("sample aspect", aspect.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Reports whether the input's stream `index` is copied or transcoded into the result.
fn is_kept(plan: &StreamPlan, index: u32) -> bool {
    let planned = plan.streams.iter().find(|planned| planned.index == index);
    planned.is_some_and(|planned| matches!(planned.action, Action::Copy | Action::Transcode { .. }))
}

/// Returns the timing of the audio streams whose index `which` accepts, relative to the video's start, with all times
/// multiplied by `stretch`. Reads the file's packets for the priming.
pub(crate) fn audio_timings(
    media: &MediaInfo,
    which: impl Fn(u32) -> bool,
    stretch: Ratio<i64>,
) -> Result<Vec<AudioTiming>> {
    let zero = Ratio::from(0);
    let video = media
        .main_video()
        .and_then(|(stream, _)| stream.start)
        .unwrap_or(zero);
    let mut streams = media
        .streams
        .iter()
        .filter(|stream| stream.kind == StreamKind::Audio && which(stream.index))
        .peekable();
    if streams.peek().is_none() {
        return Ok(Vec::new());
    }
    let primed = probe::audio_priming(&media.path, &Limits::default())?;
    let priming = |index: u32| {
        primed
            .iter()
            .find(|(found, _)| *found == index)
            .map_or(zero, |(_, time)| *time)
    };
    let timings = streams.map(|stream| AudioTiming {
        start: fraction((stream.start.unwrap_or(zero) - video) * stretch),
        priming: fraction(priming(stream.index) * stretch),
        duration: stream.duration.map(|duration| fraction(duration * stretch)),
    });
    Ok(timings.collect())
}
