//! The order in which frames are made: each is handed on as soon as it is its turn, and as few as possible wait.
//!
//! Made directly, a frame needs its two pictures and nothing else. Made as a middle of middles, it is made before its
//! left neighbours and shown after them: at most one frame for each pass waits. They wait in memory with what the
//! network has prepared of them, or on disk as exact floats, to be prepared anew; the frames are the same.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use num_rational::Ratio;
use rife_media::RgbImage;

use super::Picture;
use crate::{Error, Interpolator, Prepared, Result};

/// Where frames wait for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waiting {
    /// In memory: quicker.
    #[default]
    Memory,
    /// In the system's folder for temporary files: memory does not grow with the passes.
    Disk,
}

/// A frame whose turn it is.
#[derive(Debug)]
pub(super) enum Step {
    /// One of the pictures.
    End(Picture),
    /// One that was made.
    Made(Arc<RgbImage>),
}

impl Step {
    /// As the network sees it.
    pub(super) fn image(&self) -> &Arc<RgbImage> {
        match self {
            Self::End(picture) => &picture.image,
            Self::Made(image) => image,
        }
    }
}

type Emit<'a> = &'a mut dyn FnMut(Step) -> Result<()>;

/// Pictures in, frames out.
pub(super) struct Walk<'a> {
    interpolator: &'a Interpolator,
    times: &'a [Ratio<i64>],
    /// Passes, where frames are middles of middles at all halves.
    halvings: Option<u32>,
    left: Option<Prepared>,
    shelf: Option<Shelf>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        interpolator: &'a Interpolator,
        times: &'a [Ratio<i64>],
        waiting: Waiting,
    ) -> Result<Self> {
        let intervals = times.len() + 1;
        let halves = times
            .iter()
            .enumerate()
            .all(|(i, t)| *t == Ratio::new(i as i64 + 1, intervals as i64));
        let shelf = match waiting {
            Waiting::Memory => None,
            Waiting::Disk => Some(Shelf::new()?),
        };
        Ok(Self {
            interpolator,
            times,
            halvings: (interpolator.recursive() && halves && intervals.is_power_of_two())
                .then(|| intervals.trailing_zeros()),
            left: None,
            shelf,
        })
    }

    /// The frames between the picture before and this one, and this one.
    pub(super) fn push(&mut self, picture: Picture, emit: Emit<'_>) -> Result<()> {
        let mut right = self.interpolator.prepare(picture.image.clone())?;
        if let Some(left) = self.left.take() {
            match self.halvings {
                Some(passes) => right = self.halve(left, right, passes, emit)?,
                None => {
                    let mut between = self.interpolator.between(&left, &right);
                    self.times
                        .iter()
                        .try_for_each(|time| emit(Step::Made(between.at(*time)?)))?;
                }
            }
        }
        self.left = Some(right);
        emit(Step::End(picture))
    }

    /// The frames between two by `passes` halvings, in order; gives the right one back.
    fn halve(&self, left: Prepared, right: Prepared, passes: u32, emit: Emit<'_>) -> Result<Prepared> {
        if passes == 0 {
            return Ok(right);
        }
        let middle = self.interpolator.between(&left, &right).at(Ratio::new(1, 2))?;
        let middle = self.interpolator.prepare(middle)?;
        let waiting = self.put_away(right, passes)?;
        let middle = self.halve(left, middle, passes - 1, emit)?;
        emit(Step::Made(middle.image().clone()))?;
        let right = waiting.take(self.interpolator)?;
        self.halve(middle, right, passes - 1, emit)
    }

    fn put_away(&self, frame: Prepared, passes: u32) -> Result<Parked> {
        match &self.shelf {
            Some(shelf) if passes > 1 => Ok(Parked::There(shelf.put(frame.image())?)),
            _ => Ok(Parked::Here(frame)),
        }
    }
}

/// A frame that waits.
enum Parked {
    Here(Prepared),
    There(Stored),
}

impl Parked {
    fn take(self, interpolator: &Interpolator) -> Result<Prepared> {
        match self {
            Self::Here(frame) => Ok(frame),
            Self::There(stored) => interpolator.prepare(Arc::new(stored.take()?)),
        }
    }
}

/// A folder of our own for frames that wait, removed with what is in it.
struct Shelf {
    folder: PathBuf,
    count: AtomicU64,
}

impl Shelf {
    fn new() -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "rife-image-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).map_err(|error| Error::io("create", &folder, error))?;
        let count = AtomicU64::new(0);
        Ok(Self { folder, count })
    }

    fn put(&self, image: &RgbImage) -> Result<Stored> {
        let path = self
            .folder
            .join(self.count.fetch_add(1, Ordering::Relaxed).to_string());
        let values = image.data.iter().chain(image.alpha.iter().flatten());
        let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        fs::write(&path, bytes).map_err(|error| Error::io("write", &path, error))?;
        Ok(Stored {
            path,
            size: [image.width, image.height],
        })
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A frame on the shelf.
struct Stored {
    path: PathBuf,
    size: [u32; 2],
}

impl Stored {
    fn take(self) -> Result<RgbImage> {
        let bytes = fs::read(&self.path).map_err(|error| Error::io("read", &self.path, error))?;
        let _ = fs::remove_file(&self.path);
        let [width, height] = self.size;
        let pixels = width as usize * height as usize;
        if bytes.len() != 3 * 4 * pixels && bytes.len() != 4 * 4 * pixels {
            return Err(Error::Data(format!(
                "{} was changed while a job used it",
                self.path.display()
            )));
        }
        let mut data: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let alpha = data.split_off(3 * pixels);
        Ok(RgbImage {
            alpha: (!alpha.is_empty()).then_some(alpha),
            ..RgbImage::new(width, height, data)
        })
    }
}
