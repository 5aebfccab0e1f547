//! WebP container (RIFF) parser: chunk headers, durations of frames, first fault. WebP Container Specification.

use std::io::{self, Read, Seek, SeekFrom};

/// Structure of a file by its chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Duration of each frame of an animation in milliseconds.
    pub(super) durations: Vec<u32>,
    /// The first fault for which the file cannot be read, as a message.
    pub(super) fault: Option<String>,
    /// Minimum number of bytes that encode its images.
    pub(super) min_bytes: u64,
}

impl Layout {
    /// Parses all chunk headers of a file of `length` bytes, up to about `max_frames` frames.
    pub(super) fn read(file: &mut (impl Read + Seek), length: u64, max_frames: u64) -> io::Result<Self> {
        let mut layout = Self::default();
        let (mut at, mut canvas) = (12_u64, None);
        while at + 8 <= length && layout.durations.len() as u64 <= max_frames {
            let (name, size) = chunk(file, at)?;
            let end = at + 8 + u64::from(size);
            if end > length {
                let name = String::from_utf8_lossy(&name).into_owned();
                layout.fault = Some(format!(
                    "it is cut off: its chunk `{}` ends at byte {end}, the file has {length}",
                    name.escape_debug()
                ));
                return Ok(layout);
            }
            match &name {
                b"VP8X" => canvas = Some(extended(file)?),
                b"VP8 " | b"VP8L" => layout.picture(&name, file, canvas)?,
                b"ANMF" => layout.frame(file, at + 8, end)?,
                _ => {}
            }
            at = end + u64::from(size % 2);
        }
        Ok(layout)
    }

    /// Parses an animation frame (`ANMF`) whose content lies between the offsets `at` and `end`.
    fn frame(&mut self, file: &mut (impl Read + Seek), at: u64, end: u64) -> io::Result<()> {
        let head: [u8; 16] = bytes(file)?;
        let three = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
        self.durations.push(three(12));
        let mut at = at + 16;
        while at + 8 <= end {
            let (name, size) = chunk(file, at)?;
            if matches!(&name, b"VP8 " | b"VP8L") {
                return self.picture(&name, file, Some((three(6) + 1, three(9) + 1)));
            }
            at += 8 + u64::from(size) + u64::from(size % 2);
        }
        Ok(())
    }

    /// Parses the header of a bitstream (`VP8 ` or `VP8L`); records a fault where its size is not `announced`, the size in
    /// the container, since decoders allocate memory by it.
    fn picture(
        &mut self,
        name: &[u8; 4],
        file: &mut impl Read,
        announced: Option<(u32, u32)>,
    ) -> io::Result<()> {
        let size = if name == b"VP8L" {
            let head: [u8; 5] = bytes(file)?;
            let bits = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
            ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        } else {
            let head: [u8; 10] = bytes(file)?;
            let two = |at: usize| u32::from(u16::from_le_bytes([head[at], head[at + 1]]) & 0x3FFF);
            // Every 16x16 macroblock takes at least one bit; lossless images may take none.
            let blocks = |side: u32| u64::from(side.div_ceil(16));
            self.min_bytes += blocks(two(6)) * blocks(two(8)) / 8;
            (two(6), two(8))
        };
        if announced.is_some_and(|announced| announced != size) && self.fault.is_none() {
            let (width, height) = announced.unwrap_or_default();
            self.fault = Some(format!(
                "it is damaged: its header says {width}x{height}, its picture data {}x{}",
                size.0, size.1
            ));
        }
        Ok(())
    }

    /// Reports whether the file is an animation of several frames.
    pub(super) fn animated(&self) -> bool {
        self.durations.len() > 1
    }
}

/// Reads the next `N` bytes.
fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads name and size in bytes of the chunk at offset `at`.
fn chunk(file: &mut (impl Read + Seek), at: u64) -> io::Result<([u8; 4], u32)> {
    file.seek(SeekFrom::Start(at))?;
    let name = bytes(file)?;
    Ok((name, u32::from_le_bytes(bytes(file)?)))
}

/// Reads width and height of the canvas from the content of a `VP8X` chunk.
fn extended(file: &mut impl Read) -> io::Result<(u32, u32)> {
    let head: [u8; 10] = bytes(file)?;
    let three = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]) + 1;
    Ok((three(4), three(7)))
}
