//! Every RIFE network by version: the one table of what distinguishes them, their names, size rules and
//! abilities, and which of them a checkpoint's keys and shapes fit.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::count::CountBackend;
use crate::error::{Mismatch, NetworkError};
use crate::layer::{LayerDesc, TensorDesc};
use crate::network::{Encoder, HDV2_SCALES, Network, Options, PAPER_SCALES, PaperSpec, Trunk, V4Spec};
use crate::scale::Scale;
use crate::weights::Weights;

/// The description of one version.
#[derive(Debug)]
pub(crate) struct Spec {
    name: &'static str,
    aliases: &'static [&'static str],
    family: Family,
}

/// Which description a version is a case of.
#[derive(Debug)]
pub(crate) enum Family {
    /// The ECCV 2022 paper's.
    Paper(PaperSpec),
    /// RIFE_HDv2.
    Hdv2,
    /// RIFE 4.x.
    V4(V4Spec),
}

const fn old(name: &'static str, aliases: &'static [&'static str], family: Family) -> Spec {
    Spec {
        name,
        aliases,
        family,
    }
}

const fn v4(name: &'static str, spec: V4Spec) -> Spec {
    Spec {
        name,
        aliases: &[],
        family: Family::V4(spec),
    }
}

const WIDE: &[usize] = &[192, 128, 96, 64];
const NARROW: &[usize] = &[128, 96, 64, 48];
const FOUR: &[usize] = &[8, 4, 2, 1];
const FIVE: &[usize] = &[16, 8, 4, 2, 1];

// Each constant is the state of the design that later versions change; rows below name their changes only.
const V4_0: V4Spec = V4Spec {
    trunk: Trunk::Prelu,
    head: 5,
    encoder: Encoder::None,
    channels: WIDE,
    scales: FOUR,
    feat: 0,
    ensemble: true,
    residual: false,
    linear: false,
    keep_static: false,
    prior: false,
    blend_prior: false,
    cubic_residual: false,
    adds_mask: true,
    doubles: true,
};
const V4_2: V4Spec = V4Spec {
    trunk: Trunk::Leaky,
    doubles: false,
    ..V4_0
};
const V4_5: V4Spec = V4Spec {
    trunk: Trunk::Res(1),
    head: 20,
    ..V4_2
};
const V4_6: V4Spec = V4Spec { head: 24, ..V4_5 };
const V4_7: V4Spec = V4Spec {
    encoder: Encoder::Short,
    adds_mask: false,
    ..V4_6
};
const V4_10: V4Spec = V4Spec {
    encoder: Encoder::Sequence { out: 8 },
    ..V4_7
};
const V4_12_LITE: V4Spec = V4Spec {
    encoder: Encoder::Sequence { out: 4 },
    channels: NARROW,
    ..V4_10
};
const V4_13: V4Spec = V4Spec {
    encoder: Encoder::Named { inner: 32, out: 8 },
    ..V4_10
};
const V4_14_LITE: V4Spec = V4Spec {
    trunk: Trunk::Res(2),
    ..V4_13
};
const V4_15_LITE: V4Spec = V4Spec {
    encoder: Encoder::Named { inner: 16, out: 4 },
    channels: NARROW,
    ..V4_13
};
const V4_20: V4Spec = V4Spec {
    channels: &[384, 192, 96, 48],
    ..V4_13
};
const V4_21: V4Spec = V4Spec {
    head: 52,
    feat: 8,
    channels: &[256, 192, 96, 48],
    ensemble: false,
    ..V4_13
};
const V4_22_LITE: V4Spec = V4Spec {
    encoder: Encoder::Named { inner: 16, out: 4 },
    channels: &[192, 128, 64, 32],
    ..V4_21
};
const V4_25: V4Spec = V4Spec {
    encoder: Encoder::Named { inner: 16, out: 4 },
    channels: &[192, 128, 96, 64, 32],
    scales: FIVE,
    ..V4_21
};
const V4_25_LITE: V4Spec = V4Spec {
    channels: &[192, 128, 96, 64, 24],
    scales: &[32, 16, 8, 4, 1],
    ..V4_25
};
const V4_25_HEAVY: V4Spec = V4Spec {
    channels: &[384, 256, 192, 128, 64],
    ..V4_25
};
const R1_LITE: V4Spec = V4Spec {
    channels: &[160, 96, 64, 24],
    scales: &[16, 8, 4, 1],
    ..V4_25
};
const R3_LITE: V4Spec = V4Spec {
    residual: true,
    linear: true,
    keep_static: true,
    ..R1_LITE
};

const R7_LITE: V4Spec = V4Spec {
    prior: true,
    blend_prior: true,
    cubic_residual: true,
    ..R3_LITE
};
const V4_26_HEAVY: V4Spec = V4Spec {
    encoder: Encoder::Named { inner: 16, out: 16 },
    ..V4_25
};
/// Every version. Of versions whose tensors are alike the last is preferred: the newest 4.x, and `rife`, which is
/// far commoner than `rife_2r`.
static TABLE: &[Spec] = &[
    old("rife_hdv2", &["hdv2", "rife_hd_v2"], Family::Hdv2),
    old(
        "rife_2r",
        &["ifnet_2r"],
        Family::Paper(PaperSpec {
            timestep: false,
            twice: true,
        }),
    ),
    old(
        "rife",
        &["ifnet"],
        Family::Paper(PaperSpec {
            timestep: false,
            twice: false,
        }),
    ),
    old(
        "rife_m",
        &["ifnet_m"],
        Family::Paper(PaperSpec {
            timestep: true,
            twice: false,
        }),
    ),
    v4("4.0", V4_0),
    v4("4.1", V4_0),
    v4("4.2", V4_2),
    v4("4.3", V4_2),
    v4("4.4", V4_2),
    v4("4.5", V4_5),
    v4("4.6", V4_6),
    v4("4.7", V4_7),
    v4("4.8", V4_7),
    v4("4.9", V4_7),
    v4("4.10", V4_10),
    v4("4.11", V4_10),
    v4("4.12", V4_10),
    v4("4.12.lite", V4_12_LITE),
    v4("4.13", V4_13),
    v4("4.13.lite", V4_12_LITE),
    v4("4.14", V4_13),
    v4("4.14.lite", V4_14_LITE),
    v4("4.15", V4_13),
    v4("4.15.lite", V4_15_LITE),
    v4("4.16.lite", V4_15_LITE),
    v4("4.17", V4_13),
    v4("4.17.lite", V4_15_LITE),
    v4("4.18", V4_13),
    v4("4.19", V4_13),
    v4("4.20", V4_20),
    v4("4.21", V4_21),
    v4("4.22", V4_21),
    v4("4.22.lite", V4_22_LITE),
    v4("4.23", V4_21),
    v4("4.24", V4_13),
    v4("4.25", V4_25),
    v4("4.25.lite", V4_25_LITE),
    v4("4.25.heavy", V4_25_HEAVY),
    v4("4.26", V4_25),
    v4("4.26.heavy", V4_26_HEAVY),
    // Trained here: 4.25.lite without its coarsest block, the others narrower.
    v4("r1.lite", R1_LITE),
    // r1.lite with a correction of the blended frame in place of the last block's unused features, motion at an even
    // speed by construction, and static pixels kept.
    v4("r3.lite", R3_LITE),
    // r3.lite whose first block begins with motion found without weights, and whose last chooses between that and its own
    // and says how sharply to sample.
    v4("r7.lite", R7_LITE),
];

/// Where the row of [`Version::IFNET_M`] is.
const IFNET_M_ROW: usize = 3;

/// Keys that checkpoints carry for training and inference has no use for.
const TRAINING_KEYS: [&str; 3] = ["block_tea.", "teacher.", "caltime."];

/// One version of RIFE.
#[derive(Clone, Copy)]
pub struct Version(&'static Spec);

impl Version {
    /// The version of the embedded default weights.
    pub const DEFAULT: Self = Self(&TABLE[TABLE.len() - 1]);
    /// The paper's network with a timestep.
    pub const IFNET_M: Self = Self(&TABLE[IFNET_M_ROW]);

    /// Every version, older before newer.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(Self)
    }

    /// Every version's name, older before newer.
    pub fn names() -> Vec<&'static str> {
        Self::all().map(Self::name).collect()
    }

    /// The names of the versions that have an ensemble.
    pub fn with_ensemble() -> Vec<&'static str> {
        Self::all()
            .filter(|version| version.supports_ensemble())
            .map(Self::name)
            .collect()
    }

    /// Its name: `rife`, `rife_m`, `rife_2r`, `rife_hdv2`, a 4.x number such as `4.25.lite`, or `r7.lite`.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    pub(crate) fn family(self) -> &'static Family {
        &self.0.family
    }

    /// Whether it makes frames at any time between its inputs; the others know only the middle.
    pub fn supports_timestep(self) -> bool {
        match self.family() {
            Family::Paper(spec) => spec.timestep,
            Family::Hdv2 => false,
            Family::V4(_) => true,
        }
    }

    /// Whether [`Options::ensemble`] means anything to it.
    pub fn supports_ensemble(self) -> bool {
        matches!(self.family(), Family::V4(spec) if spec.ensemble)
    }

    /// Whether it starts again, at doubled scales, where it finds large motion.
    pub(crate) fn looks_again(self) -> bool {
        matches!(self.family(), Family::V4(spec) if spec.doubles)
    }

    /// Whether it computes features of each frame alone, which later pairs and timesteps reuse.
    pub fn encodes_frames(self) -> bool {
        !matches!(self.family(), Family::V4(spec) if spec.encoder == Encoder::None)
    }

    /// Whether training has a block beside that sees the true middle frame ([`Network::teach`]): the paper's
    /// networks.
    pub fn has_teacher_block(self) -> bool {
        matches!(self.family(), Family::Paper(_))
    }

    /// Whether its last block gives, beside flow and mask, a correction that is added to the blended frame.
    pub fn corrects_blend(self) -> bool {
        matches!(self.family(), Family::V4(spec) if spec.residual)
    }

    /// Whether its flow is of motion at an even speed by construction, in proportion to the timestep.
    pub fn moves_evenly(self) -> bool {
        matches!(self.family(), Family::V4(spec) if spec.linear)
    }

    /// Whether a pixel that is the same in both frames stays ([`Backend::keep_static`](rife_backend::Backend::keep_static)).
    pub fn keeps_static(self) -> bool {
        matches!(self.family(), Family::V4(spec) if spec.keep_static)
    }

    /// Whether its first block begins with motion found without weights ([`Backend::dis_flow`](rife_backend::Backend::dis_flow)).
    pub fn starts_from_motion(self) -> bool {
        matches!(self.family(), Family::V4(spec) if spec.prior)
    }

    /// Whether its last block says how much of the frames moved by that motion goes into the blend.
    pub fn blends_prior(self) -> bool {
        matches!(self.family(), Family::V4(spec) if spec.blend_prior)
    }

    /// Whether its last block says how much of what sampling loses the blended frames get back
    /// ([`Backend::cubic_residual`](rife_backend::Backend::cubic_residual)).
    pub fn sharpens(self) -> bool {
        matches!(self.family(), Family::V4(spec) if spec.cubic_residual)
    }

    /// By how much each block's inputs are shrunk, from coarse to fine.
    pub fn block_scales(self) -> Vec<usize> {
        let powers = |logarithms: &[i32]| logarithms.iter().map(|log2| 1 << log2).collect();
        match self.family() {
            Family::Paper(_) => powers(&PAPER_SCALES),
            Family::Hdv2 => powers(&HDV2_SCALES),
            Family::V4(spec) => spec.scales.to_vec(),
        }
    }

    /// Channels of the features that a block hands to the next (0 for most), see the 4.21 and later versions.
    pub fn feature_channels(self) -> usize {
        match self.family() {
            Family::V4(spec) => spec.feat,
            Family::Paper(_) | Family::Hdv2 => 0,
        }
    }

    /// What the width and height of the network's input must be multiples of at this scale. [`crate::Model`]
    /// pads to it and crops.
    pub fn size_multiple(self, scale: Scale) -> usize {
        let (base, least) = match self.family() {
            Family::Paper(_) | Family::Hdv2 => (32, 32),
            Family::V4(spec) => (spec.size_multiple(), 2),
        };
        let scaled = match scale.log2() {
            enlarged @ 0.. => base >> enlarged,
            shrunk => base << -shrunk,
        };
        scaled.max(least)
    }

    /// Every layer, in the order in which [`Network::build`] asks for them.
    pub fn layers(self) -> Vec<LayerDesc> {
        self.listed(false)
    }

    /// Every layer with those that only training uses (the paper's teacher block).
    pub fn training_layers(self) -> Vec<LayerDesc> {
        self.listed(true)
    }

    fn listed(self, training: bool) -> Vec<LayerDesc> {
        let mut layers = Vec::new();
        Network::build(self, training, |layer| layers.push(layer.clone()));
        layers
    }

    /// Every tensor that inference reads from a checkpoint.
    pub fn tensors(self) -> Vec<TensorDesc> {
        self.layers().iter().flat_map(LayerDesc::tensors).collect()
    }

    /// How many values those tensors hold.
    pub fn parameter_count(self) -> usize {
        self.tensors()
            .iter()
            .map(|tensor| tensor.shape.iter().product::<usize>())
            .sum()
    }

    /// Multiply-adds of all convolutions a pixel of the frame, for one pair at scale 1, both frames' features
    /// included.
    pub fn macs_per_pixel(self) -> f64 {
        let counter = CountBackend::new(false);
        let network = Network::build(self, false, Clone::clone);
        let side = 8 * self.size_multiple(Scale::One);
        let options = Options::default();
        let run = || -> Result<(), NetworkError> {
            let frame = network.encode(&counter, &[3, side, side], &options)?;
            let other = network.encode(&counter, &[3, side, side], &options)?;
            let pair = network.pair(&counter, [&frame, &other], &options)?;
            network.interpolate(&counter, &pair, 0.5, &options).map(drop)
        };
        run().expect("the size and the timestep fit every network");
        counter.macs() as f64 / (side * side) as f64
    }

    /// The versions whose tensors these are, older before newer; more than one where versions share keys and
    /// shapes. Training-only keys are ignored.
    pub fn candidates(weights: &Weights) -> Vec<Self> {
        Self::all()
            .filter(|version| version.compare(weights, false).is_empty())
            .collect()
    }

    /// The version whose tensors these are. Of several candidates the newest is taken, and `rife` before
    /// `rife_2r`; 4.x versions with the same tensors compute the same, those two do not.
    ///
    /// Errors: [`NetworkError::Unrecognised`] with the differences from the nearest version,
    /// [`NetworkError::NoWeights`].
    pub fn recognise(weights: &Weights) -> Result<Self, NetworkError> {
        if weights.is_empty() {
            return Err(NetworkError::NoWeights);
        }
        let compared = Self::all().map(|version| (version, version.compare(weights, false)));
        let nearest = compared.reduce(|best, next| {
            if next.1.count() <= best.1.count() {
                next
            } else {
                best
            }
        });
        let (version, mismatch) = nearest.expect("the table has rows");
        if mismatch.is_empty() {
            return Ok(version);
        }
        Err(NetworkError::Unrecognised {
            nearest: version.name(),
            mismatch,
        })
    }

    /// Whether these weights are whole for this version; with `training` its teacher's too.
    ///
    /// Errors: [`NetworkError::WrongWeights`] names the keys missing, left over and misshapen,
    /// [`NetworkError::NotFinite`] the first NaN or infinity.
    pub fn check(self, weights: &Weights, training: bool) -> Result<(), NetworkError> {
        let mismatch = self.compare(weights, training);
        if !mismatch.is_empty() {
            let fits = Self::candidates(weights).into_iter().map(Self::name).collect();
            return Err(NetworkError::WrongWeights {
                version: self.name(),
                mismatch,
                fits,
            });
        }
        for layer in self.listed(training) {
            for tensor in layer.tensors() {
                check_finite(weights, &tensor.key)?;
            }
        }
        Ok(())
    }

    /// Whether it can make a frame at this time.
    ///
    /// Errors: [`NetworkError::Timestep`] outside 0..1 or at its ends, [`NetworkError::OnlyMiddle`].
    pub fn check_timestep(self, timestep: f32) -> Result<(), NetworkError> {
        if !(timestep > 0.0 && timestep < 1.0) {
            return Err(NetworkError::Timestep(timestep));
        }
        if timestep != 0.5 && !self.supports_timestep() {
            return Err(NetworkError::OnlyMiddle {
                version: self.name(),
                timestep,
            });
        }
        Ok(())
    }

    fn compare(self, weights: &Weights, training: bool) -> Mismatch {
        let needed = self
            .listed(training)
            .into_iter()
            .flat_map(|layer| layer.tensors());
        let mut needed: HashMap<String, Vec<usize>> = needed.map(|t| (t.key, t.shape)).collect();
        let mut mismatch = Mismatch::default();
        for (key, tensor) in weights.iter() {
            let found = tensor.shape.clone();
            match needed.remove(key) {
                Some(shape) if shape == found && tensor.data.len() == shape.iter().product::<usize>() => {}
                Some(shape) => mismatch.misshapen.push((key.to_owned(), shape, found)),
                None if TRAINING_KEYS.iter().any(|prefix| key.starts_with(prefix)) => {}
                None => mismatch.unexpected.push((key.to_owned(), found)),
            }
        }
        mismatch.missing = needed.into_iter().collect();
        mismatch.missing.sort();
        mismatch
    }
}

fn check_finite(weights: &Weights, key: &str) -> Result<(), NetworkError> {
    let values = weights.get(key).map_or(&[][..], |tensor| &tensor.data);
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(NetworkError::NotFinite {
            key: key.to_owned(),
            index,
            value: values[index],
        }),
    }
}

impl FromStr for Version {
    type Err = NetworkError;

    /// Takes the names of [`Version::all`] in any case, 4.x numbers also as `v4.25`, `rife-v4.25_lite` or
    /// `4.25-lite`, `ifnet` for `rife`.
    ///
    /// Errors: [`NetworkError::UnknownVersion`], which lists the names.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let plain = text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        let number = plain
            .strip_prefix("rife")
            .unwrap_or(&plain)
            .trim_start_matches('_');
        let number = number.strip_prefix('v').unwrap_or(number).replace('_', ".");
        let is = |version: &Self| {
            let spec = version.0;
            spec.name == plain || spec.aliases.contains(&plain.as_str()) || spec.name == number
        };
        Self::all()
            .find(is)
            .ok_or_else(|| NetworkError::UnknownVersion(text.to_owned()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.name())
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Version {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_point_to_their_rows() {
        assert_eq!(Version::IFNET_M.name(), "rife_m");
        assert_eq!(Version::DEFAULT.name(), "r7.lite");
    }

    /// The counting back end refuses sizes that do not halve or join, as any engine would.
    #[test]
    fn every_version_runs_at_its_smallest_size_at_every_scale() {
        for (version, scale) in Version::all().flat_map(|v| Scale::ALL.map(|scale| (v, scale))) {
            for far in [false, true] {
                let counter = CountBackend::new(far);
                let network = Network::build(version, false, Clone::clone);
                let side = version.size_multiple(scale);
                let ensemble = version.supports_ensemble();
                let options = Options {
                    scale,
                    ensemble,
                    keep_stages: true,
                    tta: true,
                };
                let frame = network.encode(&counter, &[3, side, 2 * side], &options).unwrap();
                let pair = network.pair(&counter, [&frame, &frame], &options).unwrap();
                let output = network.interpolate(&counter, &pair, 0.5, &options).unwrap();
                assert_eq!(output.merged, [3, side, 2 * side], "{version} at scale {scale}");
                assert_eq!(output.flow, [4, side, 2 * side], "{version} at scale {scale}");
                assert!(output.stages.len() >= 3, "{version} keeps its stages");
            }
        }
    }

    #[test]
    fn only_the_paper_networks_have_a_teacher() {
        let counter = CountBackend::new(false);
        let options = Options {
            keep_stages: true,
            ..Options::default()
        };
        for version in Version::all() {
            let network = Network::build(version, true, Clone::clone);
            let side = version.size_multiple(Scale::One);
            let frame = network.encode(&counter, &[3, side, side], &options).unwrap();
            let pair = network.pair(&counter, [&frame, &frame], &options).unwrap();
            let output = network.interpolate_at(&counter, &pair, &(), &options).unwrap();
            let last = output.stages.last().unwrap();
            let taught = network.teach(&counter, [&frame, &frame], &(), &[3, side, side], last);
            let expected = version.has_teacher_block().then_some([4, side, side]);
            assert_eq!(taught.map(|stage| stage.flow), expected, "{version}");
            assert_eq!(version.block_scales().len(), output.stages.len(), "{version}");
        }
    }
}
