//! Pending transfer of a tensor's values from a device to the host.

use std::fmt;

use crate::Result;

/// Pending download, see [`Backend::start_download`](crate::Backend::start_download). Dropping it abandons the transfer.
pub struct Download(Box<dyn FnOnce() -> Result<Vec<f32>> + Send>);

impl Download {
    /// Makes a download from a function that waits for the values and returns them in row-major order.
    pub fn new(wait: impl FnOnce() -> Result<Vec<f32>> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// Makes a completed download of these values.
    pub fn ready(values: Vec<f32>) -> Self {
        Self::new(|| Ok(values))
    }

    /// Waits for the values and returns them in row-major order.
    ///
    /// # Errors
    /// When the computation or the transfer failed.
    pub fn wait(self) -> Result<Vec<f32>> {
        (self.0)()
    }
}

impl fmt::Debug for Download {
    /// Writes the type's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Download")
    }
}
