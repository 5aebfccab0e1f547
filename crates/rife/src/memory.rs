//! The memory of a job with the ffmpeg beside it, against what the machine has for them: where it is not enough, pictures
//! are made in tiles.

use rife_media::Limits;

use crate::{Interpolator, Result};

/// What ffmpeg takes beside a job: decoder and encoder with nothing in them, and bytes for each pixel of a frame. x264 at
/// its usual preset took 108, 255 and 474 MB at 640x360, 1280x720 and 1920x1080, the decoder 65, 83 and 116 MB.
const FFMPEG: (u64, u64) = (100_000_000, 240);
/// Memory limits that a job is given by itself are multiples of this, so that a machine with a little less than before
/// gives the same.
const STEP: u64 = 64 << 20;

/// Bytes that ffmpeg takes beside a job with frames of `size`.
pub(crate) fn of_ffmpeg(size: [u32; 2]) -> u64 {
    FFMPEG.0 + FFMPEG.1 * u64::from(size[0]) * u64::from(size[1])
}

/// The memory limit of a job that takes `whole` bytes without one, and `beside` beside the network: the one that was given,
/// else one by which it fits into the machine, else none.
pub(crate) fn limit(limits: &Limits, given: Option<u64>, whole: u64, beside: u64) -> Option<u64> {
    if given.is_some() || whole.saturating_add(beside) <= limits.max_total_memory {
        return given;
    }
    let room = limits.max_total_memory.saturating_sub(beside) / STEP * STEP;
    (room > 0).then_some(room)
}

/// Refuses a job that takes more than there is, with what it would take in the smallest tiles. `planned` is what the network
/// takes with the limit that it has, `whole` without one, `beside` what comes on top; `given` is the user's own limit.
///
/// # Errors
/// [`crate::Error::Media`] with a limit.
pub(crate) fn check(
    limits: &Limits,
    interpolator: &Interpolator,
    size: [u32; 2],
    given: Option<u64>,
    [planned, whole, beside]: [u64; 3],
) -> Result<()> {
    let least = interpolator.least_memory(size);
    let too_little = given.is_none() && interpolator.memory_limit().is_some_and(|limit| limit < least);
    let bytes = if too_little { whole } else { planned };
    let fits = match least {
        0 => "smaller frames take less".to_owned(),
        least => format!(
            "in the smallest tiles it would be about {} MB, and smaller frames take less",
            (least + beside) / 1_000_000 + 1
        ),
    };
    Ok(limits.check_total_memory(bytes.saturating_add(beside), &fits)?)
}

/// What a plan says of a memory limit that nobody gave.
pub(crate) fn note(given: Option<u64>, limit: Option<u64>) -> String {
    match (given, limit) {
        (None, Some(limit)) => format!(
            "; kept within {} MB, which is what this machine has for it: larger pictures are made in tiles",
            limit / 1_000_000
        ),
        _ => String::new(),
    }
}
