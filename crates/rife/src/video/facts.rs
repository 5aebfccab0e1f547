//! What a video job's result depends on, each thing with a name for people: by this an unfinished job is known again.

use std::fs;
use std::io::Read;
use std::path::Path;

use rife_media::scene::CutRule;
use rife_media::{CancelToken, Input};
use sha2::{Digest, Sha256};

use super::{CutFill, Duplicates, Fallback, Motion, Rate, VideoJob};
use crate::weights::weights_sha256;
use crate::{Bisection, Error, Interpolator, InterpolatorSpec, Result, TimestepMethod, model_choice};

/// Where an unfinished job is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// Whether it is kept at all.
    pub on: bool,
    /// Throw away what an earlier run has left, whatever it was.
    pub restart: bool,
    /// Frames of the result in a segment.
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

/// The name of the fact that tells the input from another.
pub(super) const INPUT: &str = "the input";

/// The facts of the pictures of `job`, sound and text aside; nothing where its input cannot be read twice.
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

/// What the sound and text of the result depend on; the pictures do not depend on it.
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

/// An option's value, where one is given.
pub(crate) fn or_usual(value: Option<impl std::fmt::Display>) -> String {
    value.map_or("the usual one".to_owned(), |value| value.to_string())
}

/// What the frames that are made depend on.
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

/// A threshold, or a list by its content.
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

/// A file by its content; a folder of pictures by names, sizes and times, since reading them all may take longer
/// than the job.
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

/// The SHA-256 of a file in hexadecimal.
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

fn hexadecimal(hasher: Sha256) -> String {
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
