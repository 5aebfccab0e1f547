//! Everything that a network can refuse, each with what was found and what would be accepted.

use std::fmt;

/// Why a network could not be built or run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// No version of this name.
    #[error("unknown model version {0:?}; known are {known}", known = crate::Version::names().join(", "))]
    UnknownVersion(String),
    /// A network that was shipped once and that this program cannot run any more.
    #[error("RIFE {name} cannot be run any more: {why}; r7.lite is its successor")]
    Retired {
        /// Its name.
        name: &'static str,
        /// What of it is gone.
        why: &'static str,
    },
    /// A network's description that cannot be read.
    #[error("this description of a network cannot be read: {0}")]
    SpecSyntax(String),
    /// A network's description with a value out of range.
    #[error("network.{field} is {value}; accepted: {accepted}")]
    Spec {
        /// The field, such as `blocks[0].channels`.
        field: String,
        /// What was found.
        value: String,
        /// What would be accepted.
        accepted: String,
    },
    /// The weights are no RIFE network that is known.
    #[error("these weights are no RIFE network known here; the nearest is {nearest}: {mismatch}")]
    Unrecognised {
        /// The version with the fewest differences.
        nearest: String,
        /// Those differences.
        mismatch: Box<Mismatch>,
    },
    /// The weights are not those of the version asked for.
    #[error("these weights are not RIFE {version}: {mismatch}{hint}", hint = hint(fits))]
    WrongWeights {
        /// The version asked for.
        version: String,
        /// How the weights differ from it.
        mismatch: Box<Mismatch>,
        /// The versions that the weights do fit.
        fits: Vec<String>,
    },
    /// There are no weights at all.
    #[error("there are no tensors in these weights")]
    NoWeights,
    /// A weight is NaN or infinite.
    #[error("the weights hold a value that is no finite number: {key}[{index}] is {value}")]
    NotFinite {
        /// Its tensor.
        key: String,
        /// Its place in row-major order.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A picture, or the motion that made it, is NaN or infinite somewhere.
    #[error(
        "RIFE {version} with these weights makes {what} of {value}: the weights are damaged, or of another network"
    )]
    Overflow {
        /// The network.
        version: String,
        /// What of it.
        what: &'static str,
        /// NaN or an infinity.
        value: f32,
    },
    /// The engine failed.
    #[error(transparent)]
    Backend(#[from] rife_backend::BackendError),
    /// A scale that is none of the five.
    #[error("scale {0} is not one of 0.25, 0.5, 1, 2 and 4")]
    Scale(String),
    /// A timestep outside the open interval.
    #[error("timestep {0} is not between 0 and 1 (both excluded)")]
    Timestep(f32),
    /// A timestep other than 0.5 for a network that knows only the middle.
    #[error(
        "RIFE {version} makes only the middle frame (timestep 0.5), not {timestep}; \
         other times need several passes or a network with a timestep ({}, or any 4.x)",
        crate::Version::IFNET_M.name()
    )]
    OnlyMiddle {
        /// The network.
        version: String,
        /// The timestep asked for.
        timestep: f32,
    },
    /// The ensemble option for a version without it.
    #[error("RIFE {version} has no ensemble; these have: {}", crate::Version::with_ensemble().join(", "))]
    NoEnsemble {
        /// The network.
        version: String,
    },
    /// Test-time augmentation in an ONNX graph of a network that looks again where motion is large: which way to
    /// go would have to be decided for each half.
    #[error(
        "RIFE {version} as ONNX has no test-time augmentation, because it looks again where motion is large; \
         leave it out, or use version 4.2 or later"
    )]
    NoTtaGraph {
        /// The network.
        version: String,
    },
    /// A picture smaller or larger than any network here takes.
    #[error("a picture of {width}x{height} is outside {min}x{min} to {max}x{max}", min = crate::MIN_SIDE, max = crate::MAX_SIDE)]
    ImageSize {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
    /// A picture whose values do not fill it.
    #[error("a picture of {width}x{height} needs {} values, not {found}", 3 * width * height)]
    ImageData {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
        /// How many values came.
        found: usize,
    },
    /// Two frames of different sizes.
    #[error("the two frames differ in size: {}x{} and {}x{}", .first[0], .first[1], .second[0], .second[1])]
    FramesDiffer {
        /// Width and height of the first.
        first: [usize; 2],
        /// Width and height of the second.
        second: [usize; 2],
    },
    /// A tensor whose size the network cannot halve as often as it needs to.
    #[error(
        "{width}x{height} is no multiple of {multiple} on both sides, which RIFE {version} needs at scale {scale}"
    )]
    NotMultiple {
        /// The network.
        version: String,
        /// The scale asked for.
        scale: crate::Scale,
        /// What both sides must be multiples of.
        multiple: usize,
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
}

fn hint(fits: &[String]) -> String {
    if fits.is_empty() {
        String::new()
    } else {
        format!("; they fit {}", fits.join(", "))
    }
}

/// How weights differ from what a version needs. Each list is complete; its text names the first few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Keys that the network needs and the weights lack, with the shape needed.
    pub missing: Vec<(String, Vec<usize>)>,
    /// Keys that the weights hold and the network has no use for, with their shape.
    pub unexpected: Vec<(String, Vec<usize>)>,
    /// Keys of another shape: key, shape needed, shape found.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

/// How many keys of each kind a message names.
const NAMED: usize = 3;

impl Mismatch {
    /// How many tensors differ.
    pub fn count(&self) -> usize {
        self.missing.len() + self.unexpected.len() + self.misshapen.len()
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }
}

impl fmt::Display for Mismatch {
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

fn list<T>(parts: &mut Vec<String>, what: &str, items: &[T], text: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    let named: Vec<_> = items.iter().take(NAMED).map(text).collect();
    let more = if items.len() > NAMED { ", ..." } else { "" };
    parts.push(format!("{} {what} ({}{more})", items.len(), named.join(", ")));
}
