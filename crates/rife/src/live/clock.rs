//! Clock of a live source: maps the times of its frames to this machine's, and follows a source that pauses or whose clock runs
//! a little faster or slower.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rife_media::{Time, time};

/// Share of a frame interval by which the clock follows the source's at each frame: a difference of clocks of 0.2% is followed.
const FOLLOW: f64 = 0.002;
/// Lateness of a frame from which the source has paused and its clock is set anew, in frame intervals.
const PAUSE: f64 = 3.0;
/// The shortest such lateness in seconds.
const SHORTEST_PAUSE: f64 = 0.1;
/// A read that took less than this share of a frame interval did not wait for the source.
const AT_ONCE: f64 = 0.1;

/// The clock. All methods can be called from any thread.
#[derive(Debug)]
pub(super) struct Clock {
    /// Frame interval in seconds.
    interval: f64,
    /// Whether only this machine's clock paces the frames.
    paced_here: bool,
    state: Mutex<State>,
}

/// State of a clock.
#[derive(Debug)]
struct State {
    begin: Instant,
    /// Time of the first frame in seconds since `begin`, less its time in the source; `None` before it.
    offset: Option<f64>,
    /// Seconds by which the offset was changed, added up.
    moved: f64,
}

impl Clock {
    /// Makes a clock that starts with the first frame; `interval` is the nominal time from frame to frame.
    pub(super) fn new(interval: Duration, paced_here: bool) -> Self {
        Self {
            interval: interval.as_secs_f64(),
            paced_here,
            state: Mutex::new(State {
                begin: Instant::now(),
                offset: None,
                moved: 0.0,
            }),
        }
    }

    /// Takes note of a frame with the time `pts` in the source, which was read from `asked` to `now`; returns when it is due for
    /// processing.
    pub(super) fn arrive(&self, pts: Time, now: Instant, asked: Instant) -> Instant {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |at: Instant| at.saturating_duration_since(state.begin).as_secs_f64();
        let (pts, now, asked) = (time::seconds(pts), since(now), since(asked));
        let offset = state.offset.unwrap_or(now - pts);
        let late = now - pts - offset;
        let waited = now - asked > AT_ONCE * self.interval;
        let change = match () {
            () if late > SHORTEST_PAUSE.max(PAUSE * self.interval) => late,
            // The source, or its pipe, has frames before they are due: its clock is faster.
            () if late < 0.0 && !waited && !self.paced_here => late.max(-FOLLOW * self.interval),
            () if late > 0.0 && waited => late.min(FOLLOW * self.interval),
            () => 0.0,
        };
        state.offset = Some(offset + change);
        state.moved += change.abs();
        instant(&state, offset + change + pts)
    }

    /// Returns when the moment `pts` of the source is by this machine's clock; now before the first frame.
    pub(super) fn time(&self, pts: Time) -> Instant {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.offset {
            Some(offset) => instant(&state, offset + time::seconds(pts)),
            None => Instant::now(),
        }
    }

    /// Returns the seconds by which the clock was changed, added up.
    pub(super) fn moved(&self) -> f64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).moved
    }
}

/// Converts seconds since the start.
fn instant(state: &State, seconds: f64) -> Instant {
    state.begin + Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_rational::Ratio;

    /// Feeds frames at 25 a second that arrive at these seconds, each read at once or waited for; returns the seconds at which the
    /// last is due, and the seconds moved.
    fn last_due(paced_here: bool, waited: bool, arrivals: impl Iterator<Item = f64>) -> (f64, f64) {
        let clock = Clock::new(Duration::from_millis(40), paced_here);
        let begin = clock.state.lock().unwrap().begin;
        let mut due = begin;
        for (number, at) in arrivals.enumerate() {
            let now = begin + Duration::from_secs_f64(at);
            let asked = if waited {
                now - Duration::from_millis(20)
            } else {
                now
            };
            due = clock.arrive(Ratio::new(number as i64, 25), now, asked.max(begin));
        }
        ((due - begin).as_secs_f64(), clock.moved())
    }

    #[test]
    fn a_steady_source_and_jitter_leave_the_clock_alone() {
        let (due, moved) = last_due(false, true, (0..250).map(|i| 1.0 + f64::from(i) / 25.0));
        assert!((due - 10.96).abs() < 1e-6 && moved < 1e-6, "{due} {moved}");
        let jitter = (0..250).map(|i| 1.0 + f64::from(i) / 25.0 + 0.01 * f64::from(i % 2));
        let (due, _) = last_due(false, true, jitter);
        assert!((10.96..10.98).contains(&due), "{due}");
    }

    #[test]
    fn a_pause_sets_the_clock_anew() {
        let paused = (0..50).map(|i| f64::from(i) / 25.0 + if i >= 25 { 2.0 } else { 0.0 });
        let (due, moved) = last_due(false, true, paused);
        assert!(
            (due - 3.96).abs() < 1e-6 && (moved - 2.0).abs() < 1e-6,
            "{due} {moved}"
        );
    }

    #[test]
    fn clocks_that_differ_a_little_are_followed_and_files_are_not_hurried() {
        // A camera that is 0.1% faster, whose frames wait in a pipe since they are read when they are due.
        let fast = |i: u32| f64::from(i) / 25.0 * 0.999;
        let (due, _) = last_due(false, false, (0..25_000).map(fast));
        assert!((due - fast(24_999)).abs() < 0.05, "{due}");
        let slow = |i: u32| f64::from(i) / 25.0 * 1.001;
        let (due, _) = last_due(false, true, (0..25_000).map(slow));
        assert!((due - slow(24_999)).abs() < 0.05, "{due}");
        let (due, moved) = last_due(true, false, (0..2500).map(|_| 0.0));
        assert!((due - 99.96).abs() < 1e-6 && moved == 0.0, "{due}");
    }
}
