//! Job fingerprint of a video job: all that its frames depend on, as pairs of a name and a value for people. A resumed job
//! must match the journal's in every pair.

use rife_media::scene::CutRule;
use sha2::{Digest, Sha256};

use super::{Duplicates, Fallback, Motion, Rate, VideoJob};
use crate::choice::NamedChoice;
use crate::hash::{hexadecimal, input_facts};
use crate::weights::weights_sha256;
use crate::{Bisection, Interpolator, InterpolatorSpec, Result, model_choice};

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

/// Returns the fingerprint of `job`: everything that its frames depend on, by the names in journals, without audio and
/// subtitles, and without the encoder's settings, which the sink adds. `None` if the input cannot be read twice.
///
/// The destructuring names every field, so that the compiler asks whether a new one belongs here. Names and values must not
/// change: unfinished jobs of an earlier release are recognised by them.
pub(super) fn facts(job: &VideoJob, interpolator: &Interpolator) -> Result<Option<Vec<(String, String)>>> {
    let VideoJob {
        source,
        sink,
        interpolator: spec,
        rate,
        motion,
        cuts,
        cut_fill,
        duplicates,
        mask_static,
        fallback,
        montage,
        // Output paths, additional outputs and resumption.
        extension: _,
        like_source: _,
        folder: _,
        manifest: _,
        cuts_out: _,
        confidence: _,
        confidence_out: _,
        share: _,
        keep: _,
        work_dir: _,
        command: _,
        strict: _,
        // Audio and subtitles: see `sound`.
        video_only: _,
    } = job;
    let Some(input) = input_facts(&source.input, &sink.cancel)? else {
        return Ok(None);
    };
    let mut facts = vec![
        ("the program", env!("CARGO_PKG_VERSION").to_owned()),
        (INPUT, input),
    ];
    facts.extend(model_facts(spec, interpolator)?);
    facts.extend([
        ("the rate", rate_fact(*rate)),
        ("the motion", motion_fact(*motion)),
    ]);
    facts.extend(source.facts());
    facts.extend([
        ("the cuts", cuts_fact(cuts)),
        ("--cut-fill", cut_fill.option_name().to_owned()),
        ("--duplicates", duplicates_fact(*duplicates).to_owned()),
        ("--mask-static", mask_static.to_string()),
        ("--fallback", fallback_fact(*fallback)),
        ("--montage", montage.to_string()),
    ]);
    Ok(Some(owned(facts)))
}

/// Converts the names of fingerprint entries to owned strings.
pub(crate) fn owned(facts: Vec<(&str, String)>) -> Vec<(String, String)> {
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Describes the rate in the fingerprint.
fn rate_fact(rate: Rate) -> String {
    match rate {
        Rate::Factor(factor) => format!("{factor} times the frames"),
        Rate::Multiple(factor) => format!("{factor} times the frames"),
        Rate::Fps(rate) => format!("{rate} frames a second"),
    }
}

/// Describes the playback speed in the fingerprint.
fn motion_fact(motion: Motion) -> String {
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

/// Describes the handling of repeated frames in the fingerprint.
fn duplicates_fact(duplicates: Duplicates) -> &'static str {
    match duplicates {
        Duplicates::Smooth => "smooth",
        Duplicates::Keep => "keep",
    }
}

/// Describes the fallback in the fingerprint.
fn fallback_fact(fallback: Option<Fallback>) -> String {
    fallback.map_or("off".to_owned(), |Fallback { below, fill }| {
        format!("{} below {below}", fill.option_name())
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
) -> Result<Vec<(&'static str, String)>> {
    let InterpolatorSpec {
        model,
        scale,
        tta,
        ensemble,
        method,
        bisection: Bisection {
            threshold,
            max_cycles,
        },
        memory_limit,
        // Taken from the interpolator below.
        version: _,
        device: _,
        precision: _,
        // Without effect on frames.
        threads: _,
        on_frame: _,
        cancel: _,
    } = spec;
    let (loaded, _) = model_choice::find_weights(model)?;
    let engine = interpolator.engine();
    Ok(vec![
        ("the model", interpolator.version().name().to_owned()),
        ("the weights", weights_sha256(&loaded.weights)),
        ("the scale", scale.to_string()),
        ("--tta", tta.to_string()),
        ("--ensemble", ensemble.to_string()),
        ("--timestep-method", method.option_name().to_owned()),
        ("--rthreshold", threshold.to_string()),
        ("--rmaxcycles", max_cycles.to_string()),
        (
            "--memory-limit",
            memory_limit.map_or("none".to_owned(), |bytes| format!("{bytes} bytes")),
        ),
        ("the engine", engine.fingerprint()),
    ])
}

/// A threshold, or a list by its content.
fn cuts_fact(rule: &CutRule) -> String {
    match rule {
        CutRule::Detect(limit) => format!("found below {limit}"),
        CutRule::Listed(list) => {
            let mut hasher = Sha256::new();
            hasher.update(format!("{list:?}"));
            format!("list {}", hexadecimal(&hasher.finalize()))
        }
    }
}
