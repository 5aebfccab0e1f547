//! What a source is beside what its profile wants, and what happens to its other streams.

use rife_media::plan::{Action, Companions, plan_streams};
use rife_media::probe::{MediaStream, StreamKind, VideoStream};
use rife_media::{
    CancelToken, Container, Matrix, MediaInfo, Primaries, Range, StreamInfo, StreamPlan, Transfer,
};

use super::Profile;
use crate::Result;

/// One line of the analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What it is.
    pub found: String,
    /// What it is to be.
    pub wanted: String,
    /// Whether it is so.
    pub conforms: bool,
}

impl Finding {
    fn new(what: &'static str, found: impl Into<String>, wanted: impl Into<String>, conforms: bool) -> Self {
        Self {
            what,
            found: found.into(),
            wanted: wanted.into(),
            conforms,
        }
    }

    /// A word that is to be exactly so.
    fn word(what: &'static str, found: &str, wanted: &str) -> Self {
        Self::new(what, found, wanted, found == wanted)
    }
}

/// Looks at a source.
pub(super) fn analyse(info: &StreamInfo, profile: Profile) -> Vec<Finding> {
    let media = info.media.as_ref();
    let Some((media, (stream, video))) = media.and_then(|media| Some((media, media.main_video()?))) else {
        let found = "pictures or raw video";
        return vec![Finding::new("container", found, profile.extension(), false)];
    };
    let (name, wanted) = match profile {
        Profile::Archive => ("matroska", "Matroska"),
        Profile::Web | Profile::LatentSync => ("mp4", "MP4"),
    };
    let container = &media.container;
    let mut findings = vec![Finding::new(
        "container",
        container,
        wanted,
        container.contains(name),
    )];
    if profile == Profile::Archive {
        findings.push(Finding::word("codec", &stream.codec, "ffv1"));
        return findings;
    }
    findings.push(Finding::word("codec", &stream.codec, "h264"));
    let coded = video.profile.as_deref().unwrap_or("unknown");
    findings.push(Finding::word("profile", coded, "High"));
    findings.push(Finding::word("pixel format", &video.pixel_format, "yuv420p"));
    findings.extend(colors(video));
    findings.extend(profile.rate().map(|wanted| {
        let found = crate::video::rate_text(info.frame_rate.filter(|_| !info.variable_rate));
        let conforms = info.frame_rate == Some(wanted) && !info.variable_rate;
        Finding::new("rate", found, format!("{wanted} fps"), conforms)
    }));
    let sounds = media
        .streams
        .iter()
        .filter(|stream| stream.kind == StreamKind::Audio);
    findings.extend(sounds.map(|stream| sound(stream, profile.audio_rate())));
    findings
}

fn colors(video: &VideoStream) -> [Finding; 4] {
    let tags = video.color;
    let tag = |name: Option<&'static str>| name.unwrap_or("not tagged");
    let (matrix, primaries) = (tags.matrix, tags.primaries);
    [
        Finding::new("matrix", tag(matrix.name()), "bt709", matrix == Matrix::Bt709),
        Finding::new(
            "primaries",
            tag(primaries.name()),
            "bt709",
            primaries == Primaries::Bt709,
        ),
        Finding::new(
            "transfer",
            tag(tags.transfer.name()),
            "bt709",
            tags.transfer == Transfer::Bt709,
        ),
        // H.264 without a range tag is limited by definition.
        Finding::new("range", tag(tags.range.name()), "tv", tags.range != Range::Full),
    ]
}

fn sound(stream: &MediaStream, wanted: Option<u32>) -> Finding {
    let rate = stream.audio.map_or(0, |(_, rate)| rate);
    let text = wanted.map_or("aac".to_owned(), |wanted| format!("aac, {wanted} Hz"));
    let conforms = stream.codec == "aac" && wanted.is_none_or(|wanted| wanted == rate);
    Finding::new("sound", format!("{}, {rate} Hz", stream.codec), text, conforms)
}

/// What happens to the other streams: sound that the profile does not want is transcoded.
pub(super) fn streams(
    media: &MediaInfo,
    container: Container,
    profile: Profile,
    cancel: &CancelToken,
) -> Result<StreamPlan> {
    let mut plan = plan_streams(media, container, Companions::Keep);
    if profile != Profile::Archive {
        plan.audio_rate = profile.audio_rate();
        let planned = plan
            .streams
            .iter_mut()
            .filter(|stream| stream.kind == StreamKind::Audio);
        for planned in planned {
            let source = media.streams.iter().find(|stream| stream.index == planned.index);
            if source.is_none_or(|stream| !sound(stream, profile.audio_rate()).conforms) {
                let reason = match profile.audio_rate() {
                    Some(wanted) => format!("the profile wants AAC at {wanted} Hz"),
                    None => "the profile wants AAC".to_owned(),
                };
                let encoder = "aac";
                planned.action = Action::Transcode { encoder, reason };
            }
        }
    }
    plan.check(media, container, cancel)?;
    Ok(plan)
}
