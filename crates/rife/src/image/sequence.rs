//! Order of computation of an image sequence: frames are emitted in order of time, with as few as possible kept.
//!
//! Directly computed frames need the two given images only. Recursive bisection is a depth-first traversal: a middle frame
//! is computed before the frames to its left and emitted after them, so one frame per level is kept, either in memory
//! (prepared for the network) or on disk (as f32, prepared again when needed), with identical results.

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

/// Where recursive bisection keeps frames that are needed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// In memory: faster.
    #[default]
    Memory,
    /// In temporary files: memory does not grow with the number of passes.
    Disk,
}

/// A frame of the output sequence.
#[derive(Debug)]
pub(super) enum Step {
    /// A given image.
    End(Picture),
    /// A computed image.
    Made(Arc<RgbImage>),
}

impl Step {
    /// Returns the image in the network's coding.
    pub(super) fn image(&self) -> &Arc<RgbImage> {
        match self {
            Self::End(picture) => &picture.image,
            Self::Made(image) => image,
        }
    }
}

/// Receiver of the output sequence.
pub(super) trait FrameReceiver {
    /// Returns whether the frame `ahead` positions after the next one is to be computed; if not, it is skipped.
    fn wanted(&self, ahead: usize) -> bool;

    /// Skips the next frame, which an earlier run has written.
    fn skip(&mut self) -> Result<()>;

    /// Takes the next frame.
    fn write(&mut self, step: Step) -> Result<()>;
}

/// Skips `count` frames.
fn skip(frames: &mut dyn FrameReceiver, count: usize) -> Result<()> {
    (0..count).try_for_each(|_| frames.skip())
}

/// Generator of the output sequence: given images in, all frames in order of time out.
pub(super) struct FrameSequence<'a> {
    interpolator: &'a Interpolator,
    /// Timesteps of the computed frames between two given images.
    times: &'a [Ratio<i64>],
    /// Number of passes of recursive bisection; `None` if frames are computed directly or the times are not evenly spaced.
    halvings: Option<u32>,
    /// Whether an image has been given.
    begun: bool,
    /// The previous given image; `None` if no frame next to it was wanted.
    left: Option<Prepared>,
    /// Present for [`Storage::Disk`].
    disk: Option<DiskStore>,
}

impl<'a> FrameSequence<'a> {
    /// Makes a generator; `times` are the timesteps of the computed frames between two given images.
    pub(super) fn new(
        interpolator: &'a Interpolator,
        times: &'a [Ratio<i64>],
        storage: Storage,
    ) -> Result<Self> {
        let intervals = times.len() + 1;
        let halves = times
            .iter()
            .enumerate()
            .all(|(i, t)| *t == Ratio::new(i as i64 + 1, intervals as i64));
        let disk = match storage {
            Storage::Memory => None,
            Storage::Disk => Some(DiskStore::new()?),
        };
        Ok(Self {
            interpolator,
            times,
            halvings: (interpolator.recursive() && halves && intervals.is_power_of_two())
                .then(|| intervals.trailing_zeros()),
            begun: false,
            left: None,
            disk,
        })
    }

    /// Emits the computed frames between the previous image and this one, then this one. Calls `load` if this image or a
    /// frame between it and its neighbours is wanted.
    pub(super) fn push(
        &mut self,
        load: &mut dyn FnMut() -> Result<Picture>,
        frames: &mut dyn FrameReceiver,
    ) -> Result<()> {
        let before = if self.begun { self.times.len() } else { 0 };
        self.begun = true;
        if !(0..=before + self.times.len()).any(|ahead| frames.wanted(ahead)) {
            self.left = None;
            return skip(frames, before + 1);
        }
        let picture = load()?;
        let mut right = self.interpolator.prepare(picture.image.clone())?;
        match self.left.take() {
            Some(left) => right = self.pair(left, right, frames)?,
            None => skip(frames, before)?,
        }
        self.left = Some(right);
        match frames.wanted(0) {
            true => frames.write(Step::End(picture)),
            false => frames.skip(),
        }
    }

    /// Emits the computed frames between the previous image and the first one, which `load` returns again; not that one.
    pub(super) fn close(
        &mut self,
        load: &mut dyn FnMut() -> Result<Picture>,
        frames: &mut dyn FrameReceiver,
    ) -> Result<()> {
        let count = self.times.len();
        match self.left.take() {
            Some(left) if (0..count).any(|ahead| frames.wanted(ahead)) => {
                let right = self.interpolator.prepare(load()?.image)?;
                self.pair(left, right, frames).map(drop)
            }
            _ => skip(frames, count),
        }
    }

    /// Emits the computed frames between two given images; returns the right one.
    fn pair(&self, left: Prepared, right: Prepared, frames: &mut dyn FrameReceiver) -> Result<Prepared> {
        if let Some(passes) = self.halvings {
            return self.halve(left, right, passes, frames);
        }
        let mut between = self.interpolator.between(&left, &right);
        for time in self.times {
            match frames.wanted(0) {
                true => frames.write(Step::Made(between.at(*time)?))?,
                false => frames.skip()?,
            }
        }
        Ok(right)
    }

    /// Emits, recursively, the `2^passes - 1` frames between two in order of time; returns the right one. A frame is also
    /// computed if only one that depends on it is wanted.
    fn halve(
        &self,
        left: Prepared,
        right: Prepared,
        passes: u32,
        frames: &mut dyn FrameReceiver,
    ) -> Result<Prepared> {
        let count = (1 << passes) - 1;
        if !(0..count).any(|ahead| frames.wanted(ahead)) {
            skip(frames, count)?;
            return Ok(right);
        }
        let middle = self.interpolator.between(&left, &right).at(Ratio::new(1, 2))?;
        let middle = self.interpolator.prepare(middle)?;
        let kept = self.keep(right, passes)?;
        let middle = self.halve(left, middle, passes - 1, frames)?;
        match frames.wanted(0) {
            true => frames.write(Step::Made(middle.image().clone()))?,
            false => frames.skip()?,
        }
        let right = kept.restore(self.interpolator)?;
        self.halve(middle, right, passes - 1, frames)
    }

    /// Keeps a frame in memory or on disk while `passes` - 1 further passes run.
    fn keep(&self, frame: Prepared, passes: u32) -> Result<Kept> {
        match &self.disk {
            Some(disk) if passes > 1 => Ok(Kept::OnDisk(disk.put(frame.image())?)),
            _ => Ok(Kept::InMemory(frame)),
        }
    }
}

/// A frame that is kept for later.
enum Kept {
    InMemory(Prepared),
    OnDisk(StoredImage),
}

impl Kept {
    /// Returns the frame, read and prepared again if it is on disk.
    fn restore(self, interpolator: &Interpolator) -> Result<Prepared> {
        match self {
            Self::InMemory(frame) => Ok(frame),
            Self::OnDisk(stored) => interpolator.prepare(Arc::new(stored.take()?)),
        }
    }
}

/// Temporary folder of stored images, removed with its content when dropped.
struct DiskStore {
    folder: Scratch,
    /// Number of images stored so far, which names the next file.
    count: AtomicU64,
}

impl DiskStore {
    /// Creates the temporary folder.
    fn new() -> Result<Self> {
        let folder = Scratch::new()?;
        let count = AtomicU64::new(0);
        Ok(Self { folder, count })
    }

    /// Writes an image's planes, alpha last, as little-endian f32.
    fn put(&self, image: &RgbImage) -> Result<StoredImage> {
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
        Ok(StoredImage {
            path,
            size: [image.width, image.height],
            alpha: image.alpha.is_some(),
        })
    }
}

/// An image in a [`DiskStore`].
struct StoredImage {
    path: PathBuf,
    /// Width and height in pixels.
    size: [u32; 2],
    /// Whether the file ends with an alpha plane.
    alpha: bool,
}

impl StoredImage {
    /// Reads the image and removes its file.
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
