//! Plan of a chain, made before it starts: the output's size, rate and colour, the conversions of each clip, the expected
//! memory, and the job's fingerprint.

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::audio::AudioClip;
use rife_media::{
    Container, Fit, Limits, Output, PixelFormat, StreamInfo, Time, TimelineMode, TimelineOptions, VideoParams,
};

use super::{AudioMode, ChainJob, ChainPlan};
use crate::choice::NamedChoice;
use crate::{Error, Interpolator, Result, gamut};

/// Frames per second of a chain whose first clip has no nominal rate.
const RATE: i64 = 25;

/// Returns the output's video stream: the first clip's size, rate and colour tags (unless the job sets them), the maximum
/// bit depth of all clips, and alpha if all clips have it.
pub(super) fn params(job: &ChainJob, infos: &[StreamInfo]) -> Result<VideoParams> {
    let first = &infos[0];
    let rate = job.fps.or(first.frame_rate).unwrap_or(Ratio::from(RATE));
    // At a higher rate, players show each frame of a GIF or WebP for a tenth of a second.
    let rate = job.sink.fastest().map_or(rate, |fastest| rate.min(fastest));
    let [width, height] = job.size.unwrap_or_else(|| displayed(first));
    Limits::default().check_size(width.into(), height.into())?;
    let depth = infos.iter().map(|info| info.format.depth).max().unwrap_or(8);
    let alpha = infos.iter().all(|info| info.format.alpha);
    Ok(VideoParams {
        width,
        height,
        format: PixelFormat {
            depth,
            alpha,
            ..first.format
        },
        sample_aspect: Ratio::from(1),
        frame_rate: Some(rate),
        ..VideoParams::like(first, rate.recip())
    })
}

/// Returns the timeline options of a clip: the output's constant rate.
pub(super) fn timeline(params: &VideoParams) -> TimelineOptions {
    TimelineOptions::new(TimelineMode::TargetRate(params.time_base.recip()))
}

/// Makes the plan. `infos` are the clips' video streams, `params` is the output's.
pub(super) fn plan(
    job: &ChainJob,
    infos: &[StreamInfo],
    params: &VideoParams,
    interpolator: &Interpolator,
) -> Result<ChainPlan> {
    let transition = (1_u64 << job.passes) - 1;
    let counts = infos.iter().map(|info| {
        let timeline = timeline(params);
        Some(timeline.estimate(info.frames?, Some(info.duration?)))
    });
    let frames: Option<u64> = counts.sum();
    Ok(ChainPlan {
        output: match &job.sink.output {
            Output::File(path) | Output::Images(path, _) => path.display().to_string(),
            Output::Stdout => "standard output".into(),
            Output::Custom(name) => name.clone(),
        },
        size: [params.width, params.height],
        rate: params.time_base.recip(),
        frames: frames.map(|frames| frames + transition * (infos.len() as u64 - 1)),
        transition,
        clips: job
            .clips
            .iter()
            .zip(infos)
            .map(|(clip, info)| describe(clip, info, params, job.fit))
            .collect(),
        memory: memory(job, infos, params),
        audio: describe_audio(job, infos)?.to_owned(),
        model: interpolator.describe(),
    })
}

/// Estimates the job's memory in bytes: the network's at the output's size, and that of fitting.
fn memory(job: &ChainJob, infos: &[StreamInfo], params: &VideoParams) -> u64 {
    let made = crate::video::memory(params.width, params.height, job.interpolator.memory_limit);
    made + fitting_memory(infos)
}

/// Estimates the bytes of a frame of the largest clip, as decoded and as RGB, while it is fitted to the output's size.
pub(super) fn fitting_memory(infos: &[StreamInfo]) -> u64 {
    let pixels = |info: &StreamInfo| u64::from(info.width) * u64::from(info.height);
    // Up to 6 bytes per pixel decoded, 12 as f32.
    infos.iter().map(pixels).max().unwrap_or(0) * (6 + 12)
}

/// Describes the output's audio, for people.
fn describe_audio(job: &ChainJob, infos: &[StreamInfo]) -> Result<&'static str> {
    Ok(match job.audio {
        _ if !infos.iter().any(has_audio) => "none of the clips has sound",
        _ if !supports_audio(job.sink.container()?) => "dropped: the output holds nothing but pictures",
        AudioMode::Drop => "dropped, as asked",
        AudioMode::Crossfade => "each clip's first or default track, crossfaded over the transitions",
        AudioMode::Silence => "each clip's first or default track, silence in the transitions",
    })
}

/// Reports whether a container can hold audio.
pub(super) fn supports_audio(container: Container) -> bool {
    !matches!(container, Container::VideoOnly | Container::Gif)
}

/// Reports whether a clip has an audio stream.
pub(super) fn has_audio(info: &StreamInfo) -> bool {
    audio_piece(info, Time::from(0), Time::from(0)).stream.is_some()
}

/// Describes a clip's audio in the output: `length` seconds after a transition of `gap` seconds.
pub(super) fn audio_piece(info: &StreamInfo, length: Time, gap: Time) -> AudioClip {
    match &info.media {
        Some(media) => AudioClip::of(media, info.start, length, gap),
        None => AudioClip {
            path: PathBuf::new(),
            stream: None,
            channels: 0,
            from: Time::from(0),
            length,
            gap,
        },
    }
}

/// Refuses a mix of HDR and SDR clips, or of two HDR transfer functions: the output has one transfer function.
pub(super) fn check_range(clips: &[PathBuf], infos: &[StreamInfo]) -> Result<()> {
    let first = &infos[0];
    for (clip, info) in clips.iter().zip(infos).skip(1) {
        let hdr = info.tags.is_hdr() || first.tags.is_hdr();
        if hdr && info.tags.transfer != first.tags.transfer {
            let name = |info: &StreamInfo| match info.tags.transfer.name() {
                Some(name) if info.tags.is_hdr() => format!("HDR ({name})"),
                _ => "SDR".to_owned(),
            };
            return Err(Error::Data(format!(
                "{} is {} and {} is {}: they are not mixed; convert one of them first",
                clips[0].display(),
                name(first),
                clip.display(),
                name(info)
            )));
        }
    }
    Ok(())
}

/// Returns a clip's display size: square pixels, sides rounded up to even numbers.
fn displayed(info: &StreamInfo) -> [u32; 2] {
    let width = Ratio::from(i64::from(info.width)) * info.sample_aspect;
    let even = |side: i64| u32::try_from((side + 1) / 2 * 2).unwrap_or(u32::MAX);
    [even(width.round().to_integer()), even(i64::from(info.height))]
}

/// Describes a clip and its conversions in one line, for people.
fn describe(clip: &Path, info: &StreamInfo, params: &VideoParams, fit: Fit) -> String {
    let rate = info.frame_rate.filter(|_| !info.variable_rate);
    let mut text = format!(
        "{}: {}x{}, {}",
        clip.display(),
        info.width,
        info.height,
        crate::video::rate_text(rate)
    );
    let mut done = Vec::new();
    if [info.width, info.height] != [params.width, params.height] || info.sample_aspect != Ratio::from(1) {
        done.push(match fit {
            Fit::Pad => "scaled whole into the output's size",
            Fit::Crop => "scaled to fill the output's size and cut",
            Fit::Stretch => "stretched to the output's size",
        });
    }
    if rate != params.frame_rate {
        done.push("frames made for the output's rate");
    }
    let (from, to) = (info.tags, params.tags);
    if from.matrix != to.matrix || from.range != to.range {
        done.push("its colours written by the first clip's matrix and range");
    }
    if gamut::differs(from.primaries, to.primaries) {
        done.push("its primaries converted to the first clip's");
    }
    if !done.is_empty() {
        text += &format!(" ({})", done.join("; "));
    }
    text
}

/// Returns the fingerprint of `job`, everything that its frames depend on, as pairs of a name and a value; `None` if a clip
/// cannot be read twice.
pub(super) fn facts(job: &ChainJob, interpolator: &Interpolator) -> Result<Option<Vec<(String, String)>>> {
    let ChainJob {
        clips,
        passes,
        fps,
        size,
        fit,
        scene,
        source,
        sink,
        interpolator: spec,
        // Audio is added when the segments are joined.
        audio: _,
        keep: _,
    } = job;
    let mut inputs = Vec::new();
    for (index, clip) in clips.iter().enumerate() {
        let input = &job.clip(clip).input;
        let Some(hash) = crate::hash::input_facts(input, &sink.cancel)? else {
            return Ok(None);
        };
        inputs.push((format!("clip {}", index + 1), hash));
    }
    let first = || "the first clip's".to_owned();
    let size = size.map(|[width, height]| format!("{width}x{height}"));
    let mut facts = vec![
        ("the job", "a chain".to_owned()),
        ("--passes", passes.to_string()),
        ("--fps", fps.map_or_else(first, |fps| fps.to_string())),
        ("--size", size.unwrap_or_else(first)),
        ("--fit", fit.option_name().to_owned()),
        ("the rate of pictures", crate::video::or_usual(source.frame_rate)),
        ("--deinterlace", source.deinterlace.to_string()),
        ("the similarity of a cut", scene.cut.to_string()),
    ];
    facts.extend(crate::video::model_facts(spec, interpolator)?);
    let program = ("the program".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let all = std::iter::once(program).chain(inputs);
    Ok(Some(all.chain(crate::video::owned(facts)).collect()))
}
