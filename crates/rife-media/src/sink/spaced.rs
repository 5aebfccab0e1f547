//! Minimum frame delay of animated images: GIF and WebP players replace very short delays by 100 ms. Frames closer than the
//! minimum delay are dropped in favour of the next one, so that the animation keeps its duration.

use crate::Frame;

/// A filter of frames that drops those closer than a minimum number of ticks.
#[derive(Debug)]
pub(super) struct Spaced {
    /// Minimum distance of two frames in ticks.
    min_ticks: i64,
    /// The last frame with its tick, which a close successor replaces.
    waiting: Option<(i64, Frame)>,
    /// Number of dropped frames.
    merged: u64,
}

impl Spaced {
    /// Creates a filter whose frames are at least `min_ticks` ticks apart.
    pub(super) fn new(min_ticks: i64) -> Self {
        Self {
            min_ticks,
            waiting: None,
            merged: 0,
        }
    }

    /// Adds a frame at `tick`; returns the previous frame with its tick, or `None` where the new frame is too close to it and
    /// replaces it at the previous tick.
    pub(super) fn push(&mut self, tick: i64, frame: Frame) -> Option<(i64, Frame)> {
        match &mut self.waiting {
            Some((start, waiting)) if tick < *start + self.min_ticks => {
                *waiting = frame;
                self.merged += 1;
                None
            }
            waiting => waiting.replace((tick, frame)),
        }
    }

    /// Returns the last frame with its tick.
    pub(super) fn finish(&mut self) -> Option<(i64, Frame)> {
        self.waiting.take()
    }

    /// Returns a warning with the number of dropped frames; `None` without any. `shortest` is the minimum delay in seconds.
    pub(super) fn warning(&self, shortest: &str) -> Option<String> {
        (self.merged > 0).then(|| {
            format!(
                "{} frames lay closer than {shortest} s after the one before, which players do not show so: they are left out",
                self.merged
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PixelFormat;

    /// The ticks that come out, and which of the frames stand there.
    fn spaced(ticks: &[i64]) -> Vec<(i64, usize)> {
        let frame = |n: usize| Frame::from_raw(1, 1, PixelFormat::RGB8, &[n as u8; 3]).unwrap();
        let mut spaced = Spaced::new(2);
        let mut out: Vec<(i64, Frame)> = Vec::new();
        for (n, &tick) in ticks.iter().enumerate() {
            out.extend(spaced.push(tick, frame(n)));
        }
        out.extend(spaced.finish());
        out.into_iter()
            .map(|(tick, found)| (tick, (0..ticks.len()).find(|&n| frame(n) == found).unwrap()))
            .collect()
    }

    #[test]
    fn no_frame_is_shown_for_less_and_the_last_before_a_pause_stays() {
        assert_eq!(spaced(&[0, 2, 4, 7]), [(0, 0), (2, 1), (4, 2), (7, 3)]);
        assert_eq!(spaced(&[0, 1, 2, 3, 400, 401]), [(0, 1), (2, 3), (400, 5)]);
        let sixty: Vec<i64> = (0..60).map(|n| (n * 100 + 30) / 60).collect();
        let out = spaced(&sixty);
        assert!(out.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 2), "{out:?}");
        assert!(out.len() == 40 && spaced(&[]).is_empty());
    }
}
