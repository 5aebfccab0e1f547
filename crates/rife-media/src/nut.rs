//! NUT container (FFmpeg's nut.txt, version 3) with one raw video stream: passes frames with exact times between ffmpeg
//! and this process.
//!
//! The reader accepts what ffmpeg's muxer writes, the writer produces what ffmpeg's demuxer accepts; neither is a general
//! implementation.

pub(crate) mod read;
pub(crate) mod write;

use crate::{Layout, PixelFormat};

/// The bytes that a NUT file starts with.
pub(crate) const FILE_ID: &[u8] = b"nut/multimedia container\0";
/// Start code of the main header packet.
pub(crate) const MAIN: u64 = 0x4E4D_7A56_1F5F_04AD;
/// Start code of a stream header packet.
pub(crate) const STREAM: u64 = 0x4E53_1140_5BF2_F9DB;
/// Start code of an info (metadata) packet.
pub(crate) const INFO: u64 = 0x4E49_AB68_B596_BA78;
/// Start code of a syncpoint packet.
pub(crate) const SYNCPOINT: u64 = 0x4E4B_E4AD_EECA_4569;

/// Frame flags of the NUT format.
pub(crate) mod flag {
    /// The frame is a key frame.
    pub(crate) const KEY: u64 = 1;
    /// The frame's time is coded in its header.
    pub(crate) const CODED_PTS: u64 = 8;
    /// The stream's index is coded in the header.
    pub(crate) const STREAM_ID: u64 = 16;
    /// The high part of the size is coded in the header.
    pub(crate) const SIZE_MSB: u64 = 32;
    /// The header ends with a CRC-32.
    pub(crate) const CHECKSUM: u64 = 64;
    /// The number of reserved values is coded in the header.
    pub(crate) const RESERVED: u64 = 128;
    /// The frame has side data.
    pub(crate) const SIDE_DATA: u64 = 256;
    /// The elision header's index is coded in the header.
    pub(crate) const HEADER_INDEX: u64 = 1024;
    /// The frame's match time is coded in the header.
    pub(crate) const MATCH_TIME: u64 = 2048;
    /// Flags that differ from the frame code's are coded in the header.
    pub(crate) const CODED: u64 = 4096;
    /// The frame code is not used.
    pub(crate) const INVALID: u64 = 8192;
}

/// Computes the CRC-32 of polynomial 0x04C11DB7, most significant bit first, with initial value 0.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut value = (i as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                value = if value >> 31 == 1 {
                    (value << 1) ^ 0x04C1_1DB7
                } else {
                    value << 1
                };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    bytes.iter().fold(0, |crc, &byte| {
        (crc << 8) ^ TABLE[((crc >> 24) as u8 ^ byte) as usize]
    })
}

/// Returns ffmpeg's FourCC of a raw pixel format in NUT; `None` where it has none.
pub(crate) fn fourcc(format: PixelFormat) -> Option<[u8; 4]> {
    let depth = format.depth;
    Some(match (format.layout, depth, format.alpha) {
        (Layout::Gray, 8, false) => *b"Y800",
        (Layout::Gray, 9..=16, false) => [b'Y', b'1', 0, depth],
        (Layout::Yuv420, 8, false) => *b"I420",
        (Layout::Yuv422, 8, false) => *b"Y42B",
        (Layout::Yuv444, 8, false) => *b"444P",
        (Layout::Yuv440, 8, false) => *b"440P",
        (Layout::Yuv411, 8, false) => *b"Y41B",
        (Layout::Yuv410, 8, false) => *b"YUV9",
        (Layout::Yuv420, 8..=16, alpha) => [b'Y', b'3' + u8::from(alpha), 11, depth],
        (Layout::Yuv422, 8..=16, alpha) => [b'Y', b'3' + u8::from(alpha), 10, depth],
        (Layout::Yuv444, 8..=16, alpha) => [b'Y', b'3' + u8::from(alpha), 0, depth],
        (Layout::Rgb, 8..=16, alpha) => [b'G', b'3' + u8::from(alpha), 0, depth],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::write::Writer;
    use super::*;
    use num_rational::Ratio;

    #[test]
    fn crc_of_a_known_header() {
        // The main header that ffmpeg wrote before a 1280x720 clip, checksum included: its CRC is zero.
        let header = [
            0x03, 0x01, 0x81, 0xff, 0x7f, 0x01, 0x01, 0x85, 0xbf, 0x10, 0xc0, 0x00, 0x06, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x01, 0xa0, 0x00, 0x02, 0x01, 0x01, 0x28, 0x01, 0x00, 0x29, 0x00, 0x21, 0x01, 0x01,
            0x20, 0x02, 0x01, 0x81, 0x79, 0xc0, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x06, 0x03,
            0x00, 0x00, 0x01, 0x04, 0x00, 0x00, 0x01, 0xb6, 0x02, 0xff, 0xfa, 0x02, 0xff, 0xfb, 0x02, 0xff,
            0xfc, 0x02, 0xff, 0xfd, 0xc1, 0xf0, 0x46, 0xa4,
        ];
        assert_eq!(crc(&header), 0);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Writer::header(4, 2, *b"I420", Ratio::new(1001, 60000), Ratio::new(4, 3));
        let frames = [(0, vec![1; 12]), (1, vec![2; 12]), (100_000, vec![3; 12])];
        for (pts, data) in &frames {
            bytes.extend(Writer::frame_header(*pts, data.len()));
            bytes.extend(data);
        }
        let mut reader = read::Reader::new(bytes.as_slice());
        for (pts, data) in &frames {
            let mut out = Vec::new();
            assert_eq!(reader.next_frame(12, &mut out).unwrap(), Some(*pts));
            assert_eq!(&out, data);
        }
        assert_eq!(reader.next_frame(12, &mut Vec::new()).unwrap(), None);
        assert_eq!(reader.time_base(), Ratio::new(1001, 60000));
    }

    #[test]
    fn damaged_streams_are_errors() {
        let mut bytes = Writer::header(4, 2, *b"I420", Ratio::new(1, 25), Ratio::from(1));
        bytes.extend(Writer::frame_header(0, 12));
        bytes.extend([0; 12]);
        for cut in 0..bytes.len() {
            let mut reader = read::Reader::new(&bytes[..cut]);
            let first = reader.next_frame(12, &mut Vec::new());
            assert!(!matches!(first, Ok(Some(_))), "cut at {cut}");
        }
        for place in 0..bytes.len() - 12 {
            let mut broken = bytes.clone();
            broken[place] ^= 0x55;
            let mut reader = read::Reader::new(broken.as_slice());
            for _ in 0..4 {
                if !matches!(reader.next_frame(12, &mut Vec::new()), Ok(Some(_))) {
                    break;
                }
            }
        }
    }
}
