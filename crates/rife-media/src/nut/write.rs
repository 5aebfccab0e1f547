//! NUT muxer for one raw video stream: headers, then a syncpoint and a checksummed frame header before each raw frame.

use num_rational::Ratio;

use super::{FILE_ID, INFO, MAIN, STREAM, SYNCPOINT, crc, flag};
use crate::Time;

/// The frame code of every frame: a key frame with coded time, size and checksum.
const FRAME_CODE: u8 = 1;
/// `msb_pts_shift` of the stream; times are written in full, offset by `2^TIME_SHIFT`.
const TIME_SHIFT: u32 = 7;

/// Namespace of the functions that build the bytes before and between raw frames.
pub(crate) struct Writer;

impl Writer {
    /// Builds the start of the file: identifier, main header and stream header. `fourcc` is the raw pixel format, `aspect`
    /// the pixel aspect ratio.
    pub(crate) fn header(
        width: u32,
        height: u32,
        fourcc: [u8; 4],
        time_base: Time,
        aspect: Ratio<i64>,
    ) -> Vec<u8> {
        let mut main = Vec::new();
        [3, 1, 65536, 1].iter().for_each(|&v| put(&mut main, v));
        put(&mut main, *time_base.numer() as u64);
        put(&mut main, *time_base.denom() as u64);
        frame_codes(&mut main);
        put(&mut main, 0);

        let mut stream = Vec::new();
        put(&mut stream, 0);
        put(&mut stream, 0);
        put(&mut stream, 4);
        stream.extend(fourcc);
        [0, u64::from(TIME_SHIFT), 1 << 31, 0, 0, 0]
            .iter()
            .for_each(|&v| put(&mut stream, v));
        let aspect = [*aspect.numer() as u64, *aspect.denom() as u64];
        [u64::from(width), u64::from(height), aspect[0], aspect[1], 0]
            .iter()
            .for_each(|&v| put(&mut stream, v));

        [FILE_ID, &packet(MAIN, main), &packet(STREAM, stream)].concat()
    }

    /// Builds an info packet that states the frame rate, so that ffmpeg need not estimate it from the frames.
    pub(crate) fn rate(rate: Ratio<i64>) -> Vec<u8> {
        let mut info = Vec::new();
        // The first stream, no chapter, from 0 to 0, one entry.
        [1, 0, 0, 0, 1].iter().for_each(|&v| put(&mut info, v));
        let mut text = |text: &str| {
            put(&mut info, text.len() as u64);
            info.extend(text.as_bytes());
        };
        text("r_frame_rate");
        let value = format!("{}/{}", rate.numer(), rate.denom());
        // A signed -1 announces text; signed numbers alternate: 1, -1, 2...
        let mut entry = Vec::new();
        put(&mut entry, 2);
        put(&mut entry, value.len() as u64);
        entry.extend(value.as_bytes());
        info.extend(entry);
        packet(INFO, info)
    }

    /// Builds the syncpoint and frame header before a raw frame of `size` bytes at `pts` ticks (negative ones become 0).
    pub(crate) fn frame_header(pts: i64, size: usize) -> Vec<u8> {
        let pts = pts.max(0) as u64;
        let mut sync = Vec::new();
        put(&mut sync, pts);
        put(&mut sync, 0);
        let mut out = packet(SYNCPOINT, sync);
        let mut header = vec![FRAME_CODE];
        put(&mut header, pts + (1 << TIME_SHIFT));
        put(&mut header, size as u64);
        header.extend(crc(&header).to_be_bytes());
        out.extend(header);
        out
    }
}

/// Appends the table of 256 frame codes, of which only [`FRAME_CODE`] is valid.
fn frame_codes(out: &mut Vec<u8>) {
    let frame = flag::KEY | flag::CODED_PTS | flag::SIZE_MSB | flag::CHECKSUM;
    // The table skips the code `N`, which starts a packet, so the last group counts one less.
    for (flags, count) in [(flag::INVALID, 1), (frame, 1), (flag::INVALID, 253)] {
        put(out, flags);
        // Six fields follow: time delta (signed 0), size multiplier, stream, size, reserved, count.
        [6, 0, 1, 0, 0, 0, count].iter().for_each(|&v| put(out, v));
    }
}

/// Builds a packet of less than 4096 bytes with its checksum.
fn packet(startcode: u64, mut data: Vec<u8>) -> Vec<u8> {
    data.extend(crc(&data).to_be_bytes());
    let mut out = startcode.to_be_bytes().to_vec();
    put(&mut out, data.len() as u64);
    out.extend(data);
    out
}

/// Appends a variable-length number: groups of seven bits, most significant first.
fn put(out: &mut Vec<u8>, value: u64) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (1..groups).rev() {
        out.push(0x80 | (value >> (7 * group)) as u8 & 0x7F);
    }
    out.push(value as u8 & 0x7F);
}
