//! Checks a result again: everything that its manifest says, measured anew in the file, and without a manifest what the
//! file says of itself. Nothing is written.

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::{CancelToken, Input, SourceSpec, StreamInfo, open_source, time};

use crate::manifest::{self, Manifest, Sound, ratio, sound};
use crate::video::file_hash;
use crate::weights::weights_sha256;
use crate::{Error, ErrorKind, ModelChoice, Result, model_choice};

/// How far sound may lie from its place, in seconds: a packet of AAC at 44.1 kHz lasts 23 ms, and containers begin a
/// stream with a whole packet.
pub const SYNC_TOLERANCE: f64 = 0.025;

/// What is to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyJob {
    /// The result.
    pub output: PathBuf,
    /// Its manifest, where it is not beside it.
    pub manifest: Option<PathBuf>,
    /// The input, where it is not where it was.
    pub input: Option<PathBuf>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Right,
    /// Not as it should be.
    Wrong,
    /// It cannot be told here: something is not at hand.
    Unknown,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

/// Everything that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whether there is a manifest.
    pub manifest: bool,
    /// The checks in order.
    pub checks: Vec<Check>,
}

impl Verified {
    /// Nothing where no check came out wrong.
    ///
    /// # Errors
    /// [`Error::Several`], which names those that did.
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

/// The result's frames as they are decoded.
struct Decoded {
    info: StreamInfo,
    frames: u64,
    first: Ratio<i64>,
    end: Ratio<i64>,
    /// How long the last frame is said to last.
    last: Ratio<i64>,
    /// The first frame whose time does not advance.
    stuck: Option<u64>,
    warnings: Vec<String>,
}

impl VerifyJob {
    /// Checks `output` against the manifest beside it.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self {
            output: output.into(),
            manifest: None,
            input: None,
        }
    }

    /// Decodes all of it and compares. `progress` is told frames decoded, and how many there should be.
    ///
    /// # Errors
    /// Those of opening the result and reading the manifest; [`Error::Cancelled`]. What is found wrong is no error
    /// here: see [`Verified::check`].
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
                let against = manifest.as_ref();
                checks.extend(frames(&decoded, against));
                checks.extend(
                    against
                        .into_iter()
                        .flat_map(|manifest| tags(&decoded.info, manifest)),
                );
                checks.extend(sync(&decoded, against)?);
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
            checks.push(self.input(manifest, cancel)?);
            checks.push(weights(manifest));
            checks.push(program(manifest));
        }
        Ok(Verified {
            manifest: manifest.is_some(),
            checks,
        })
    }

    /// Whether the input is still what it was.
    fn input(&self, manifest: &Manifest, cancel: &CancelToken) -> Result<Check> {
        let expected = manifest.fact("the input").unwrap_or_default().to_owned();
        let beside = |path: &PathBuf| {
            let folder = self.output.parent().unwrap_or(Path::new(""));
            path.file_name().map(|name| folder.join(name))
        };
        let places = [
            self.input.clone(),
            manifest.input.clone(),
            manifest.input.as_ref().and_then(beside),
        ];
        let place = places.into_iter().flatten().find(|path| path.is_file());
        Ok(match place {
            Some(path) => same("input (SHA-256)", &expected, &file_hash(&path, cancel)?),
            None => unknown("input (SHA-256)", expected, "it is not at hand"),
        })
    }
}

fn verdict(right: bool) -> Verdict {
    if right { Verdict::Right } else { Verdict::Wrong }
}

fn same(name: &'static str, expected: &str, found: &str) -> Check {
    Check {
        name,
        verdict: verdict(expected == found),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

fn unknown(name: &'static str, expected: String, found: &str) -> Check {
    Check {
        name,
        verdict: Verdict::Unknown,
        expected,
        found: found.to_owned(),
    }
}

fn decode(
    output: &Path,
    announced: Option<u64>,
    progress: &mut dyn FnMut(u64, Option<u64>),
    cancel: &CancelToken,
) -> Result<Decoded> {
    let mut source = open_source(&SourceSpec {
        cancel: cancel.clone(),
        allow_interlaced: true,
        ..SourceSpec::new(Input::File(output.to_owned()))
    })?;
    let info = source.info().clone();
    let total = announced.or(info.frames);
    let zero = Ratio::from(0);
    let mut decoded = Decoded {
        info,
        frames: 0,
        first: zero,
        end: zero,
        last: zero,
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
        decoded.last = frame.duration;
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

/// Count, order and duration of the frames.
fn frames(decoded: &Decoded, manifest: Option<&Manifest>) -> Vec<Check> {
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
    // Times in a file are whole ticks of its own unit, at the beginning and at the end.
    let tick = manifest.map_or(decoded.info.time_base, |manifest| {
        ratio(manifest.time_base).max(decoded.info.time_base)
    });
    // Where the rate varies, containers do not say how long the last frame lasts.
    let guessed = if decoded.info.variable_rate {
        time::seconds(decoded.last)
    } else {
        0.0
    };
    // Without a manifest the announced duration is the container's, which may be that of the sound.
    let announced = if manifest.is_some() { 0.0 } else { 0.1 };
    let tolerance = time::seconds(tick) * 2.0 + guessed + announced;
    checks.push(match expected {
        Some(expected) => Check {
            name: "duration",
            // What is off by the tolerance exactly is right, however it is rounded.
            verdict: verdict(near(found - expected, tolerance + 1e-9)),
            expected: format!("{expected:.6} s"),
            found: format!("{found:.6} s"),
        },
        None => unknown("duration", "unknown".into(), &format!("{found:.6} s")),
    });
    checks
}

fn near(difference: f64, tolerance: f64) -> bool {
    difference.abs() <= tolerance
}

/// Size, format and colour. What the result was not tagged with is not asked for.
fn tags(info: &StreamInfo, manifest: &Manifest) -> Vec<Check> {
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

/// Where sound lies beside the video.
fn sync(decoded: &Decoded, manifest: Option<&Manifest>) -> Result<Vec<Check>> {
    let (Some(manifest), Some(media)) = (manifest, &decoded.info.media) else {
        return Ok(Vec::new());
    };
    let found = sound(media, |_| true, Ratio::from(1))?;
    if found.len() != manifest.sound.len() {
        return Ok(vec![same(
            "streams of sound",
            &manifest.sound.len().to_string(),
            &found.len().to_string(),
        )]);
    }
    let pairs = manifest.sound.iter().zip(&found);
    Ok(pairs.map(|(expected, found)| in_sync(expected, found)).collect())
}

fn in_sync(expected: &Sound, found: &Sound) -> Check {
    let drift = |a, b| time::seconds(ratio(a)) - time::seconds(ratio(b));
    // What MP4 hides of a copied stream, Matroska and others cannot: then what was skipped is heard before the start.
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
    // What is cut off or padded at the end is up to two packets.
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

/// Whether the weights are those built in; others may be anywhere.
fn weights(manifest: &Manifest) -> Check {
    let name = "weights (SHA-256)";
    let expected = manifest.fact("the weights").unwrap_or_default().to_owned();
    let built_in = model_choice::find_weights(&ModelChoice::Default)
        .map(|(loaded, _)| weights_sha256(&loaded.weights))
        .unwrap_or_default();
    if built_in == expected {
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

fn program(manifest: &Manifest) -> Check {
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
