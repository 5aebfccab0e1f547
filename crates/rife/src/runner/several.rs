//! Several devices of one kind as one: a [`Runner`] that deals pairs of frames to its devices in turn. All compute the same values,
//! so it does not matter which one computes a pair.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rife_media::{FrameView, RgbImage};
use rife_nets::{Options, Version};

use super::{Convolution, DeviceFrame, FramePair, Memory, Runner};
use crate::{EngineInfo, Result};

/// Runners of the same model on devices of one kind.
#[derive(Debug)]
pub(crate) struct SeveralRunner {
    devices: Vec<Arc<dyn Runner>>,
    info: EngineInfo,
    /// Number of pairs so far.
    pairs: AtomicUsize,
}

/// A frame for all devices; each prepares it when it needs it.
struct SharedFrame {
    image: RgbImage,
    options: Options,
    on_devices: Vec<Mutex<Option<DeviceFrame>>>,
}

impl SeveralRunner {
    /// Combines runners, of which there is one at least.
    pub(crate) fn new(devices: Vec<Arc<dyn Runner>>) -> Self {
        let info = EngineInfo {
            devices: devices.len(),
            ..devices[0].info().clone()
        };
        Self {
            devices,
            info,
            pairs: AtomicUsize::new(0),
        }
    }

    /// Returns the index of the device that is next; those that failed are left out while others work.
    fn next(&self) -> usize {
        let count = self.devices.len();
        let first = self.pairs.fetch_add(1, Ordering::Relaxed);
        let mut all = (0..count).map(|i| (first + i) % count);
        all.find(|i| self.devices[*i].is_usable())
            .unwrap_or(first % count)
    }

    /// Returns a frame prepared on a device.
    fn prepared(&self, frame: &SharedFrame, device: usize) -> Result<DeviceFrame> {
        let mut prepared = frame.on_devices[device]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = &*prepared {
            return Ok(prepared.clone());
        }
        let made = self.devices[device].prepare(&frame.image.view(), &frame.options)?;
        Ok(prepared.insert(made).clone())
    }
}

impl fmt::Debug for SharedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedFrame")
    }
}

impl Runner for SeveralRunner {
    fn version(&self) -> Version {
        self.devices[0].version()
    }

    fn describe(&self) -> String {
        self.devices[0].describe()
    }

    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn prepare(&self, frame: &FrameView<'_>, options: &Options) -> Result<DeviceFrame> {
        Ok(Arc::new(SharedFrame {
            image: frame.to_rgb_image(),
            options: *options,
            on_devices: self.devices.iter().map(|_| Mutex::default()).collect(),
        }))
    }

    fn pair(self: Arc<Self>, frames: [&DeviceFrame; 2], options: &Options) -> Result<Box<dyn FramePair>> {
        let device = self.next();
        let [first, second] = frames.map(|frame| {
            let frame: Option<&SharedFrame> = frame.downcast_ref();
            self.prepared(
                frame.expect("frames are used by the runner that prepared them"),
                device,
            )
        });
        self.devices[device].clone().pair([&first?, &second?], options)
    }

    fn memory(&self) -> Memory {
        // All compute the same.
        self.devices[0].memory()
    }

    fn in_flight(&self) -> usize {
        self.devices.iter().map(|device| device.in_flight()).sum()
    }

    fn tensor_limit(&self) -> Option<[u64; 2]> {
        self.devices[0].tensor_limit()
    }

    fn is_usable(&self) -> bool {
        self.devices.iter().any(|device| device.is_usable())
    }

    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        self.devices[0].profile(work)
    }

    fn faults(&self) -> Option<String> {
        let faults: Vec<_> = self
            .devices
            .iter()
            .enumerate()
            .filter_map(|(i, device)| Some(format!("device {}: {}", i + 1, device.faults()?)))
            .collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::guarded::GuardedRunner;
    use crate::runner::guarded::faulty::Faulty;
    use crate::{Error, InterpolatorSpec, device};
    use rife_backend::BackendError;
    use rife_nets::NetworkError;

    fn lost(_: RgbImage) -> Result<RgbImage> {
        let error = BackendError::DeviceLost("a reset".to_owned());
        Err(Error::Network(NetworkError::Backend(error)))
    }

    /// Computes the frames between five pictures.
    fn frames(runner: &Arc<dyn Runner>) -> Vec<RgbImage> {
        let options = Options::default();
        let prepared: Vec<_> = (0..5)
            .map(|number| {
                let values = (0..3 * 64 * 64).map(|i| 0.5 + ((i + 2 * number) % 64) as f32 / 200.0);
                let picture = RgbImage::new(64, 64, values.collect());
                runner.prepare(&picture.view(), &options).unwrap()
            })
            .collect();
        let frame = |pair: &[DeviceFrame]| {
            let pair = runner.clone().pair([&pair[0], &pair[1]], &options)?;
            pair.submit(0.5, None)?.wait()
        };
        prepared.windows(2).map(|pair| frame(pair).unwrap()).collect()
    }

    #[test]
    fn pairs_are_dealt_in_turn_and_a_lost_device_is_left_out() {
        let processor = device::start(&InterpolatorSpec::default()).unwrap().runner;
        let wanted = frames(&processor);
        for (faults, submitted) in [(9..9, [2, 2]), (0..1, [1, 3])] {
            let first = Arc::new(Faulty::new(processor.clone(), faults, lost));
            let second = Arc::new(Faulty::new(processor.clone(), 9..9, lost));
            let guarded = [first.clone(), second.clone()]
                .map(|device| -> Arc<dyn Runner> { Arc::new(GuardedRunner::new(device, processor.clone())) });
            let several: Arc<dyn Runner> = Arc::new(SeveralRunner::new(guarded.to_vec()));
            assert!(several.info().to_string().starts_with("cpu") && several.in_flight() == 2);
            for (made, wanted) in frames(&several).iter().zip(&wanted) {
                assert_eq!(made.data, wanted.data);
            }
            assert_eq!([first.submitted(), second.submitted()], submitted);
            assert_eq!(several.faults().is_some(), submitted != [2, 2]);
        }
    }
}
