//! What is accepted from the outside world, checked before memory or work is taken for it. The time that a child
//! process may take over a frame is the `stall_timeout` of sources and sinks.

mod system;

use std::sync::OnceLock;
use std::time::Duration;

use crate::{MediaError, Result};

/// Limits on untrusted input. The defaults suit a personal machine; a server lowers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Smallest accepted width and height in pixels (default 16: the networks need as much).
    pub min_side: u32,
    /// Largest accepted width and height in pixels (default 16384).
    pub max_side: u32,
    /// Largest accepted `width * height` (default 16384 * 8192, an 8K frame four times over).
    pub max_pixels: u64,
    /// Most source frames of one job (default 10 million, four days at 30 frames a second).
    pub max_frames: u64,
    /// Most frames that a job may write (default 100 million): a small file can announce any length, and a factor
    /// multiplies it.
    pub max_output_frames: u64,
    /// Most bytes of memory that a job may plan for its frames and its network (default: the address space that the process
    /// may have, which is any unless `ulimit -v` or its like says otherwise).
    pub max_memory: u64,
    /// Most bytes of memory that a job and the ffmpeg beside it may plan together (default: seven eighths of the machine's
    /// memory, or the limit of the process's control group where that is less).
    pub max_total_memory: u64,
    /// The longest that making one frame may take (default an hour): what is estimated before the start, and what it
    /// then takes.
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

/// What the system lets this process and its children have, and what says so.
fn system_memory() -> (u64, &'static str) {
    static FOUND: OnceLock<(u64, &str)> = OnceLock::new();
    *FOUND.get_or_init(system::memory)
}

/// Bytes of address space that this process may take.
fn address_space() -> u64 {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::As)
        .current
        .unwrap_or(u64::MAX);
    #[cfg(not(unix))]
    u64::MAX
}

impl Limits {
    /// Checks a frame size against the limits.
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

    /// Checks a count of frames read so far.
    pub fn check_frames(&self, frames: u64) -> Result<()> {
        if frames > self.max_frames {
            let accepted = format!("{} frames", self.max_frames);
            return Err(MediaError::limit("the number of frames", frames, accepted));
        }
        Ok(())
    }

    /// Checks a count of frames that are to be written, or that have been.
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

    /// Checks the time that a frame is expected to take, or has taken.
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

    /// Checks the memory that a job and the ffmpeg beside it plan together, in bytes. `fits` says what would.
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

    /// Checks the memory that a job plans, in bytes.
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
