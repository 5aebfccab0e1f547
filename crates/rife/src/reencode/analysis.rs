//! Analysis of a source against a re-encoding profile: container, codec, colour tags, rate, audio; and the plan for its
//! other streams.

use rife_media::plan::{Action, Companions, plan_streams};
use rife_media::probe::{MediaStream, StreamKind, VideoStream};
use rife_media::{
    CancelToken, Container, Matrix, MediaInfo, Primaries, Range, StreamInfo, StreamPlan, Transfer,
};

use super::Profile;
use crate::Result;

/// A property of the source, compared with the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The property, for people, such as `codec`.
    pub what: &'static str,
    /// The source's value, for people.
    pub found: String,
    /// The profile's value, for people.
    pub wanted: String,
    /// Whether the source's value is accepted.
    pub conforms: bool,
}

impl Finding {
    /// Makes a finding on the property `what`.
    fn new(what: &'static str, found: impl Into<String>, wanted: impl Into<String>, conforms: bool) -> Self {
        Self {
            what,
            found: found.into(),
            wanted: wanted.into(),
            conforms,
        }
    }

    /// Makes a finding that conforms if both texts are equal.
    fn exact(what: &'static str, found: &str, wanted: &str) -> Self {
        Self::new(what, found, wanted, found == wanted)
    }
}

/// Compares the properties of a source with a profile.
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
        findings.push(Finding::exact("codec", &stream.codec, "ffv1"));
        return findings;
    }
    findings.push(Finding::exact("codec", &stream.codec, "h264"));
    let coded = video.profile.as_deref().unwrap_or("unknown");
    findings.push(Finding::exact("profile", coded, "High"));
    findings.push(Finding::exact("pixel format", &video.pixel_format, "yuv420p"));
    findings.extend(colors(video));
    findings.extend(profile.rate().map(|wanted| {
        let found = crate::video::rate_text(info.frame_rate.filter(|_| !info.variable_rate));
        let conforms = info.frame_rate == Some(wanted) && !info.variable_rate;
        Finding::new("rate", found, format!("{wanted} fps"), conforms)
    }));
    let audio = media
        .streams
        .iter()
        .filter(|stream| stream.kind == StreamKind::Audio);
    findings.extend(audio.map(|stream| check_audio(stream, profile.audio_rate())));
    findings
}

/// Compares the colour tags with BT.709, limited range.
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

/// Compares an audio stream with AAC at the sample rate `wanted` (Hz; `None` for any).
fn check_audio(stream: &MediaStream, wanted: Option<u32>) -> Finding {
    let rate = stream.audio.map_or(0, |(_, rate)| rate);
    let text = wanted.map_or("aac".to_owned(), |wanted| format!("aac, {wanted} Hz"));
    let conforms = stream.codec == "aac" && wanted.is_none_or(|wanted| wanted == rate);
    Finding::new("sound", format!("{}, {rate} Hz", stream.codec), text, conforms)
}

/// Plans the source's other streams: audio that does not conform to the profile is transcoded.
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
            if source.is_none_or(|stream| !check_audio(stream, profile.audio_rate()).conforms) {
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
