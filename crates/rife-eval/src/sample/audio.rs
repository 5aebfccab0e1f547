//! Audio of the sample clip: two sine tones with a beat each second, as a temporary WAV file.

use std::io::Write;
use std::path::Path;

use rife_files::Temporary;

use rife::{Error, Result};

/// Sample rate in Hz.
const RATE: u32 = 48_000;

/// A temporary WAV file, removed when dropped.
pub(super) struct Wav(Temporary);

impl Wav {
    /// Writes `seconds` of audio to a temporary file in `folder`.
    pub(super) fn write(folder: &Path, seconds: u32) -> Result<Self> {
        let io = |error| Error::io("write", folder, error);
        let name = |suffix: &str| folder.join(format!(".rife-sample-{suffix}.wav"));
        let (temporary, mut file) = Temporary::create(name).map_err(io)?;
        file.write_all(&wav(seconds)).map_err(io)?;
        Ok(Self(temporary))
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Encodes the audio as a mono 16-bit WAV file.
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

/// Computes the sample with this zero-based index.
fn sample(index: u32) -> i16 {
    let time = f64::from(index) / f64::from(RATE);
    let beat = (-6.0 * time.fract()).exp();
    let tone = |hertz: f64| (std::f64::consts::TAU * hertz * time).sin();
    (6000.0 * (0.25 + 0.75 * beat) * (tone(220.0) + 0.5 * tone(330.0)) / 1.5) as i16
}
