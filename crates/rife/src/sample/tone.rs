//! The sample's sound: two soft tones with a beat a second, as a WAV file that is gone when it is no longer needed.

use std::io::Write;
use std::path::Path;

use rife_files::Temporary;

use crate::{Error, Result};

/// Samples a second.
const RATE: u32 = 48_000;

/// A WAV file that is removed when this is dropped.
pub(super) struct Wav(Temporary);

impl Wav {
    /// Writes `seconds` of sound beside where it is needed.
    pub(super) fn write(folder: &Path, seconds: u32) -> Result<Self> {
        let io = |error| Error::io("write", folder, error);
        let name = |part: &str| folder.join(format!(".rife-sample-{part}.wav"));
        let (place, mut file) = Temporary::create(name).map_err(io)?;
        file.write_all(&wav(seconds)).map_err(io)?;
        Ok(Self(place))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A mono 16-bit WAV file.
fn wav(seconds: u32) -> Vec<u8> {
    let samples = RATE * seconds;
    let mut bytes = Vec::with_capacity(44 + 2 * samples as usize);
    bytes.extend(b"RIFF");
    bytes.extend((36 + 2 * samples).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend([1_u16, 1].iter().flat_map(|v| v.to_le_bytes()));
    bytes.extend([RATE, 2 * RATE].iter().flat_map(|v| v.to_le_bytes()));
    bytes.extend([2_u16, 16].iter().flat_map(|v| v.to_le_bytes()));
    bytes.extend(b"data");
    bytes.extend((2 * samples).to_le_bytes());
    bytes.extend((0..samples).flat_map(|index| sample(index).to_le_bytes()));
    bytes
}

fn sample(index: u32) -> i16 {
    let time = f64::from(index) / f64::from(RATE);
    let beat = (-6.0 * time.fract()).exp();
    let tone = |hertz: f64| (std::f64::consts::TAU * hertz * time).sin();
    (6000.0 * (0.25 + 0.75 * beat) * (tone(220.0) + 0.5 * tone(330.0)) / 1.5) as i16
}
