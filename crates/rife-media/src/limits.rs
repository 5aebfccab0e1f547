//! What is accepted from the outside world, checked before memory is taken for it.

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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_side: 16,
            max_side: 16384,
            max_pixels: 16384 * 8192,
            max_frames: 10_000_000,
        }
    }
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
}
