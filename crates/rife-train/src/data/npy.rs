//! NumPy `.npy` (version 1) reader and writer for arrays of 8-bit windows `[windows, frames, height, width, 3]`; frames are
//! read one at a time.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};

/// First bytes of a `.npy` file of version 1.
const MAGIC: &[u8; 8] = b"\x93NUMPY\x01\x00";
/// Alignment of the data in bytes, as NumPy writes it.
const ALIGNMENT: usize = 64;

/// An open file of windows.
#[derive(Debug)]
pub struct Windows {
    path: PathBuf,
    file: Mutex<File>,
    /// Offset of the data in bytes.
    start: u64,
    /// Number of windows, frames, height, width, 3.
    shape: [usize; 5],
}

impl Windows {
    /// Opens a file and checks its header and length.
    ///
    /// Errors: a file that cannot be read, is no such array, or has another length than its header says.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file =
            rife_files::open_regular(path).with_context(|| format!("cannot open {}", path.display()))?;
        let (shape, start) = header(&mut file).with_context(|| format!("in {}", path.display()))?;
        let windows = Self {
            path: path.to_owned(),
            file: Mutex::new(file),
            start,
            shape,
        };
        let length = windows.file.lock().expect("no thread panicked").metadata()?.len();
        let expected = shape
            .iter()
            .try_fold(1u64, |product, n| product.checked_mul(*n as u64));
        let expected = expected.and_then(|bytes| bytes.checked_add(start));
        ensure!(
            expected == Some(length),
            "{} has {length} bytes, its header announces an array of {shape:?}",
            path.display()
        );
        Ok(windows)
    }

    /// Returns the shape: number of windows, frames, height, width, 3.
    pub fn shape(&self) -> [usize; 5] {
        self.shape
    }

    /// Reads one frame of a window: interleaved RGB, `[height, width, 3]`.
    ///
    /// Errors: a file that cannot be read.
    pub fn read(&self, window: usize, frame: usize) -> Result<Vec<u8>> {
        let length: usize = self.shape[2..].iter().product();
        let index = window * self.shape[1] + frame;
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().expect("no thread panicked");
        file.seek(SeekFrom::Start(self.start + (index * length) as u64))?;
        file.read_exact(&mut bytes)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(bytes)
    }
}

/// Parses the header and returns shape and offset of the data.
fn header(file: &mut File) -> Result<([usize; 5], u64)> {
    let mut fixed = [0; 10];
    file.read_exact(&mut fixed)
        .context("it is too short for a .npy file")?;
    ensure!(&fixed[..8] == MAGIC, "it is no .npy file of version 1");
    let mut text = vec![0; usize::from(u16::from_le_bytes([fixed[8], fixed[9]]))];
    file.read_exact(&mut text).context("its header is cut off")?;
    let text = String::from_utf8_lossy(&text);
    ensure!(
        text.contains("'|u1'") && text.contains("'fortran_order': False"),
        "expected 8-bit rows, found {text}"
    );
    let list = text
        .split_once("'shape': (")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(list, _)| list);
    let sizes = list
        .unwrap_or_default()
        .split(',')
        .map(|size| size.trim().parse::<usize>());
    match sizes.collect::<Result<Vec<_>, _>>().as_deref() {
        Ok(&[n, frames, height, width, 3]) if frames >= 3 && height > 0 && width > 0 => {
            Ok(([n, frames, height, width, 3], 10 + text.len() as u64))
        }
        _ => bail!("expected a shape (windows, 3 or more frames, height, width, 3), found {text}"),
    }
}

/// Writer of a `.npy` file, which appears under its name when [`Writer::finish`] is called.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: std::io::BufWriter<rife_files::NewFile>,
}

impl Writer {
    /// Starts a file of shape `[windows, frames, height, width, 3]`.
    ///
    /// Errors: a file that cannot be written.
    pub fn create(path: &Path, shape: [usize; 5]) -> Result<Self> {
        let file = rife_files::NewFile::create(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        let mut file = std::io::BufWriter::new(file);
        let sizes = shape.map(|n| n.to_string()).join(", ");
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({sizes}), }}");
        let length = (10 + text.len() + 1).next_multiple_of(ALIGNMENT) - 10;
        file.write_all(MAGIC)?;
        file.write_all(&(length as u16).to_le_bytes())?;
        file.write_all(format!("{text:<width$}\n", width = length - 1).as_bytes())?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Appends a window.
    ///
    /// Errors: a file that cannot be written.
    pub fn push(&mut self, window: &[u8]) -> Result<()> {
        self.file
            .write_all(window)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Completes the file and renames it to its name.
    ///
    /// Errors: a file that cannot be written.
    pub fn finish(self) -> Result<()> {
        let file = self.file.into_inner()?;
        file.finish()
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_round_trip_and_damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("windows.npy");
        let mut writer = Writer::create(&path, [2, 5, 2, 3, 3]).unwrap();
        let window = |first: u8| (0..90).map(|i| first + i).collect::<Vec<u8>>();
        writer.push(&window(0)).unwrap();
        writer.push(&window(100)).unwrap();
        writer.finish().unwrap();
        let windows = Windows::open(&path).unwrap();
        assert_eq!(windows.read(1, 2).unwrap(), window(100)[36..54]);

        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(
            bytes.len() % ALIGNMENT,
            2 * 90 % ALIGNMENT,
            "the data is aligned as NumPy aligns it"
        );
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(
            Windows::open(&path)
                .unwrap_err()
                .to_string()
                .contains("announces")
        );
        std::fs::write(&path, &bytes[..40]).unwrap();
        assert!(Windows::open(&path).is_err());
        std::fs::write(&path, b"not an array at all").unwrap();
        assert!(Windows::open(&path).is_err());
    }
}
