//! Limits on untrusted input: frame sizes, frame counts, memory and time, checked before memory is allocated or work
//! begins. The timeout of ffmpeg per frame is not here but the `stall_timeout` of sources and sinks.

mod system;

use std::sync::OnceLock;
use std::time::Duration;

use crate::{MediaError, Result};

/// Limits on untrusted input. The defaults suit a personal machine; a server lowers them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Smallest accepted width and height in pixels (default 16, the minimum of the networks).
    pub min_side: u32,
    /// Largest accepted width and height in pixels (default 16384).
    pub max_side: u32,
    /// Largest accepted `width * height` (default 16384 * 8192, an 8K frame four times over).
    pub max_pixels: u64,
    /// Maximum number of source frames of a job (default 10 million, four days at 30 fps).
    pub max_frames: u64,
    /// Maximum number of frames that a job writes (default 100 million): a small file can declare any duration, which the
    /// frame rate factor multiplies.
    pub max_output_frames: u64,
    /// Maximum memory in bytes that a job plans for its frames and its network (default: the process's address space limit,
    /// unlimited unless set by `ulimit -v` or similar).
    pub max_memory: u64,
    /// Maximum memory in bytes that a job and its ffmpeg processes plan together (default: seven eighths of the machine's
    /// memory, or the limit of the process's control group where that is lower).
    pub max_total_memory: u64,
    /// Maximum time to compute one frame (default one hour); applies to the estimate before a job starts and to each frame.
    pub max_frame_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_side: 16,
            max_side: 16384,
            max_pixels: 16384 * 8192,
            max_frames: 10_000_000,
            max_output_frames: 100_000_000,
            max_memory: address_space(),
            max_total_memory: system_memory().0,
            max_frame_time: Duration::from_secs(3600),
        }
    }
}

/// Returns the memory in bytes available to this process and its children, and the name of the limit for messages;
/// measured once per process.
fn system_memory() -> (u64, &'static str) {
    static FOUND: OnceLock<(u64, &str)> = OnceLock::new();
    *FOUND.get_or_init(system::memory)
}

/// Returns the address space limit of this process in bytes (`RLIMIT_AS`); `u64::MAX` where unlimited.
fn address_space() -> u64 {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::As)
        .current
        .unwrap_or(u64::MAX);
    #[cfg(not(unix))]
    u64::MAX
}

impl Limits {
    /// Checks a frame size in pixels against `min_side`, `max_side` and `max_pixels`.
    pub fn check_size(&self, width: u64, height: u64) -> Result<()> {
        let sides = u64::from(self.min_side)..=u64::from(self.max_side);
        if !sides.contains(&width) || !sides.contains(&height) {
            let accepted = format!("{} to {} pixels on each side", self.min_side, self.max_side);
            return Err(MediaError::limit(
                "the frame size",
                format!("{width}x{height}"),
                accepted,
            ));
        }
        if width * height > self.max_pixels {
            let accepted = format!("{} pixels a frame", self.max_pixels);
            return Err(MediaError::limit(
                "the frame size",
                format!("{width}x{height}"),
                accepted,
            ));
        }
        Ok(())
    }

    /// Checks the number of source frames read so far against `max_frames`.
    pub fn check_frames(&self, frames: u64) -> Result<()> {
        if frames > self.max_frames {
            let accepted = format!("{} frames", self.max_frames);
            return Err(MediaError::limit("the number of frames", frames, accepted));
        }
        Ok(())
    }

    /// Checks a planned or written number of output frames against `max_output_frames`.
    pub fn check_output_frames(&self, frames: u64) -> Result<()> {
        if frames > self.max_output_frames {
            let accepted = format!("{} frames", self.max_output_frames);
            return Err(MediaError::limit(
                "the number of frames to be written",
                frames,
                accepted,
            ));
        }
        Ok(())
    }

    /// Checks the estimated or measured time to compute a frame against `max_frame_time`.
    pub fn check_frame_time(&self, time: Duration) -> Result<()> {
        if time > self.max_frame_time {
            let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
            return Err(MediaError::limit(
                "the time that a frame takes",
                seconds(time),
                seconds(self.max_frame_time),
            ));
        }
        Ok(())
    }

    /// Checks the memory in bytes that a job and its ffmpeg processes plan together against `max_total_memory`; `fits`
    /// ends the error message with settings that would fit.
    pub fn check_total_memory(&self, bytes: u64, fits: &str) -> Result<()> {
        if bytes <= self.max_total_memory {
            return Ok(());
        }
        let megabytes = |bytes: u64| bytes / 1_000_000;
        let (found, name) = system_memory();
        let of = match self.max_total_memory == found {
            true => format!(", {name}"),
            false => String::new(),
        };
        let accepted = format!("{} MB{of}; {fits}", megabytes(self.max_total_memory));
        Err(MediaError::limit(
            "the memory of this job, ffmpeg's included,",
            format!("{} MB", megabytes(bytes) + 1),
            accepted,
        ))
    }

    /// Checks the memory in bytes that a job plans against `max_memory`.
    pub fn check_memory(&self, bytes: u64) -> Result<()> {
        if bytes > self.max_memory {
            let accepted = format!(
                "{} MB; with a memory limit large pictures are made in tiles",
                self.max_memory / 1_000_000
            );
            let planned = format!("{} MB", bytes.div_ceil(1_000_000));
            return Err(MediaError::limit("the memory of this job", planned, accepted));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_the_last_value_that_is_accepted() {
        let limits = Limits {
            max_side: 100,
            max_pixels: 5000,
            max_frames: 10,
            max_output_frames: 20,
            max_memory: 1_000_000,
            max_total_memory: 2_000_000,
            max_frame_time: Duration::from_millis(1500),
            ..Limits::default()
        };
        assert!(limits.check_size(100, 50).is_ok() && limits.check_size(16, 16).is_ok());
        assert!(limits.check_size(101, 16).is_err() && limits.check_size(100, 51).is_err());
        assert!(limits.check_size(15, 16).is_err() && limits.check_size(u64::MAX, u64::MAX).is_err());
        assert!(limits.check_frames(10).is_ok() && limits.check_frames(11).is_err());
        assert!(limits.check_output_frames(20).is_ok() && limits.check_output_frames(21).is_err());
        assert!(limits.check_frame_time(Duration::from_millis(1500)).is_ok());
        let error = limits.check_frame_time(Duration::from_secs(2)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the time that a frame takes is 2.0 s, outside the accepted 1.5 s"
        );
        assert!(limits.check_total_memory(2_000_000, "").is_ok());
        assert_eq!(
            limits
                .check_total_memory(2_000_001, "1 MB would do")
                .unwrap_err()
                .to_string(),
            "the memory of this job, ffmpeg's included, is 3 MB, outside the accepted 2 MB; 1 MB would do"
        );
        assert!(limits.check_memory(1_000_000).is_ok());
        let error = limits.check_memory(1_000_001).unwrap_err();
        assert_eq!(error.code(), "limit_exceeded");
        assert_eq!(
            error.to_string(),
            "the memory of this job is 2 MB, outside the accepted 1 MB; with a memory limit large pictures are made in \
             tiles"
        );
    }
}
