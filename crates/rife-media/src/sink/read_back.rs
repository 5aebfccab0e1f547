//! Output verification: checks that every frame sent to the encoder is in the written file, at its time.

use std::path::Path;

use crate::ffmpeg::child::Child;
use crate::probe::Contents;
use crate::{Container, MediaError, Time};

/// Maximum common shift of all streams in seconds from an audio encoder's delay (AAC at 8 kHz: 128 ms, HE-AAC: twice that).
const PRIMING: Time = Time::new_raw(1, 2);

/// Number of free bytes below which a disk counts as full.
#[cfg(unix)]
const FULL: u64 = 256 << 10;

/// Returns the error for an incomplete output, with likely causes: a full disk and the encoder's messages. `part` is the
/// temporary file that was written.
pub(super) fn incomplete(target: &Path, part: &Path, child: &Child, mut reason: String) -> MediaError {
    if let Some(shortage) = shortage(part) {
        reason = format!("{shortage} ({reason})");
    }
    if let Some(said) = child.warnings() {
        reason = format!("{reason}; ffmpeg said: {said}");
    }
    MediaError::Incomplete {
        path: target.to_owned(),
        reason,
    }
}

/// Returns a message where the file system of `path` is full; `None` where it is not or its state is unknown.
pub(super) fn shortage(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        let state = rustix::fs::statvfs(path).ok()?;
        let left = state.f_bavail.saturating_mul(state.f_frsize);
        (left < FULL).then(|| format!("the disk is full: {left} bytes are left on it"))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// The times of all frames sent to an encoder.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Times in ticks of the output's time base, increasing.
    ticks: Vec<i64>,
}

impl Sent {
    /// Creates the expected times from another output's frames, in its time base.
    pub(crate) fn copied(from: &Contents) -> Self {
        let ticks = from.times.clone();
        Self { ticks }
    }

    /// Appends the time of the next frame.
    pub(super) fn push(&mut self, tick: i64) {
        self.ticks.push(tick);
    }

    /// Compares the sent frames with those in the file; `unit` is the time base of the sent ticks in seconds.
    ///
    /// The error is a message about missing frames or wrong times. For containers that cannot store exact times, wrong times
    /// are returned as warnings instead.
    pub(crate) fn check(
        &self,
        found: &Contents,
        unit: Time,
        container: Container,
    ) -> Result<Vec<String>, String> {
        let frames = self.ticks.len() as u64;
        if found.frames() != frames {
            return Err(format!("{frames} frames were sent, {} are in it", found.frames()));
        }
        // AVI stores no presentation times.
        if found.untimed > 0 {
            return Ok(Vec::new());
        }
        let (kept, moved) = match container {
            Container::Mp4 | Container::Mov => (true, Some(Time::from(0))),
            // All streams are shifted together where audio (encoder delay) or decoding times begin before zero.
            Container::Matroska | Container::WebM | Container::Nut => (true, Some(PRIMING)),
            _ => (false, None),
        };
        match self.misplaced(found, unit, moved) {
            Some(reason) if kept => Err(reason),
            reason => Ok(reason.into_iter().collect()),
        }
    }

    /// Returns a message about the first frame whose time is more than a tick of the file off, after a common shift of all
    /// frames of 0 to `moved` seconds (`None`: any shift).
    fn misplaced(&self, found: &Contents, unit: Time, moved: Option<Time>) -> Option<String> {
        let wide = |value: &i64| i128::from(*value);
        // All times are computed in the unit 1 / (product of both denominators).
        let parts = wide(unit.denom()) * wide(found.unit.denom());
        let length = |time: Time| wide(time.numer()) * parts / wide(time.denom());
        let (ours, theirs) = (length(unit), length(found.unit));
        let pairs = || found.times.iter().zip(&self.ticks);
        let off = |(found, sent): (&i64, &i64)| wide(found) * theirs - wide(sent) * ours;
        let first = pairs().next().map_or(0, off);
        let together = moved.map_or(first, |most| first.clamp(0, length(most)));
        let index = pairs().position(|pair| (off(pair) - together).abs() > theirs)?;
        let place = |tick: i64, unit: Time| tick as f64 * crate::time::seconds(unit);
        let shift = together as f64 / parts as f64;
        Some(format!(
            "frame {index} is at {:.6} s in it instead of {:.6} s",
            place(found.times[index], found.unit) - shift,
            place(self.ticks[index], unit)
        ))
    }
}

#[cfg(test)]
mod tests {
    use num_rational::Ratio;

    use super::*;

    fn contents(times: &[i64], unit: Time) -> Contents {
        let (times, others, untimed) = (times.to_vec(), 0, 0);
        Contents {
            times,
            unit,
            others,
            untimed,
        }
    }

    #[test]
    fn times_may_be_a_tick_off_and_no_more() {
        let (unit, milli) = (Ratio::new(1, 30), Ratio::new(1, 1000));
        let sent = Sent::copied(&contents(&[0, 1, 2, 3], unit));
        let check = |times: &[i64], container| sent.check(&contents(times, milli), unit, container);
        assert_eq!(check(&[0, 33, 67, 100], Container::Matroska), Ok(Vec::new()));
        assert_eq!(
            check(&[0, 33, 69, 100], Container::Matroska),
            Err("frame 2 is at 0.069000 s in it instead of 0.066667 s".into())
        );
        assert_eq!(
            check(&[0, 33, 67], Container::Matroska),
            Err("4 frames were sent, 3 are in it".into())
        );
        assert!(check(&[1400, 1433, 1467, 1500], Container::Mp4).is_err());
        for container in [Container::WebM, Container::Nut] {
            assert_eq!(check(&[7, 40, 74, 107], container), Ok(Vec::new()));
        }
        assert!(check(&[600, 633, 667, 700], Container::WebM).is_err());
        assert_eq!(
            check(&[1400, 1433, 1467, 1500], Container::MpegTs),
            Ok(Vec::new())
        );
        // Without the shift that all frames have.
        assert_eq!(
            check(&[1400, 1433, 1487, 1500], Container::MpegTs),
            Ok(vec![
                "frame 2 is at 0.087000 s in it instead of 0.066667 s".into()
            ])
        );
    }
}
