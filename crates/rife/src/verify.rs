//! Verification of a result: decodes the file and compares hash, frame count, times, tags and audio sync with its manifest,
//! or, without a manifest, the frames with what the container declares. Nothing is written.

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::{CancelToken, Input, SourceSpec, StreamInfo, open_source, time};

use crate::hash::file_hash;
use crate::manifest::{self, AudioTiming, Manifest, audio_timings, ratio};
use crate::weights::weights_sha256;
use crate::{Error, ErrorKind, ModelChoice, Result, model_choice};

/// Tolerance of the audio's start in seconds: a packet of AAC at 44.1 kHz lasts 23 ms, and containers begin a stream at a
/// packet's border.
pub const SYNC_TOLERANCE: f64 = 0.025;

/// A result to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyJob {
    /// The result's file.
    pub output: PathBuf,
    /// The manifest's path; [`manifest::path_of`] the result when absent.
    pub manifest: Option<PathBuf>,
    /// The input's path, if it is no longer the one in the manifest.
    pub input: Option<PathBuf>,
}

/// Outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The found value is the expected one.
    Right,
    /// The found value differs from the expected one.
    Wrong,
    /// The check cannot be made: the expected or the found value is not available.
    Unknown,
}

/// One property of the result that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The property, for people, such as "frames".
    pub name: &'static str,
    /// The outcome.
    pub verdict: Verdict,
    /// The expected value, for people.
    pub expected: String,
    /// The found value, for people.
    pub found: String,
}

/// Result of [`VerifyJob::run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whether the result has a manifest.
    pub manifest: bool,
    /// All checks in the order in which they were made.
    pub checks: Vec<Check>,
}

impl Verified {
    /// Returns an error if a check is [`Verdict::Wrong`].
    ///
    /// # Errors
    /// [`Error::Several`], which names the wrong checks.
    pub fn check(&self) -> Result<()> {
        let wrong = self.checks.iter().filter(|check| check.verdict == Verdict::Wrong);
        let names: Vec<&str> = wrong.map(|check| check.name).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(Error::Several {
            message: format!("the result is not what it should be: {}", names.join(", ")),
            kind: ErrorKind::Failure,
        })
    }
}

/// Statistics of a result's decoded frames; times in seconds.
struct Decoded {
    info: StreamInfo,
    frames: u64,
    /// Time of the first frame.
    first: Ratio<i64>,
    /// End of the last frame.
    end: Ratio<i64>,
    /// Duration of the last frame as the decoder reports it.
    last_duration: Ratio<i64>,
    /// Index of the first frame whose time is not above the one before.
    stuck: Option<u64>,
    /// The decoder's warnings.
    warnings: Vec<String>,
}

impl VerifyJob {
    /// Makes a job that checks `output` against the manifest in its folder.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self {
            output: output.into(),
            manifest: None,
            input: None,
        }
    }

    /// Decodes the result and makes all checks. `progress` is called with the number of frames decoded and the expected
    /// number.
    ///
    /// # Errors
    /// Those of opening the result and reading the manifest; [`Error::Cancelled`]. Wrong checks are no error here: see
    /// [`Verified::check`].
    pub fn run(&self, progress: &mut dyn FnMut(u64, Option<u64>), cancel: &CancelToken) -> Result<Verified> {
        let manifest = match &self.manifest {
            Some(path) => Some(
                Manifest::read_at(path)?
                    .ok_or_else(|| Error::Data(format!("there is no manifest {}", path.display())))?,
            ),
            None => Manifest::read(&self.output)?,
        };
        let mut checks = Vec::new();
        if let Some(manifest) = &manifest {
            let found = file_hash(&self.output, cancel)?;
            checks.push(same("content (SHA-256)", &manifest.sha256, &found));
        }
        let announced = manifest.as_ref().map(|manifest| manifest.frames);
        match decode(&self.output, announced, progress, cancel) {
            Ok(decoded) => {
                let manifest = manifest.as_ref();
                checks.extend(check_frames(&decoded, manifest));
                checks.extend(
                    manifest
                        .into_iter()
                        .flat_map(|manifest| check_tags(&decoded.info, manifest)),
                );
                checks.extend(check_audio(&decoded, manifest)?);
            }
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) if manifest.is_none() => return Err(error),
            Err(error) => checks.push(Check {
                name: "pictures",
                verdict: Verdict::Wrong,
                expected: "all can be decoded".into(),
                found: error.to_string(),
            }),
        }
        if let Some(manifest) = &manifest {
            checks.push(self.check_input(manifest, cancel)?);
            checks.push(check_weights(manifest));
            checks.push(check_program(manifest));
        }
        Ok(Verified {
            manifest: manifest.is_some(),
            checks,
        })
    }

    /// Checks the input's hash; the input is searched for at the job's path, at the manifest's and in the result's folder.
    fn check_input(&self, manifest: &Manifest, cancel: &CancelToken) -> Result<Check> {
        let expected = manifest.fact("the input").unwrap_or_default().to_owned();
        let in_folder = |path: &PathBuf| {
            let folder = self.output.parent().unwrap_or(Path::new(""));
            path.file_name().map(|name| folder.join(name))
        };
        let paths = [
            self.input.clone(),
            manifest.input.clone(),
            manifest.input.as_ref().and_then(in_folder),
        ];
        let found = paths.into_iter().flatten().find(|path| path.is_file());
        Ok(match found {
            Some(path) => same("input (SHA-256)", &expected, &file_hash(&path, cancel)?),
            None => unknown("input (SHA-256)", expected, "it is not at hand"),
        })
    }
}

/// Converts the result of a comparison.
fn verdict(right: bool) -> Verdict {
    if right { Verdict::Right } else { Verdict::Wrong }
}

/// Makes a check that is right if both texts are equal.
fn same(name: &'static str, expected: &str, found: &str) -> Check {
    Check {
        name,
        verdict: verdict(expected == found),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

/// Makes a check whose outcome is unknown because a value is not available; `found` is the known value or the reason.
fn unknown(name: &'static str, expected: String, found: &str) -> Check {
    Check {
        name,
        verdict: Verdict::Unknown,
        expected,
        found: found.to_owned(),
    }
}

/// Decodes the whole result; `announced` is the expected number of frames for `progress`, else the container's.
fn decode(
    output: &Path,
    announced: Option<u64>,
    progress: &mut dyn FnMut(u64, Option<u64>),
    cancel: &CancelToken,
) -> Result<Decoded> {
    let mut spec = SourceSpec::new(Input::File(output.to_owned()));
    spec.cancel = cancel.clone();
    spec.allow_interlaced = true;
    let mut source = open_source(&spec)?;
    let info = source.info().clone();
    let total = announced.or(info.frames);
    let zero = Ratio::from(0);
    let mut decoded = Decoded {
        info,
        frames: 0,
        first: zero,
        end: zero,
        last_duration: zero,
        stuck: None,
        warnings: Vec::new(),
    };
    let mut last = None;
    while let Some(frame) = source.next_frame()? {
        if last.is_none() {
            decoded.first = frame.pts;
        } else if last >= Some(frame.pts) && decoded.stuck.is_none() {
            decoded.stuck = Some(decoded.frames);
        }
        last = Some(frame.pts);
        decoded.last_duration = frame.duration;
        decoded.end = frame.pts + frame.duration;
        decoded.frames += 1;
        progress(decoded.frames, total);
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
    }
    decoded.warnings = source.warnings();
    Ok(decoded)
}

/// Checks number, order and total duration of the frames.
fn check_frames(decoded: &Decoded, manifest: Option<&Manifest>) -> Vec<Check> {
    let announced = manifest.map(|manifest| manifest.frames).or(decoded.info.frames);
    let count = decoded.frames.to_string();
    let mut checks = vec![match announced {
        Some(announced) => same("frames", &announced.to_string(), &count),
        None => unknown("frames", "unknown".into(), &count),
    }];
    checks.push(Check {
        name: "order",
        verdict: verdict(decoded.stuck.is_none() && decoded.warnings.is_empty()),
        expected: "every frame's time is above the one before".into(),
        found: match decoded.stuck {
            Some(frame) => format!("that of frame {frame} is not"),
            None if decoded.warnings.is_empty() => "so it is".into(),
            None => decoded.warnings.join("; "),
        },
    });
    let found = time::seconds(decoded.end - decoded.first);
    let expected = manifest
        .map(|manifest| ratio(manifest.duration))
        .or(decoded.info.duration)
        .map(time::seconds);
    // The first and the last time are each rounded to a tick of the time base.
    let tick = manifest.map_or(decoded.info.time_base, |manifest| {
        ratio(manifest.time_base).max(decoded.info.time_base)
    });
    // For a variable rate, containers do not say the duration of the last frame.
    let guessed = if decoded.info.variable_rate {
        time::seconds(decoded.last_duration)
    } else {
        0.0
    };
    // Without a manifest the announced duration is the container's, which may be that of the audio.
    let announced = if manifest.is_some() { 0.0 } else { 0.1 };
    let tolerance = time::seconds(tick) * 2.0 + guessed + announced;
    checks.push(match expected {
        Some(expected) => Check {
            name: "duration",
            // A difference equal to the tolerance is right in spite of rounding.
            verdict: verdict(near(found - expected, tolerance + 1e-9)),
            expected: format!("{expected:.6} s"),
            found: format!("{found:.6} s"),
        },
        None => unknown("duration", "unknown".into(), &format!("{found:.6} s")),
    });
    checks
}

/// Reports whether a difference is within the tolerance.
fn near(difference: f64, tolerance: f64) -> bool {
    difference.abs() <= tolerance
}

/// Checks size, pixel format and colour tags; tags that the manifest has as unspecified are not compared.
fn check_tags(info: &StreamInfo, manifest: &Manifest) -> Vec<Check> {
    let [width, height] = manifest.size;
    let size = same(
        "size",
        &format!("{width}x{height}"),
        &format!("{}x{}", info.width, info.height),
    );
    let found = manifest::tags(info.format, &info.tags, info.sample_aspect);
    let wrong: Vec<_> = manifest
        .tags
        .iter()
        .filter(|(_, value)| value != "Unspecified")
        .filter_map(|(name, value)| {
            let is = found.iter().find(|(found, _)| found == name)?;
            (is.1 != *value).then(|| format!("{name} is {} and should be {value}", is.1))
        })
        .collect();
    let all: Vec<&str> = manifest.tags.iter().map(|(_, value)| value.as_str()).collect();
    let tags = Check {
        name: "format and colour",
        verdict: verdict(wrong.is_empty()),
        expected: all.join(", "),
        found: if wrong.is_empty() {
            "the same".into()
        } else {
            wrong.join("; ")
        },
    };
    vec![size, tags]
}

/// Checks the timing of each audio stream; empty if there is no manifest or no container with streams.
fn check_audio(decoded: &Decoded, manifest: Option<&Manifest>) -> Result<Vec<Check>> {
    let (Some(manifest), Some(media)) = (manifest, &decoded.info.media) else {
        return Ok(Vec::new());
    };
    let found = audio_timings(media, |_| true, Ratio::from(1))?;
    if found.len() != manifest.audio.len() {
        return Ok(vec![same(
            "streams of sound",
            &manifest.audio.len().to_string(),
            &found.len().to_string(),
        )]);
    }
    let pairs = manifest.audio.iter().zip(&found);
    Ok(pairs
        .map(|(expected, found)| check_sync(expected, found))
        .collect())
}

/// Compares start and duration of an audio stream within [`SYNC_TOLERANCE`] and three times as much.
fn check_sync(expected: &AudioTiming, found: &AudioTiming) -> Check {
    let drift = |a, b| time::seconds(ratio(a)) - time::seconds(ratio(b));
    // MP4 tells players to skip the priming, which Matroska and others cannot do for a copied stream: then the stream starts
    // earlier by it.
    let hidden = drift(expected.priming, found.priming);
    let start = drift(found.start, expected.start);
    let start = if near(start + hidden, start.abs()) {
        start + hidden
    } else {
        start
    };
    let length = found
        .duration
        .zip(expected.duration)
        .map(|(found, expected)| drift(found, expected));
    // Up to two packets may be cut off or padded at the end.
    let right = near(start, SYNC_TOLERANCE) && length.is_none_or(|length| near(length, 3.0 * SYNC_TOLERANCE));
    Check {
        name: "sound in sync",
        verdict: verdict(right),
        expected: format!("as in the input, to {:.0} ms", 1e3 * SYNC_TOLERANCE),
        found: format!(
            "{:+.1} ms at its start{}",
            1e3 * start,
            length.map_or(String::new(), |length| format!(
                ", {:+.1} ms in length",
                1e3 * length
            ))
        ),
    }
}

/// Checks whether the weights are those embedded in this program; unknown for any others.
fn check_weights(manifest: &Manifest) -> Check {
    let name = "weights (SHA-256)";
    let expected = manifest.fact("the weights").unwrap_or_default().to_owned();
    let built_in = [ModelChoice::Default, ModelChoice::Fast].iter().any(|choice| {
        model_choice::find_weights(choice)
            .is_ok_and(|(loaded, _)| weights_sha256(&loaded.weights) == expected)
    });
    if built_in {
        Check {
            name,
            verdict: Verdict::Right,
            expected,
            found: "those built into this program".into(),
        }
    } else {
        let found = format!(
            "{}, not those built in",
            manifest.fact("the model").unwrap_or("another network")
        );
        unknown(name, expected, &found)
    }
}

/// Compares the program's version with this one's; another version is unknown, not wrong.
fn check_program(manifest: &Manifest) -> Check {
    let this = env!("CARGO_PKG_VERSION");
    let known = if manifest.program == this {
        Verdict::Right
    } else {
        Verdict::Unknown
    };
    Check {
        name: "program",
        verdict: known,
        expected: manifest.program.clone(),
        found: format!("{this} is checking"),
    }
}
