//! Why no GPU could be used.

use std::fmt;

use crate::AdapterInfo;

/// Why a GPU could not be chosen or started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GpuError {
    /// No adapter has this name or index, or none is a GPU: what was asked for, and the adapters that exist.
    NoSuchAdapter(String, Vec<AdapterInfo>),
    /// Several adapters have a name that contains this text.
    Ambiguous(String, Vec<AdapterInfo>),
    /// The driver refused the device: the adapter's name, and the driver's reason.
    Refused(String, String),
    /// The adapter lacks what the engine needs: its name, and what is missing.
    Unsuitable(String, String),
}

impl fmt::Display for GpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchAdapter(asked, there) => {
                write!(f, "no GPU {asked}; {}", listed(there))
            }
            Self::Ambiguous(asked, there) => {
                write!(f, "{asked:?} is part of several GPUs' names; {}", listed(there))
            }
            Self::Refused(name, why) => write!(f, "the driver of {name} refused a device: {why}"),
            Self::Unsuitable(name, what) => write!(f, "{name} can't run the kernels: {what}"),
        }
    }
}

impl std::error::Error for GpuError {}

/// The adapters that exist, in words.
fn listed(adapters: &[AdapterInfo]) -> String {
    if adapters.is_empty() {
        return "this machine has none with a Vulkan, Metal or DirectX 12 driver".to_owned();
    }
    let names: Vec<_> = adapters
        .iter()
        .map(|adapter| format!("{}: {} ({})", adapter.index, adapter.name, adapter.kind))
        .collect();
    format!("there is {}", names.join(", "))
}
