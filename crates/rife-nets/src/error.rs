//! Errors of building and running networks ([`NetworkError`]), with the value found and the values accepted.

use std::fmt;

/// Why a network could not be built or run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// There is no version of this name.
    #[error("unknown model version {0:?}; known are {known}", known = crate::Version::names().join(", "))]
    UnknownVersion(String),
    /// A network that earlier releases shipped and this one cannot run.
    #[error("RIFE {name} cannot be run any more: {why}; r7.lite is its successor")]
    Retired {
        /// Name of the network.
        name: &'static str,
        /// Reason.
        why: &'static str,
    },
    /// A network's description that cannot be parsed; with the parser's message.
    #[error("this description of a network cannot be read: {0}")]
    SpecSyntax(String),
    /// A network's description with a value out of range.
    #[error("network.{field} is {value}; accepted: {accepted}")]
    Spec {
        /// Path of the field, such as `blocks[0].channels`.
        field: String,
        /// Value found.
        value: String,
        /// Values accepted.
        accepted: String,
    },
    /// The tensors are those of no known network.
    #[error("these weights are no RIFE network known here; the nearest is {nearest}: {mismatch}")]
    Unrecognised {
        /// Name of the version with the fewest differences.
        nearest: String,
        /// The differences from it.
        mismatch: Box<Mismatch>,
    },
    /// The tensors are not those of the requested version.
    #[error("these weights are not RIFE {version}: {mismatch}{hint}", hint = hint(fits))]
    WrongWeights {
        /// Name of the requested version.
        version: String,
        /// The differences from it.
        mismatch: Box<Mismatch>,
        /// Names of the versions that the tensors fit.
        fits: Vec<String>,
    },
    /// The checkpoint has no tensors.
    #[error("there are no tensors in these weights")]
    NoWeights,
    /// A weight that is NaN or infinite.
    #[error("the weights hold a value that is no finite number: {key}[{index}] is {value}")]
    NotFinite {
        /// Key of the tensor.
        key: String,
        /// Index in the tensor, in row-major order.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A frame, flow or mask with a value that is NaN, infinite or implausibly large.
    #[error(
        "RIFE {version} with these weights makes {what} of {value}: the weights are damaged, or of another network"
    )]
    Overflow {
        /// Name of the network.
        version: String,
        /// Name of the tensor in the message: motion, a mask or a picture.
        what: &'static str,
        /// The first such value.
        value: f32,
    },
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] rife_backend::BackendError),
    /// A scale that is none of the five.
    #[error("scale {0} is not one of 0.25, 0.5, 1, 2 and 4")]
    Scale(String),
    /// A timestep outside the open interval (0, 1).
    #[error("timestep {0} is not between 0 and 1 (both excluded)")]
    Timestep(f32),
    /// A timestep other than 0.5 for a network without timestep input.
    #[error(
        "RIFE {version} makes only the middle frame (timestep 0.5), not {timestep}; \
         other times need several passes or a network with a timestep ({}, or any 4.x)",
        crate::Version::IFNET_M.name()
    )]
    OnlyMiddle {
        /// Name of the network.
        version: String,
        /// The requested timestep.
        timestep: f32,
    },
    /// The ensemble option for a network that does not support it.
    #[error("RIFE {version} has no ensemble; these have: {}", crate::Version::with_ensemble().join(", "))]
    NoEnsemble {
        /// The network.
        version: String,
    },
    /// Test-time augmentation in an ONNX graph of a network that branches on the size of motion (4.0 and 4.1): the graph would
    /// need a branch for each of the two passes.
    #[error(
        "RIFE {version} as ONNX has no test-time augmentation, because it looks again where motion is large; \
         leave it out, or use version 4.2 or later"
    )]
    NoTtaGraph {
        /// The network.
        version: String,
    },
    /// An image smaller or larger than accepted.
    #[error("a picture of {width}x{height} is outside {min}x{min} to {max}x{max}", min = crate::MIN_SIDE, max = crate::MAX_SIDE)]
    ImageSize {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
    /// Image data whose length is not `3 * width * height`.
    #[error("a picture of {width}x{height} needs {} values, not {found}", 3 * width * height)]
    ImageData {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
        /// Number of values found.
        found: usize,
    },
    /// Two frames that differ in size.
    #[error("the two frames differ in size: {}x{} and {}x{}", .first[0], .first[1], .second[0], .second[1])]
    FramesDiffer {
        /// Width and height of the first.
        first: [usize; 2],
        /// Width and height of the second.
        second: [usize; 2],
    },
    /// A tensor whose sides are no multiples of [`crate::Version::size_multiple`].
    #[error(
        "{width}x{height} is no multiple of {multiple} on both sides, which RIFE {version} needs at scale {scale}"
    )]
    NotMultiple {
        /// The network.
        version: String,
        /// The requested scale.
        scale: crate::Scale,
        /// The number that both sides must be multiples of.
        multiple: usize,
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
}

/// Formats the versions that the tensors fit as the end of an error message; empty if there are none.
fn hint(fits: &[String]) -> String {
    if fits.is_empty() {
        String::new()
    } else {
        format!("; they fit {}", fits.join(", "))
    }
}

/// Differences of a checkpoint's tensors from those of a version. The lists are complete; the `Display` text names the
/// first few of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Keys absent from the checkpoint, with the shape needed.
    pub missing: Vec<(String, Vec<usize>)>,
    /// Keys of the checkpoint that the network does not have, with their shape.
    pub unexpected: Vec<(String, Vec<usize>)>,
    /// Keys with another shape: key, shape needed, shape found.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

/// Maximum number of keys of each list that a message names.
const NAMED: usize = 3;

impl Mismatch {
    /// Returns the number of tensors that differ.
    pub fn count(&self) -> usize {
        self.missing.len() + self.unexpected.len() + self.misshapen.len()
    }

    /// Reports whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }
}

impl fmt::Display for Mismatch {
    /// Writes the missing, unexpected and misshapen tensors in one line, the first keys of each kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keyed = |(key, shape): &(String, Vec<usize>)| format!("{key} {shape:?}");
        let mut parts = Vec::new();
        list(&mut parts, "missing", &self.missing, keyed);
        list(&mut parts, "left over", &self.unexpected, keyed);
        list(
            &mut parts,
            "misshapen",
            &self.misshapen,
            |(key, needed, found)| format!("{key} is {found:?}, needed {needed:?}"),
        );
        f.write_str(&parts.join("; "))
    }
}

/// Appends to `parts` the count of `items`, `what` they are and the texts of the first [`NAMED`]; nothing if empty.
fn list<T>(parts: &mut Vec<String>, what: &str, items: &[T], text: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    let named: Vec<_> = items.iter().take(NAMED).map(text).collect();
    let more = if items.len() > NAMED { ", ..." } else { "" };
    parts.push(format!("{} {what} ({}{more})", items.len(), named.join(", ")));
}
