//! What a video job leaves beside its result so that the result can be checked later: `OUT.EXT.rife.json`, with what
//! went in, what decided the result, and what was written.
//!
//! It is a file of its own and no tag of the result: a tag cannot hold the hash of the file that it is in, half the
//! containers have no place for it, and the result's bytes would change with what is said of them. It is written after
//! the result has its name, so a resumed result and its manifest are those of an uninterrupted run.

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

use crate::video::file_hash;
use crate::{Error, Result};

/// The layout; another one is not read.
const LAYOUT: u32 = 1;
/// The largest manifest that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A fraction as it is stored.
pub type Fraction = [i64; 2];

/// What is said of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    layout: u32,
    /// The version of the program that made it.
    pub program: String,
    /// The input's path as it was given.
    pub input: Option<PathBuf>,
    /// Everything that decides what comes out, each with a name for people: the input's and the weights' SHA-256 and
    /// every option among them.
    pub facts: Vec<(String, String)>,
    /// The result's SHA-256.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its video frames.
    pub frames: u64,
    /// End of the last frame less start of the first, in seconds.
    pub duration: Fraction,
    /// The unit of its times, in seconds.
    pub time_base: Fraction,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Pixel format, colour tags, sample aspect ratio and rotation, as text.
    pub tags: Vec<(String, String)>,
    /// Where each stream of sound lies in the input, as it should in the result.
    pub sound: Vec<Sound>,
}

/// Where a stream of sound lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sound {
    /// Its start less that of the video, in seconds.
    pub start: Fraction,
    /// How much of it lies before that start, an encoder's priming that the container tells players to skip, in seconds.
    #[serde(default = "nothing")]
    pub priming: Fraction,
    /// How long it lasts, in seconds, where it is known.
    pub duration: Option<Fraction>,
}

/// Where the manifest of a result is.
pub fn path_of(output: &Path) -> PathBuf {
    rife_files::beside(output, "", ".rife.json")
}

/// No time.
fn nothing() -> Fraction {
    [0, 1]
}

/// A time as it is stored.
pub(crate) fn fraction(time: Ratio<i64>) -> Fraction {
    [*time.numer(), *time.denom()]
}

/// A stored time, which [`Manifest::read_at`] has found in range; zero for any other.
pub(crate) fn ratio(fraction: Fraction) -> Ratio<i64> {
    time::from_fraction(fraction).unwrap_or_default()
}

/// What a manifest is made of.
pub(crate) struct Made<'a> {
    pub(crate) input: Option<&'a Path>,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) info: &'a StreamInfo,
    pub(crate) params: &'a VideoParams,
    pub(crate) streams: Option<&'a StreamPlan>,
    pub(crate) stretch: Ratio<i64>,
    pub(crate) written: &'a Written,
    pub(crate) cancel: &'a CancelToken,
}

impl Manifest {
    /// The manifest of a result that has just been written.
    pub(crate) fn new(made: Made<'_>, output: &Path) -> Result<Self> {
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
            sound: match media {
                Some((media, plan)) => sound(media, |index| along(plan, index), made.stretch)?,
                None => Vec::new(),
            },
        })
    }

    /// Reads the manifest of `output`; nothing where there is none.
    ///
    /// # Errors
    /// [`Error::Data`] for a file that is no manifest of this layout.
    pub fn read(output: &Path) -> Result<Option<Self>> {
        Self::read_at(&path_of(output))
    }

    /// Reads a manifest; nothing where there is no such file.
    ///
    /// # Errors
    /// As [`Manifest::read`].
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

    /// The first time in it that is out of range.
    fn wrong_time(&self) -> Option<(&'static str, Fraction)> {
        let own = [("duration", self.duration), ("time base", self.time_base)];
        let sound = self.sound.iter().flat_map(|sound| {
            let known = [
                ("start of sound", sound.start),
                ("priming of sound", sound.priming),
            ];
            let length = sound.duration.map(|duration| ("duration of sound", duration));
            known.into_iter().chain(length)
        });
        let mut all = own.into_iter().chain(sound);
        all.find(|(_, fraction)| time::from_fraction(*fraction).is_none())
    }

    /// Writes it beside `output`, whole or not at all.
    pub(crate) fn write(&self, output: &Path) -> Result<PathBuf> {
        let path = path_of(output);
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::Data(error.to_string()))?;
        rife_files::replace(&path, &text).map_err(|error| Error::io("write", &path, error))?;
        Ok(path)
    }

    /// A fact by its name.
    pub fn fact(&self, name: &str) -> Option<&str> {
        let found = self.facts.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is said of the pictures beside their size.
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

/// Streams that go along with the video.
fn along(plan: &StreamPlan, index: u32) -> bool {
    let planned = plan.streams.iter().find(|planned| planned.index == index);
    planned.is_some_and(|planned| matches!(planned.action, Action::Copy | Action::Transcode { .. }))
}

/// Where the streams of sound that `which` chooses lie beside the video, in a time that is stretched.
pub(crate) fn sound(
    media: &MediaInfo,
    which: impl Fn(u32) -> bool,
    stretch: Ratio<i64>,
) -> Result<Vec<Sound>> {
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
    let primed = probe::sound_priming(&media.path, &Limits::default())?;
    let priming = |index: u32| {
        primed
            .iter()
            .find(|(found, _)| *found == index)
            .map_or(zero, |(_, time)| *time)
    };
    let sound = streams.map(|stream| Sound {
        start: fraction((stream.start.unwrap_or(zero) - video) * stretch),
        priming: fraction(priming(stream.index) * stretch),
        duration: stream.duration.map(|duration| fraction(duration * stretch)),
    });
    Ok(sound.collect())
}
