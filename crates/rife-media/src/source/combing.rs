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
use crate::sink::encoder::decimal_seconds;
use crate::{Ffmpeg, Result, Time};

/// Brightness must change by more than this, of 255, from line to line and from frame to frame.
const LEAST: i16 = 8;
/// Turns of brightness in a row.
const RUN: usize = 5;
/// Frames that are looked at in each place.
const FRAMES: usize = 20;
/// Places, as hundredths of the duration, of a clip longer than [`SHORT`] seconds; only the start of others.
const PLACES: [i64; 3] = [5, 45, 85];
const SHORT: i64 = 10;
/// In an interlaced frame, so many of the pixels that moved are combed at least...
const LEAST_COMBED: f64 = 0.018;
/// ...and so many for one that is in fields of different frames.
const LEAST_LIKE_WOVEN: f64 = 0.15;
/// Of a frame in which fewer pixels have moved nothing can be said.
const LEAST_MOVED: usize = 200;
/// So many frames in which something moves are enough, and no other place is looked at.
const ENOUGH: usize = 8;
/// Taller video is never interlaced.
const TALLEST: u32 = 1088;

/// What was found in a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Combing {
    /// Frames in which something moves.
    pub(super) moving: usize,
    /// Those of them that are combed.
    pub(super) combed: usize,
    /// Whether the top field comes first.
    pub(super) top_first: bool,
    /// Whether one order of fields clearly has fewer combs: noise and other fine patterns have as many in both.
    pub(super) ordered: bool,
}

impl Combing {
    /// Whether the stream is interlaced; where only some frames are, it is telecined, or made of several things.
    pub(super) fn found(self) -> bool {
        self.ordered && self.combed >= 3 && self.combed * 4 >= self.moving
    }

    /// The field order, in words.
    pub(super) fn order(self) -> &'static str {
        if self.top_first {
            "top field first"
        } else {
            "bottom field first"
        }
    }
}

/// Looks at some frames of a stream. A stream that cannot be decoded here has no combing: decoding tells why.
pub(super) fn look(
    ffmpeg: &Ffmpeg,
    path: &Path,
    spec: &SourceSpec,
    stream: u32,
    video: &VideoStream,
    duration: Option<Time>,
) -> Result<Combing> {
    let mut tally = Tally::default();
    if video.height > TALLEST || (video.height as usize) < 2 * RUN {
        return Ok(tally.combing());
    }
    let long = duration.filter(|duration| *duration > Time::from(SHORT));
    let places: Vec<Time> = match long {
        Some(duration) => PLACES.iter().map(|place| duration / 100 * *place).collect(),
        None => vec![Time::from(0)],
    };
    for place in places {
        let mut args = Args::ffmpeg();
        args.all(["-ss", &decimal_seconds(place), "-noautorotate"]);
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

/// What has been counted.
#[derive(Debug, Default)]
struct Tally {
    moving: usize,
    combed: usize,
    /// Combs where the top field of a frame is put to the bottom field of the one before, and of the one after.
    woven: [usize; 2],
}

impl Tally {
    fn combing(&self) -> Combing {
        let [first, second] = self.woven;
        Combing {
            moving: self.moving,
            combed: self.combed,
            top_first: first <= second,
            ordered: first.max(second) * 20 >= first.min(second) * 21,
        }
    }

    /// Takes a child's frames, one byte a pixel, until there are no more.
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
                // The middle of the run.
                let at = y + RUN / 2 + 1;
                if a[at][x].abs_diff(b[at][x]) <= LEAST as u8 {
                    continue;
                }
                moved += 1;
                for (count, picture) in combs.iter_mut().zip(pictures) {
                    *count += usize::from(is_combed(picture, x, y));
                }
            }
        }
        if moved < LEAST_MOVED {
            return;
        }
        self.moving += 1;
        self.woven[0] += combs[2];
        self.woven[1] += combs[3];
        let as_is = (combs[0] + combs[1]) as f64 / 2.0;
        let woven = combs[2].min(combs[3]) as f64;
        let combed = as_is >= LEAST_COMBED * moved as f64 && as_is >= LEAST_LIKE_WOVEN * woven;
        self.combed += usize::from(combed);
    }
}

/// Whether brightness goes up and down in turn from line `y` on.
fn is_combed(rows: &[Vec<u8>], x: usize, y: usize) -> bool {
    let step = |k: usize| i16::from(rows[y + k + 1][x]) - i16::from(rows[y + k][x]);
    let mut last = step(0);
    last.abs() > LEAST
        && (1..=RUN).all(|k| {
            let next = step(k);
            let turns = next.abs() > LEAST && (next > 0) != (last > 0);
            last = next;
            turns
        })
}
