//! A runner for tests that fails or computes wrong frames.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rife_media::{FrameView, RgbImage};
use rife_nets::{Options, Version};

use crate::runner::{Convolution, DeviceFrame, FramePair, Memory, Pending, Runner};
use crate::{EngineInfo, Result};

/// Wraps a runner: `fault` is applied to the frames with numbers in a range, counted from 0 as they are submitted.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Arc<dyn Runner>,
    frames: Range<usize>,
    fault: fn(RgbImage) -> Result<RgbImage>,
    submitted: AtomicUsize,
}

impl Faulty {
    pub(crate) fn new(
        inner: Arc<dyn Runner>,
        frames: Range<usize>,
        fault: fn(RgbImage) -> Result<RgbImage>,
    ) -> Self {
        Self {
            inner,
            frames,
            fault,
            submitted: AtomicUsize::new(0),
        }
    }

    /// Returns the number of frames that were submitted.
    pub(crate) fn submitted(&self) -> usize {
        self.submitted.load(Ordering::Relaxed)
    }
}

impl Runner for Faulty {
    fn version(&self) -> Version {
        self.inner.version()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn info(&self) -> &EngineInfo {
        self.inner.info()
    }

    fn prepare(&self, frame: &FrameView<'_>, options: &Options) -> Result<DeviceFrame> {
        self.inner.prepare(frame, options)
    }

    fn pair(self: Arc<Self>, frames: [&DeviceFrame; 2], options: &Options) -> Result<Box<dyn FramePair>> {
        let inner = self.inner.clone().pair(frames, options)?;
        Ok(Box::new(FaultyPair { runner: self, inner }))
    }

    fn memory(&self) -> Memory {
        self.inner.memory()
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }

    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        self.inner.profile(work)
    }
}

#[derive(Debug)]
struct FaultyPair {
    runner: Arc<Faulty>,
    inner: Box<dyn FramePair>,
}

impl FramePair for FaultyPair {
    fn submit(&self, timestep: f32, alpha: Option<[&[f32]; 2]>) -> Result<Pending> {
        let number = self.runner.submitted.fetch_add(1, Ordering::Relaxed);
        let made = self.inner.submit(timestep, alpha)?;
        let fault = self.runner.frames.contains(&number).then_some(self.runner.fault);
        Ok(Pending::new(move || match fault {
            Some(fault) => fault(made.wait()?),
            None => made.wait(),
        }))
    }

    fn warped_at(&self, timestep: f32) -> Result<[[RgbImage; 2]; 2]> {
        self.inner.warped_at(timestep)
    }
}
