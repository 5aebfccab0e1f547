//! Encoder test: encodes one black frame with the job's size, format, rate, options and container to the null device, so that
//! unsupported combinations fail before the first frame is interpolated.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use num_rational::Ratio;

use super::raw_input::{PALETTES, color_options, raw_input};
use super::{Container, SinkSpec, VideoParams};
use crate::ffmpeg::args::{Args, NOWHERE};
use crate::ffmpeg::child::{self, Request};
use crate::nut::{self, write::Writer};
use crate::{Ffmpeg, MediaError, Result};

/// Minimum timeout for opening a device and encoding a frame.
const PATIENCE: Duration = Duration::from_secs(60);
/// Maximum number of cached successful tests.
const REMEMBERED: usize = 1000;

/// Argument lists of successful tests of this process, since a plan and its job make the same test.
static PASSED: Mutex<BTreeSet<Vec<OsString>>> = Mutex::new(BTreeSet::new());

/// Encodes one frame of the properties `params` with the encoder `options`; the inner error is ffmpeg's reason for a failure.
pub(super) fn one_frame(
    spec: &SinkSpec,
    container: Container,
    params: &VideoParams,
    options: &[String],
    ffmpeg: &Ffmpeg,
) -> Result<std::result::Result<(), String>> {
    let args = arguments(container, params, options);
    let mut key = args.0.clone();
    key.push(ffmpeg.ffmpeg.clone().into_os_string());
    if remembered().contains(&key) {
        return Ok(Ok(()));
    }
    let request = Request {
        stdin: true,
        cancel: spec.cancel.clone(),
        stall: spec.stall_timeout.max(PATIENCE),
        ..Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0)
    };
    match send(request, params) {
        Ok(()) => {
            let mut passed = remembered();
            if passed.len() >= REMEMBERED {
                passed.clear();
            }
            passed.insert(key);
            Ok(Ok(()))
        }
        Err(MediaError::Child { tail, .. }) => Ok(Err(tail)),
        Err(other) => Err(other),
    }
}

/// Locks the cache of successful tests.
fn remembered() -> std::sync::MutexGuard<'static, BTreeSet<Vec<OsString>>> {
    PASSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Builds ffmpeg's arguments for a test.
fn arguments(container: Container, params: &VideoParams, options: &[String]) -> Args {
    let mut args = Args::ffmpeg();
    raw_input(&mut args, params);
    args.all(["-map", "0:v:0", "-fps_mode", "passthrough"]);
    let unit = params.time_base;
    args.all(["-enc_time_base", &format!("{}:{}", unit.numer(), unit.denom())]);
    if container == Container::Gif {
        args.all(["-filter:v", PALETTES]);
    }
    options.iter().for_each(|option| {
        args.one(option);
    });
    if container != Container::Gif {
        color_options(&mut args, params.tags);
    }
    if let Some(muxer) = container.muxer() {
        args.all(["-f", muxer]);
    }
    args.one(NOWHERE);
    args
}

/// Runs ffmpeg and sends it one frame of zeros.
fn send(request: Request, params: &VideoParams) -> Result<()> {
    let fourcc = nut::fourcc(params.format).ok_or_else(|| {
        MediaError::Unsupported(format!("pixel format {} cannot be sent to ffmpeg", params.format))
    })?;
    let (width, height) = (params.width, params.height);
    let mut bytes = Writer::header(width, height, fourcc, params.time_base, params.sample_aspect);
    bytes.extend(Writer::rate(params.frame_rate.unwrap_or(Ratio::from(25))));
    let size = params.format.frame_bytes(width, height);
    bytes.extend(Writer::frame_header(0, size));
    let mut child = child::start(request)?;
    let context = || "while trying the encoder on one frame".to_owned();
    child.write(&bytes, context)?;
    child.write(&vec![0; size], context)?;
    child.finish(&context()).map(drop)
}
