//! A look at frames as they are made, for a preview.

use std::fmt;
use std::sync::Arc;

use rife_media::RgbImage;

type Look = dyn Fn(&Arc<RgbImage>) + Send + Sync;

/// Is called with every frame that the network has made for an output, on the thread that made it: be quick.
#[derive(Clone)]
pub struct Watch(Arc<Look>);

impl Watch {
    /// Calls `look`.
    pub fn new(look: impl Fn(&Arc<RgbImage>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    pub(crate) fn show(&self, image: &Arc<RgbImage>) {
        (self.0)(image);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
