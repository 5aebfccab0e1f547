//! What is decided before a chain starts: the output's size, rate and colour, what is done to each clip, and by what
//! an unfinished chain is known again.

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::audio::AudioClip;
use rife_media::{
    Container, Fit, Limits, Output, PixelFormat, StreamInfo, Time, TimelineMode, TimelineOptions, VideoParams,
};

use super::{ChainJob, ChainPlan, Sound};
use crate::{Error, Interpolator, Result, gamut};

/// The rate of a chain whose first clip has none.
const RATE: i64 = 25;

/// What the sink is told: the first clip's size, rate and tags, the deepest clip's depth.
pub(super) fn params(job: &ChainJob, infos: &[StreamInfo]) -> Result<VideoParams> {
    let first = &infos[0];
    let rate = job.fps.or(first.frame_rate).unwrap_or(Ratio::from(RATE));
    // Faster, players would show each frame for a tenth of a second.
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

/// The timeline of one clip.
pub(super) fn timeline(params: &VideoParams) -> TimelineOptions {
    TimelineOptions::new(TimelineMode::TargetRate(params.time_base.recip()))
}

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
        sound: sound(job, infos)?.to_owned(),
        model: interpolator.describe(),
    })
}

/// The network's at the output's size, a frame of the largest clip, and what it was fitted to.
fn memory(job: &ChainJob, infos: &[StreamInfo], params: &VideoParams) -> u64 {
    let made = crate::video::memory(params.width, params.height, job.interpolator.memory_limit);
    made + fitting(infos)
}

/// A frame of the largest clip, and what it was fitted to.
pub(super) fn fitting(infos: &[StreamInfo]) -> u64 {
    let pixels = |info: &StreamInfo| u64::from(info.width) * u64::from(info.height);
    // Codes and floats.
    infos.iter().map(pixels).max().unwrap_or(0) * (6 + 12)
}

/// What is heard, in words.
fn sound(job: &ChainJob, infos: &[StreamInfo]) -> Result<&'static str> {
    Ok(match job.sound {
        _ if !infos.iter().any(has_sound) => "none of the clips has sound",
        _ if !supports_audio(job.sink.container()?) => "dropped: the output holds nothing but pictures",
        Sound::Drop => "dropped, as asked",
        Sound::Crossfade => "each clip's first or default track, crossfaded over the transitions",
        Sound::Silence => "each clip's first or default track, silence in the transitions",
    })
}

/// Whether a container has a place for sound.
pub(super) fn supports_audio(container: Container) -> bool {
    !matches!(container, Container::VideoOnly | Container::Gif)
}

/// Whether a clip has sound.
pub(super) fn has_sound(info: &StreamInfo) -> bool {
    piece(info, Time::from(0), Time::from(0)).stream.is_some()
}

/// A clip's sound, which is heard for `length` after a transition of `gap`.
pub(super) fn piece(info: &StreamInfo, length: Time, gap: Time) -> AudioClip {
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

/// HDR codes mean another light than SDR codes: a chain of both would be wrong in one of them.
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

/// The size in square pixels, sides even.
fn displayed(info: &StreamInfo) -> [u32; 2] {
    let width = Ratio::from(i64::from(info.width)) * info.sample_aspect;
    let even = |side: i64| u32::try_from((side + 1) / 2 * 2).unwrap_or(u32::MAX);
    [even(width.round().to_integer()), even(i64::from(info.height))]
}

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

/// What the pictures of a chain depend on; nothing where a clip cannot be read twice.
pub(super) fn facts(job: &ChainJob, interpolator: &Interpolator) -> Result<Option<Vec<(String, String)>>> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| facts.push((name.to_owned(), value));
    fact("the program", env!("CARGO_PKG_VERSION").to_owned());
    for (index, clip) in job.clips.iter().enumerate() {
        let input = &job.clip(clip).input;
        let Some(hash) = crate::video::input_facts(input, &job.sink.cancel)? else {
            return Ok(None);
        };
        fact(&format!("clip {}", index + 1), hash);
    }
    fact("the job", "a chain".to_owned());
    fact("--passes", job.passes.to_string());
    let first = || "the first clip's".to_owned();
    fact("--fps", job.fps.map_or_else(first, |fps| fps.to_string()));
    let size = job.size.map(|[width, height]| format!("{width}x{height}"));
    fact("--size", size.unwrap_or_else(first));
    let fit = match job.fit {
        Fit::Pad => "pad",
        Fit::Crop => "crop",
        Fit::Stretch => "stretch",
    };
    fact("--fit", fit.to_owned());
    fact(
        "the rate of pictures",
        crate::video::or_usual(job.source.frame_rate),
    );
    fact("--deinterlace", job.source.deinterlace.to_string());
    fact("the similarity of a cut", job.scene.cut.to_string());
    facts.extend(crate::video::model_facts(&job.interpolator, interpolator)?);
    Ok(Some(facts))
}
