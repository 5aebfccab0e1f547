//! Callback for frames as the network computes them, such as for a live preview.

use std::fmt;
use std::sync::Arc;

use rife_media::RgbImage;

/// The type of the called function: it gets a computed frame.
type Function = dyn Fn(&Arc<RgbImage>) + Send + Sync;

/// A function that is called with every frame that the network has computed for an output, on the computing thread: it
/// should return quickly.
#[derive(Clone)]
pub struct FrameCallback(Arc<Function>);

impl FrameCallback {
    /// Makes a callback of a function.
    pub fn new(function: impl Fn(&Arc<RgbImage>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    /// Calls the function with a computed frame.
    pub(crate) fn call(&self, image: &Arc<RgbImage>) {
        (self.0)(image);
    }
}

impl fmt::Debug for FrameCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameCallback")
    }
}
