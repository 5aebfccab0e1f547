//! A RIFE network by name or by description ([`Version`]): what it can do, its size rule, its layers and tensors.

use std::fmt;

use crate::count::CountBackend;
use crate::error::NetworkError;
use crate::layer::{LayerDesc, TensorDesc};
use crate::network::{HDV2_SCALES, Network, Options, PAPER_SCALES, PaperSpec};
use crate::registry::Row;
use crate::scale::Scale;
use crate::spec::NetworkSpec;

/// Which description a network is a case of.
// A table of them is made at build time.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Family {
    /// The ECCV 2022 paper's.
    Paper(PaperSpec),
    /// RIFE_HDv2.
    Hdv2,
    /// RIFE 4.x.
    Stack(NetworkSpec),
}

/// One RIFE network: a named one, or one with a description of its own.
#[derive(Clone, Copy)]
pub struct Version(Kind);

// Few are made, and none is stored many times.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy)]
enum Kind {
    Row(&'static Row),
    Custom { name: CustomName, family: Family },
}

/// `custom-` and the first eight digits of the description's hash.
type CustomName = [u8; 15];

impl Version {
    pub(crate) const fn row(row: &'static Row) -> Self {
        Self(Kind::Row(row))
    }

    /// The network of this description: of named ones with the same the newest, else one of its own, whose name is
    /// `custom-` and the first eight digits of [`NetworkSpec::sha256`].
    ///
    /// Errors: those of [`NetworkSpec::check`].
    pub fn from_spec(spec: NetworkSpec) -> Result<Self, NetworkError> {
        spec.check()?;
        let named = Self::all().filter(|version| version.spec() == Some(&spec));
        if let Some(newest) = named.last() {
            return Ok(newest);
        }
        let mut name = *b"custom-........";
        name[7..].copy_from_slice(&spec.sha256().as_bytes()[..8]);
        let family = Family::Stack(spec);
        Ok(Self(Kind::Custom { name, family }))
    }

    /// Its name: `rife`, `rife_m`, `rife_2r`, `rife_hdv2`, a 4.x number such as `4.25.lite`, `r7.lite` and its like, or
    /// `custom-` and a hash for a network that has none.
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Row(row) => row.name,
            Kind::Custom { name, .. } => std::str::from_utf8(name).expect("letters and digits"),
        }
    }

    /// Whether it is one of [`Version::all`].
    pub fn is_named(&self) -> bool {
        matches!(self.0, Kind::Row(_))
    }

    pub(crate) fn family(&self) -> &Family {
        match &self.0 {
            Kind::Row(row) => &row.family,
            Kind::Custom { family, .. } => family,
        }
    }

    /// The description of a 4.x network; `None` for those before.
    pub fn spec(&self) -> Option<&NetworkSpec> {
        match self.family() {
            Family::Stack(spec) => Some(spec),
            Family::Paper(_) | Family::Hdv2 => None,
        }
    }

    /// Whether it makes frames at any time between its inputs; the others know only the middle.
    pub fn supports_timestep(self) -> bool {
        match self.family() {
            Family::Paper(spec) => spec.timestep,
            Family::Hdv2 => false,
            Family::Stack(_) => true,
        }
    }

    /// Whether [`Options::ensemble`] means anything to it.
    pub fn supports_ensemble(self) -> bool {
        self.spec().is_some_and(|spec| spec.ensemble)
    }

    /// Flow in pixels above which it starts again, at doubled scales, where it does.
    pub(crate) fn restart(self) -> Option<f32> {
        self.spec().and_then(|spec| spec.restart)
    }

    /// Whether it computes features of each frame alone, which later pairs and timesteps reuse.
    pub fn encodes_frames(self) -> bool {
        self.spec().is_none_or(|spec| spec.encoder.is_some())
    }

    /// Whether training has a block beside that sees the true middle frame ([`Network::teach`]): the paper's
    /// networks.
    pub fn has_teacher_block(self) -> bool {
        matches!(self.family(), Family::Paper(_))
    }

    /// By how much each block's inputs are shrunk, from coarse to fine.
    pub fn block_scales(self) -> Vec<usize> {
        let powers = |logarithms: &[i32]| logarithms.iter().map(|log2| 1 << log2).collect();
        match self.family() {
            Family::Paper(_) => powers(&PAPER_SCALES),
            Family::Hdv2 => powers(&HDV2_SCALES),
            Family::Stack(spec) => spec.blocks.iter().map(|block| block.scale).collect(),
        }
    }

    /// Channels of the features that a block hands to the next (0 for most), see the 4.21 and later versions.
    pub fn feature_channels(self) -> usize {
        self.spec().map_or(0, |spec| spec.features)
    }

    /// What the width and height of the network's input must be multiples of at this scale. [`crate::Model`]
    /// pads to it and crops.
    pub fn size_multiple(self, scale: Scale) -> usize {
        let (base, least) = match self.family() {
            Family::Paper(_) | Family::Hdv2 => (32, 32),
            Family::Stack(spec) => (spec.size_multiple(), 2),
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

    pub(crate) fn listed(self, training: bool) -> Vec<LayerDesc> {
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

    /// Whether it can make a frame at this time.
    ///
    /// Errors: [`NetworkError::Timestep`] outside 0..1 or at its ends, [`NetworkError::OnlyMiddle`].
    pub fn check_timestep(self, timestep: f32) -> Result<(), NetworkError> {
        if !(timestep > 0.0 && timestep < 1.0) {
            return Err(NetworkError::Timestep(timestep));
        }
        if timestep != 0.5 && !self.supports_timestep() {
            return Err(NetworkError::OnlyMiddle {
                version: self.name().to_owned(),
                timestep,
            });
        }
        Ok(())
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
        self.name() == other.name() && self.spec() == other.spec()
    }
}

impl Eq for Version {}

#[cfg(test)]
mod tests {
    use super::*;

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
