//! The order in which frames are made: each is handed on as soon as it is its turn, and as few as possible wait.
//!
//! Made directly, a frame needs its two pictures and nothing else. Made as a middle of middles, it is made before its
//! left neighbours and shown after them: at most one frame for each pass waits. They wait in memory with what the
//! network has prepared of them, or on disk as exact floats, to be prepared anew; the frames are the same.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use num_rational::Ratio;
use rife_media::RgbImage;
use rife_media::scratch::Scratch;

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
    folder: Scratch,
    count: AtomicU64,
}

impl Shelf {
    fn new() -> Result<Self> {
        let folder = Scratch::new()?;
        let count = AtomicU64::new(0);
        Ok(Self { folder, count })
    }

    fn put(&self, image: &RgbImage) -> Result<Stored> {
        let path = self
            .folder
            .path()
            .join(self.count.fetch_add(1, Ordering::Relaxed).to_string());
        let failed = |error| Error::io("write", &path, error);
        let mut file = BufWriter::new(File::create_new(&path).map_err(failed)?);
        let mut values = image.data.iter().chain(image.alpha.iter().flatten());
        values
            .try_for_each(|value| file.write_all(&value.to_le_bytes()))
            .and_then(|()| file.flush())
            .map_err(failed)?;
        Ok(Stored {
            path,
            size: [image.width, image.height],
            alpha: image.alpha.is_some(),
        })
    }
}

/// A frame on the shelf.
struct Stored {
    path: PathBuf,
    size: [u32; 2],
    alpha: bool,
}

impl Stored {
    fn take(self) -> Result<RgbImage> {
        let failed = |error| Error::io("read", &self.path, error);
        let mut file = BufReader::new(File::open(&self.path).map_err(failed)?);
        let [width, height] = self.size;
        let pixels = width as usize * height as usize;
        let mut plane = |count: usize| {
            let mut values = vec![0.0_f32; count];
            let mut bytes = [0; 4];
            values
                .iter_mut()
                .try_for_each(|value| {
                    file.read_exact(&mut bytes)?;
                    *value = f32::from_le_bytes(bytes);
                    Ok(())
                })
                .map_err(failed)?;
            Ok::<_, Error>(values)
        };
        let mut image = RgbImage::new(width, height, plane(3 * pixels)?);
        if self.alpha {
            image.alpha = Some(plane(pixels)?);
        }
        let _ = fs::remove_file(&self.path);
        Ok(image)
    }
}
