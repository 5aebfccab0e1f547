//! Values on their way from a device to the host.

use std::fmt;

use crate::Result;

/// A download that was started, see [`Backend::start_download`](crate::Backend::start_download). Dropping it gives it up.
pub struct Download(Box<dyn FnOnce() -> Result<Vec<f32>> + Send>);

impl Download {
    /// Makes a download of a function that waits for the values.
    pub fn new(wait: impl FnOnce() -> Result<Vec<f32>> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// Makes a download of values that are there.
    pub fn ready(values: Vec<f32>) -> Self {
        Self::new(|| Ok(values))
    }

    /// Waits for the values, in row-major order.
    ///
    /// # Errors
    /// If the computation or the transfer failed.
    pub fn wait(self) -> Result<Vec<f32>> {
        (self.0)()
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Download")
    }
}
