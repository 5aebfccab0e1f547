//! Job fingerprint: pairs of a name for people and a value, for everything that a result depends on. An unfinished job is
//! resumed, and shards are joined, only if all pairs match.

use std::fs;
use std::io::Read;
use std::path::Path;

use rife_media::scene::CutRule;
use rife_media::{CancelToken, Input};
use sha2::{Digest, Sha256};

use super::{CutFill, Duplicates, Fallback, Motion, Rate, VideoJob};
use crate::weights::weights_sha256;
use crate::{Bisection, Error, Interpolator, InterpolatorSpec, Result, TimestepMethod, model_choice};

/// Options of keeping an unfinished job for a later run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// Whether an unfinished job is kept.
    pub on: bool,
    /// Whether the unfinished result of an earlier run is removed first.
    pub restart: bool,
    /// Number of output frames per segment.
    pub segment_frames: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            on: true,
            restart: false,
            segment_frames: rife_media::sink::SEGMENT_FRAMES,
        }
    }
}

/// Name of the fingerprint's entry that identifies the input.
pub(super) const INPUT: &str = "the input";

/// Computes the fingerprint of the video frames of `job`, without audio and subtitles; `None` if the input cannot be read
/// twice (standard input, custom sources).
pub(super) fn facts(job: &VideoJob, interpolator: &Interpolator) -> Result<Option<Vec<(String, String)>>> {
    let Some(input) = input_facts(&job.source.input, &job.sink.cancel)? else {
        return Ok(None);
    };
    let facts = [
        ("the program", env!("CARGO_PKG_VERSION").to_owned()),
        (INPUT, input),
        ("the rate", rate(job.rate)),
        ("the motion", motion(job.motion)),
        ("the rate of pictures", or_usual(job.source.frame_rate)),
        ("--deinterlace", job.source.deinterlace.to_string()),
        ("--inverse-telecine", job.source.inverse_telecine.to_string()),
        ("--allow-interlaced", job.source.allow_interlaced.to_string()),
        ("--hwaccel", or_usual(job.source.hwaccel.as_ref())),
        ("the cuts", cuts(&job.cuts)),
        ("--cut-fill", fill(job.cut_fill).to_owned()),
        ("--duplicates", duplicates(job.duplicates).to_owned()),
        ("--mask-static", job.mask_static.to_string()),
        ("--fallback", fallback(job.fallback)),
        ("--montage", job.montage.to_string()),
    ];
    let mut facts = facts.map(|(name, value)| (name.to_owned(), value)).to_vec();
    facts.splice(2..2, model_facts(&job.interpolator, interpolator)?);
    Ok(Some(facts))
}

fn rate(rate: Rate) -> String {
    match rate {
        Rate::Factor(factor) => format!("{factor} times the frames"),
        Rate::Multiple(factor) => format!("{factor} times the frames"),
        Rate::Fps(rate) => format!("{rate} frames a second"),
    }
}

fn motion(motion: Motion) -> String {
    match motion {
        Motion::Normal => "as fast as the source".to_owned(),
        Motion::Slow { fps, .. } => format!("slow, rate {}", or_usual(fps)),
    }
}

/// Describes the handling of audio and subtitles, on which the video frames do not depend.
pub(super) fn sound(job: &VideoJob) -> String {
    match job.motion {
        _ if job.video_only => "left out",
        Motion::Normal => "kept",
        Motion::Slow {
            stretch_audio: true, ..
        } => "stretched",
        Motion::Slow { .. } => "left out of slow motion",
    }
    .to_owned()
}

fn fill(fill: CutFill) -> &'static str {
    match fill {
        CutFill::Repeat => "repeat",
        CutFill::Blend => "blend",
    }
}

fn duplicates(duplicates: Duplicates) -> &'static str {
    match duplicates {
        Duplicates::Smooth => "smooth",
        Duplicates::Keep => "keep",
    }
}

fn fallback(fallback: Option<Fallback>) -> String {
    fallback.map_or("off".to_owned(), |fallback| {
        format!("{} below {}", fill(fallback.fill), fallback.below)
    })
}

/// Formats an optional value; `None` becomes "the usual one".
pub(crate) fn or_usual(value: Option<impl std::fmt::Display>) -> String {
    value.map_or("the usual one".to_owned(), |value| value.to_string())
}

/// Computes the entries of the fingerprint on which computed frames depend: model, options of the network, engine.
pub(crate) fn model_facts(
    spec: &InterpolatorSpec,
    interpolator: &Interpolator,
) -> Result<Vec<(String, String)>> {
    let (loaded, _) = model_choice::find_weights(&spec.model)?;
    let engine = interpolator.engine();
    let method = match spec.method {
        TimestepMethod::Auto => "auto",
        TimestepMethod::Direct => "direct",
        TimestepMethod::Recursive => "recursive",
    };
    let Bisection {
        threshold,
        max_cycles,
    } = spec.bisection;
    let facts = [
        ("the model", interpolator.version().name().to_owned()),
        ("the weights", weights_sha256(&loaded.weights)),
        ("the scale", spec.scale.to_string()),
        ("--tta", spec.tta.to_string()),
        ("--ensemble", spec.ensemble.to_string()),
        ("--timestep-method", method.to_owned()),
        ("--rthreshold", threshold.to_string()),
        ("--rmaxcycles", max_cycles.to_string()),
        (
            "--memory-limit",
            spec.memory_limit
                .map_or("none".to_owned(), |bytes| format!("{bytes} bytes")),
        ),
        ("the engine", format!("{} {}", engine.tier, engine.precision)),
    ];
    Ok(facts.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Describes the threshold of cut detection, or a list of cuts by its hash.
fn cuts(rule: &CutRule) -> String {
    match rule {
        CutRule::Detect(limit) => format!("found below {limit}"),
        CutRule::Listed(list) => {
            let mut hasher = Sha256::new();
            hasher.update(format!("{list:?}"));
            format!("list {}", hexadecimal(hasher))
        }
    }
}

/// Identifies an input: a file by its SHA-256, a folder of images by a hash of names, sizes and modification times (reading
/// all images may take longer than the job). `None` if the input cannot be read twice.
pub(crate) fn input_facts(input: &Input, cancel: &CancelToken) -> Result<Option<String>> {
    match input {
        _ if rife_media::source::is_stream(input) => Ok(None),
        Input::Stdin | Input::Custom(_) => Ok(None),
        Input::File(path) => file_hash(path, cancel).map(Some),
        Input::Images(path) => {
            let folder = if path.is_dir() {
                path.as_path()
            } else {
                path.parent().unwrap_or(Path::new(""))
            };
            folder_hash(folder).map(|hash| Some(format!("{} {hash}", path.display())))
        }
    }
}

/// Computes the SHA-256 of a file in hexadecimal.
pub(crate) fn file_hash(path: &Path, cancel: &CancelToken) -> Result<String> {
    let io = |e| Error::io("read", path, e);
    let mut file = rife_files::open_regular(path).map_err(io)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(hexadecimal(hasher)),
            _ if cancel.is_cancelled() => return Err(Error::Cancelled),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Computes the SHA-256 of the sorted names, sizes and modification times of a folder's images.
fn folder_hash(folder: &Path) -> Result<String> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let io = |e| Error::io("read", folder, e);
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let metadata = fs::metadata(entry.path()).map_err(io)?;
        if metadata.is_file() && rife_media::source::is_image_name(&entry.path()) {
            lines.push(format!(
                "{:?} {} {:?}",
                entry.file_name(),
                metadata.len(),
                metadata.modified().ok()
            ));
        }
    }
    lines.sort();
    let mut hasher = Sha256::new();
    lines.iter().for_each(|line| hasher.update(line));
    Ok(hexadecimal(hasher))
}

/// Finishes a hash and encodes it as lower-case hexadecimal.
fn hexadecimal(hasher: Sha256) -> String {
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
