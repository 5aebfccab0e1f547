//! A runner for tests that computes frames in threads, several in flight, as an asynchronous device does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rife_media::{FrameView, RgbImage};
use rife_nets::{Options, Version};

use super::{Convolution, DeviceFrame, FramePair, Memory, Pending, Runner};
use crate::{EngineInfo, Error, Result};

/// Wraps a runner. Frames complete in another order than they are submitted.
#[derive(Debug)]
pub(crate) struct Threaded {
    inner: Arc<dyn Runner>,
    in_flight: usize,
    /// The number of the submitted frame that fails, from 0.
    failing: Option<usize>,
    submitted: AtomicUsize,
    /// Frames that were submitted and not waited for: now, and at most.
    outstanding: Mutex<[usize; 2]>,
}

impl Threaded {
    pub(crate) fn new(inner: Arc<dyn Runner>, in_flight: usize, failing: Option<usize>) -> Self {
        Self {
            inner,
            in_flight,
            failing,
            submitted: AtomicUsize::new(0),
            outstanding: Mutex::new([0; 2]),
        }
    }

    /// Returns the maximum of frames that were in flight at once.
    pub(crate) fn max_outstanding(&self) -> usize {
        self.outstanding.lock().unwrap()[1]
    }
}

impl Runner for Threaded {
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
        Ok(Box::new(ThreadedPair {
            runner: self,
            inner: Arc::new(Mutex::new(inner)),
        }))
    }

    fn memory(&self) -> Memory {
        self.inner.memory()
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        self.inner.profile(work)
    }
}

#[derive(Debug)]
struct ThreadedPair {
    runner: Arc<Threaded>,
    inner: Arc<Mutex<Box<dyn FramePair>>>,
}

impl FramePair for ThreadedPair {
    fn submit(&self, timestep: f32, alpha: Option<[&[f32]; 2]>) -> Result<Pending> {
        assert!(alpha.is_none(), "the tests' clips have no alpha");
        let runner = self.runner.clone();
        let number = runner.submitted.fetch_add(1, Ordering::Relaxed);
        let [now, max] = &mut *runner.outstanding.lock().unwrap();
        *now += 1;
        *max = (*max).max(*now);
        let (inner, fails) = (self.inner.clone(), runner.failing == Some(number));
        let worker = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5 * (2 - number as u64 % 3)));
            match fails {
                true => Err(Error::Device("the device was lost".into())),
                false => inner.lock().unwrap().submit(timestep, None)?.wait(),
            }
        });
        let runner = runner.clone();
        Ok(Pending::new(move || {
            runner.outstanding.lock().unwrap()[0] -= 1;
            worker.join().unwrap()
        }))
    }

    fn warped_at(&self, timestep: f32) -> Result<[[RgbImage; 2]; 2]> {
        self.inner.lock().unwrap().warped_at(timestep)
    }
}
