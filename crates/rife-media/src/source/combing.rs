//! Interlace detection by combing (as ffmpeg's idet): whether a stream that is not flagged as interlaced is interlaced
//! nevertheless, and its field order. Captures, and files that were cut or converted, often lack the flag.
//!
//! Only pixels that differ from the previous frame are analysed. A pixel is combed where luma alternately rises and falls over
//! [`RUN`] + 1 lines. An interlaced frame has about as many combed pixels as a frame woven from the fields of two consecutive
//! frames; a progressive frame has far fewer than such a weave. Of the two possible weaves, the one of temporally adjacent
//! fields has fewer combed pixels, which gives the field order.

use std::io::Read;
use std::path::Path;

use super::SourceSpec;
use crate::ffmpeg::args::Args;
use crate::ffmpeg::child::{self, Child, Request};
use crate::probe::VideoStream;
use crate::time::decimal_seconds;
use crate::{Ffmpeg, Result, Time};

/// Luma difference, of 255, that a pixel must exceed from line to line (combing) and from frame to frame (motion).
const MIN_DIFFERENCE: i16 = 8;
/// Number of alternations of luma that make a pixel combed.
const RUN: usize = 5;
/// Number of frames that are analysed at each position.
const FRAMES: usize = 20;
/// Positions of the analysed frames in percent of the duration, for clips longer than [`SHORT`].
const POSITIONS: [i64; 3] = [5, 45, 85];
/// Maximum duration in seconds of clips that are analysed only at the start.
const SHORT: i64 = 10;
/// Minimum fraction of the moving pixels that are combed in an interlaced frame.
const MIN_COMBED: f64 = 0.018;
/// Minimum ratio of combed pixels in an interlaced frame to those of fields woven from different frames.
const MIN_COMBED_OF_WOVEN: f64 = 0.15;
/// Minimum number of moving pixels of a frame pair that counts.
const MIN_MOVED: usize = 200;
/// Number of moving frames after which no further position is analysed.
const ENOUGH: usize = 8;
/// Maximum height in pixels of video that is analysed; taller video is never interlaced.
const MAX_HEIGHT: u32 = 1088;

/// Result of the interlace detection of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Combing {
    /// Number of analysed frames with motion.
    pub(super) moving: usize,
    /// Number of those that are combed.
    pub(super) combed: usize,
    /// True for top field first.
    pub(super) top_first: bool,
    /// True where one field order has clearly fewer combed pixels; noise and fine patterns have as many in both.
    pub(super) ordered: bool,
}

impl Combing {
    /// Reports whether the stream is interlaced, at least a quarter of its moving frames (telecined or mixed content).
    pub(super) fn found(self) -> bool {
        self.ordered && self.combed >= 3 && self.combed * 4 >= self.moving
    }

    /// Returns the field order as text.
    pub(super) fn order(self) -> &'static str {
        if self.top_first {
            "top field first"
        } else {
            "bottom field first"
        }
    }
}

/// Decodes some frames of stream `stream` of the file and detects interlacing. A stream that cannot be decoded counts as
/// progressive; decoding it later reports the error. `duration` is in seconds.
pub(super) fn detect(
    ffmpeg: &Ffmpeg,
    path: &Path,
    spec: &SourceSpec,
    stream: u32,
    video: &VideoStream,
    duration: Option<Time>,
) -> Result<Combing> {
    let mut tally = Tally::default();
    if video.height > MAX_HEIGHT || (video.height as usize) < 2 * RUN {
        return Ok(tally.combing());
    }
    let long = duration.filter(|duration| *duration > Time::from(SHORT));
    let positions: Vec<Time> = match long {
        Some(duration) => POSITIONS
            .iter()
            .map(|percent| duration / 100 * *percent)
            .collect(),
        None => vec![Time::from(0)],
    };
    for position in positions {
        let mut args = Args::ffmpeg();
        args.all(["-ss", &decimal_seconds(position), "-noautorotate"]);
        args.input(path, &spec.limits)?;
        args.all(["-map", &format!("0:{stream}"), "-frames:v", &FRAMES.to_string()]);
        args.all(["-fps_mode", "passthrough", "-pix_fmt", "gray"]);
        args.all(["-s", &format!("{}x{}", video.width, video.height)]);
        args.all(["-f", "rawvideo", "pipe:1"]);
        let child = child::start(Request {
            stdout: true,
            cancel: spec.cancel.clone(),
            stall: spec.stall_timeout,
            ..Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0)
        })?;
        tally.read(child, video.width as usize, video.height as usize);
        if spec.cancel.is_cancelled() {
            return Err(crate::MediaError::Cancelled);
        }
        if tally.moving >= ENOUGH {
            break;
        }
    }
    Ok(tally.combing())
}

/// Counts over the analysed frames.
#[derive(Debug, Default)]
struct Tally {
    /// Number of frame pairs with motion.
    moving: usize,
    /// Number of those that are combed.
    combed: usize,
    /// Combed pixels of the weaves of a frame's top field with the bottom field of the previous frame, and of the next.
    woven: [usize; 2],
}

impl Tally {
    /// Converts the counts to a result; field orders differ clearly where one weave has at least 5 % more combed pixels.
    fn combing(&self) -> Combing {
        let [first, second] = self.woven;
        Combing {
            moving: self.moving,
            combed: self.combed,
            top_first: first <= second,
            ordered: first.max(second) * 20 >= first.min(second) * 21,
        }
    }

    /// Reads raw frames of 8-bit luma from ffmpeg to the end and adds all consecutive pairs.
    fn read(&mut self, mut child: Child, width: usize, height: usize) {
        let mut frame = vec![0; width * height];
        let mut before: Vec<u8> = Vec::new();
        while child.read_exact(&mut frame).is_ok() {
            if !before.is_empty() {
                self.add_pair(&before, &frame, width);
            }
            before.clone_from(&frame);
        }
    }

    /// Adds the comb counts of two consecutive frames (8-bit luma, `width` bytes a row): of each frame and of both weaves.
    /// Pairs with too few moving pixels are ignored.
    fn add_pair(&mut self, before: &[u8], after: &[u8], width: usize) {
        let rows = |frame: &[u8]| -> Vec<Vec<u8>> { frame.chunks_exact(width).map(<[u8]>::to_vec).collect() };
        let (a, b) = (rows(before), rows(after));
        let woven = |top: &[Vec<u8>], bottom: &[Vec<u8>]| -> Vec<Vec<u8>> {
            let row = |y: usize| if y.is_multiple_of(2) { &top[y] } else { &bottom[y] };
            (0..top.len()).map(|y| row(y).clone()).collect()
        };
        let (mut moved, mut combs) = (0, [0; 4]);
        let pictures = [&a, &b, &woven(&b, &a), &woven(&a, &b)];
        for y in 0..a.len().saturating_sub(RUN + 1) {
            for x in 0..width {
                // Row in the middle of the run.
                let at = y + RUN / 2 + 1;
                if a[at][x].abs_diff(b[at][x]) <= MIN_DIFFERENCE as u8 {
                    continue;
                }
                moved += 1;
                for (count, picture) in combs.iter_mut().zip(pictures) {
                    *count += usize::from(is_combed(picture, x, y));
                }
            }
        }
        if moved < MIN_MOVED {
            return;
        }
        self.moving += 1;
        self.woven[0] += combs[2];
        self.woven[1] += combs[3];
        let as_is = (combs[0] + combs[1]) as f64 / 2.0;
        let woven = combs[2].min(combs[3]) as f64;
        let combed = as_is >= MIN_COMBED * moved as f64 && as_is >= MIN_COMBED_OF_WOVEN * woven;
        self.combed += usize::from(combed);
    }
}

/// Reports whether luma in column `x` alternately rises and falls over the [`RUN`] + 1 line steps from line `y` on.
fn is_combed(rows: &[Vec<u8>], x: usize, y: usize) -> bool {
    let step = |k: usize| i16::from(rows[y + k + 1][x]) - i16::from(rows[y + k][x]);
    let mut last = step(0);
    last.abs() > MIN_DIFFERENCE
        && (1..=RUN).all(|k| {
            let next = step(k);
            let turns = next.abs() > MIN_DIFFERENCE && (next > 0) != (last > 0);
            last = next;
            turns
        })
}
