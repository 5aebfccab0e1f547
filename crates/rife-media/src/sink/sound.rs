//! Sound for a finished video file.

use std::path::Path;

use crate::ffmpeg::args::{Args, file_url};
use crate::ffmpeg::child::{self, Request};
use crate::persist::part::Part;
use crate::probe::{StreamKind, probe_with};
use crate::{CancelToken, Ffmpeg, Limits, MediaError, Result};

use super::Container;

/// What became of the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundAdded {
    /// There is none.
    None,
    /// It was copied.
    Copied,
    /// It was encoded anew, since the container cannot hold it as it is.
    Encoded,
}

/// Adds the first sound track of the file `sound` to the video file `video`, whose times it has, and replaces that file when it is
/// complete.
///
/// # Errors
/// Those of ffmpeg and of writing; `video` is as it was then.
pub fn add_sound(ffmpeg: &Ffmpeg, video: &Path, sound: &Path, cancel: &CancelToken) -> Result<SoundAdded> {
    let found = probe_with(ffmpeg, sound, &Limits::default(), cancel)?;
    if !found
        .streams
        .iter()
        .any(|stream| stream.kind == StreamKind::Audio)
    {
        return Ok(SoundAdded::None);
    }
    let container = Container::of(video)?;
    let codec = match container {
        Container::Gif | Container::VideoOnly => return Ok(SoundAdded::None),
        Container::WebM => "libopus",
        _ => "aac",
    };
    for (codec, added) in [("copy", SoundAdded::Copied), (codec, SoundAdded::Encoded)] {
        let part = Part::create(video, true, std::iter::empty())?;
        let mut args = Args::ffmpeg();
        args.input(video, &Limits::default())?
            .input(sound, &Limits::default())?;
        args.all(["-map", "0", "-map", "1:a:0", "-c", "copy", "-c:a", codec, "-y"]);
        if matches!(container, Container::Mp4 | Container::Mov) {
            args.all(["-movflags", "+faststart"]);
        }
        args.one(file_url(part.path())?);
        let request = Request {
            cancel: cancel.clone(),
            ..Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0)
        };
        let context = format!("while adding the sound to {}", video.display());
        let size = || std::fs::metadata(part.path()).map(|metadata| metadata.len()).ok();
        match child::start(request)?.finish_while_growing(&context, size) {
            Ok(_) => {
                part.promote()?;
                return Ok(added);
            }
            Err(MediaError::Child { .. }) if added == SoundAdded::Copied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(SoundAdded::None)
}
