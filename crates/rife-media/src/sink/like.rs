//! Default output container: the source's own where it supports the result, else MP4 or Matroska.

use std::path::Path;

use super::{Codec, Container};
use crate::plan::{Action, Companions, audio, plan_streams};
use crate::probe::StreamKind;
use crate::source::has_extension;
use crate::{MediaInfo, StreamInfo};

/// Returns the file extension of a default output: that of the source's container, where it supports `codec` (`None`: its
/// default) and keeps every stream that Matroska would keep without loss; else `mp4` where that does, else `mkv`. Images and
/// Y4M become `mp4`; so does AVI (or `mkv`), which cannot store presentation times of reordered frames.
pub fn extension_like(source: &StreamInfo, codec: Option<Codec>) -> &'static str {
    let Some(media) = &source.media else {
        return "mp4";
    };
    let own = own_extension(media);
    let choices = [own.unwrap_or("mp4"), "mp4", "mkv"];
    choices
        .into_iter()
        .find(|extension| fits(media, extension, codec))
        .unwrap_or("mkv")
}

/// Returns the extension of the source's container, by content; `None` for containers that are not written by default.
fn own_extension(media: &MediaInfo) -> Option<&'static str> {
    let named = |extension| has_extension(&media.path, extension);
    let brand = |wanted: &str| {
        let brands = media.metadata.iter().filter(|(name, _)| name == "major_brand");
        brands.map(|(_, brand)| brand.trim()).any(|brand| brand == wanted)
    };
    let first = media.container.split(',').next()?;
    Some(match first {
        "mov" if named("mov") || named("qt") || (brand("qt") && !named("mp4")) => "mov",
        "mov" => "mp4",
        "matroska" if named("webm") => "webm",
        "matroska" => "mkv",
        "mpegts" => "ts",
        "gif" => "gif",
        "nut" => "nut",
        _ => return None,
    })
}

/// Reports whether the container of `extension` supports `codec` and keeps every stream that Matroska would keep, audio
/// without loss.
fn fits(media: &MediaInfo, extension: &str, codec: Option<Codec>) -> bool {
    let Ok(container) = Container::of(Path::new("x").with_extension(extension).as_path()) else {
        return false;
    };
    if codec.is_some_and(|codec| !container.accepts(codec)) {
        return false;
    }
    let plan = |container| plan_streams(media, container, Companions::Keep).streams;
    plan(container)
        .iter()
        .zip(&plan(Container::Matroska))
        .all(|(here, there)| {
            let kept = !matches!(there.action, Action::Drop { .. });
            match &here.action {
                Action::Drop { .. } => !kept,
                Action::Transcode { encoder, .. } => {
                    // Transcoded subtitles keep their text; audio must stay lossless.
                    here.kind != StreamKind::Audio || !kept || audio::writes_lossless(encoder)
                }
                Action::Copy | Action::Interpolate => true,
            }
        })
}
