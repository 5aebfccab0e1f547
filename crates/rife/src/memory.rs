//! Memory budget of a job: the network's memory plus that of its ffmpeg processes against the machine's limit. If it does
//! not fit, the network gets a memory limit, by which it computes frames in tiles.

use rife_media::Limits;

use crate::{Interpolator, Result};

/// Estimated memory of a job's ffmpeg decoder and encoder together: constant bytes, and bytes per pixel of a frame. x264 at
/// its default preset took 108, 255 and 474 MB at 640x360, 1280x720 and 1920x1080, the decoder 65, 83 and 116 MB.
const FFMPEG: (u64, u64) = (100_000_000, 240);
/// Granularity of automatic memory limits in bytes, so that small changes of the machine's free memory do not change the
/// limit.
const STEP: u64 = 64 << 20;

/// Estimates the memory of a job's ffmpeg processes in bytes, for frames of `size` (width, height).
pub(crate) fn of_ffmpeg(size: [u32; 2]) -> u64 {
    FFMPEG.0 + FFMPEG.1 * u64::from(size[0]) * u64::from(size[1])
}

/// Returns the network's memory limit in bytes: the user's (`given`), else none if the job fits into the machine, else what
/// is left for the network. `untiled` is the network's memory without a limit, `other` that of everything else, in bytes.
pub(crate) fn limit(limits: &Limits, given: Option<u64>, untiled: u64, other: u64) -> Option<u64> {
    if given.is_some() || untiled.saturating_add(other) <= limits.max_total_memory {
        return given;
    }
    let available = limits.max_total_memory.saturating_sub(other) / STEP * STEP;
    (available > 0).then_some(available)
}

/// Refuses a job that needs more memory than the machine has; the error says what the smallest tiles would need. All in
/// bytes: `planned` is the network's memory with its limit, `untiled` without one, `other` that of everything else, `given`
/// the user's own limit.
///
/// # Errors
/// [`crate::Error::Media`] with [`rife_media::MediaError::Limit`].
pub(crate) fn check(
    limits: &Limits,
    interpolator: &Interpolator,
    size: [u32; 2],
    given: Option<u64>,
    [planned, untiled, other]: [u64; 3],
) -> Result<()> {
    let min = interpolator.min_memory(size);
    let too_little = given.is_none() && interpolator.memory_limit().is_some_and(|limit| limit < min);
    let bytes = if too_little { untiled } else { planned };
    let advice = match min {
        0 => "smaller frames take less".to_owned(),
        min => format!(
            "in the smallest tiles it would be about {} MB, and smaller frames take less",
            (min + other) / 1_000_000 + 1
        ),
    };
    Ok(limits.check_total_memory(bytes.saturating_add(other), &advice)?)
}

/// Returns the sentence of a plan about an automatic memory limit (in bytes); empty if the user gave one or none applies.
pub(crate) fn note(given: Option<u64>, limit: Option<u64>) -> String {
    match (given, limit) {
        (None, Some(limit)) => format!(
            "; kept within {} MB, which is what this machine has for it: larger pictures are made in tiles",
            limit / 1_000_000
        ),
        _ => String::new(),
    }
}
