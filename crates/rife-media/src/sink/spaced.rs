//! Frame delays of animated images: GIF and WebP players take a delay that is too short for a mistake, and show the frame for
//! a tenth of a second. Frames that lie closer than the shortest delay are merged here, so that none has such a one and the
//! whole keeps its length.

use crate::Frame;

/// Frames on their way, each at least so many ticks after the one before.
#[derive(Debug)]
pub(super) struct Spaced {
    least: i64,
    waiting: Option<(i64, Frame)>,
    merged: u64,
}

impl Spaced {
    /// Frames at least `least` ticks apart.
    pub(super) fn new(least: i64) -> Self {
        Self {
            least,
            waiting: None,
            merged: 0,
        }
    }

    /// Takes a frame at `tick`. One that lies too close after the one before takes its place, so that the last of them is
    /// what rests on the screen; else the one before is given, with its tick.
    pub(super) fn push(&mut self, tick: i64, frame: Frame) -> Option<(i64, Frame)> {
        match &mut self.waiting {
            Some((start, waiting)) if tick < *start + self.least => {
                *waiting = frame;
                self.merged += 1;
                None
            }
            waiting => waiting.replace((tick, frame)),
        }
    }

    /// The last frame, with its tick.
    pub(super) fn finish(&mut self) -> Option<(i64, Frame)> {
        self.waiting.take()
    }

    /// How many frames have been left out, in words; nothing where none has.
    pub(super) fn told(&self, shortest: &str) -> Option<String> {
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
