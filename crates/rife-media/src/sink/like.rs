//! The container that a result is given where none is asked for: the source's own, where it holds what comes out.

use std::path::Path;

use super::{Codec, Container};
use crate::plan::{Action, Companions, audio, plan_streams};
use crate::probe::StreamKind;
use crate::source::has_extension;
use crate::{MediaInfo, StreamInfo};

/// The extension of a result's name: that of the source's container, where it can hold `codec` (or has a usual one) and
/// every stream that Matroska would keep, as it is or without loss; else `mp4` where that can, else `mkv`. `mp4` for
/// pictures and Y4M. AVI has no place for the times of frames that are decoded out of order, as H.264's are: it becomes
/// one of these two.
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

/// The extension for the container that the source is in, by its content, where results can be written into it.
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

/// Whether nothing is lost there that Matroska would keep.
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
                    // Text stays text; sound must stay what it was.
                    here.kind != StreamKind::Audio || !kept || audio::writes_lossless(encoder)
                }
                Action::Copy | Action::Interpolate => true,
            }
        })
}
