//! Handle of a RIFE network, named or described ([`Version`]): its capabilities and size rule.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::error::NetworkError;
use crate::family::{Family, HDV2_SCALES, PAPER_SCALES, Row};
use crate::scale::Scale;
use crate::spec::NetworkSpec;

/// A RIFE network: a named one, or an unnamed one with its description.
#[derive(Clone, Copy)]
pub struct Version(Kind);

/// The two kinds of [`Version`].
#[derive(Clone, Copy)]
enum Kind {
    /// A network of the registry.
    Row(&'static Row),
    /// A 4.x network that is not in the registry.
    Custom(&'static Custom),
}

/// A 4.x network that is not in the registry.
struct Custom {
    name: CustomName,
    family: Family,
}

/// The unnamed networks of this process. Each stays for its lifetime, so that a [`Version`] is a pointer; a program meets
/// few.
static CUSTOM: Mutex<Vec<&'static Custom>> = Mutex::new(Vec::new());

/// ASCII name of an unnamed network: `custom-` and the first eight hexadecimal digits of its description's SHA-256.
type CustomName = [u8; 15];

impl Version {
    /// Returns the version of a row of the registry.
    pub(crate) const fn row(row: &'static Row) -> Self {
        Self(Kind::Row(row))
    }

    /// Returns the newest named network with this description, else an unnamed one, called `custom-` and the first eight
    /// digits of [`NetworkSpec::sha256`].
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
        let mut known = CUSTOM.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |custom: &&&Custom| matches!(&custom.family, Family::Stack(found) if *found == spec);
        if let Some(custom) = known.iter().find(same) {
            return Ok(Self(Kind::Custom(custom)));
        }
        let family = Family::Stack(spec);
        let custom: &'static Custom = Box::leak(Box::new(Custom { name, family }));
        known.push(custom);
        Ok(Self(Kind::Custom(custom)))
    }

    /// Returns the name: `rife`, `rife_m`, `rife_2r`, `rife_hdv2`, a 4.x number such as `4.25.lite`, one of this project's such
    /// as `r7.lite`, or `custom-` and a hash for an unnamed network.
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Row(row) => row.name,
            Kind::Custom(Custom { name, .. }) => std::str::from_utf8(name).expect("letters and digits"),
        }
    }

    /// Reports whether the network is one of [`Version::all`].
    pub fn is_named(&self) -> bool {
        matches!(self.0, Kind::Row(_))
    }

    /// Returns the network's family with its description.
    pub(crate) fn family(&self) -> &Family {
        match &self.0 {
            Kind::Row(row) => &row.family,
            Kind::Custom(Custom { family, .. }) => family,
        }
    }

    /// Returns the description of a 4.x network; `None` for older networks.
    pub fn spec(&self) -> Option<&NetworkSpec> {
        match self.family() {
            Family::Stack(spec) => Some(spec),
            Family::Paper(_) | Family::Hdv2 => None,
        }
    }

    /// Reports whether the network makes frames at any timestep; if not, only at 0.5.
    pub fn supports_timestep(self) -> bool {
        match self.family() {
            Family::Paper(spec) => spec.timestep,
            Family::Hdv2 => false,
            Family::Stack(_) => true,
        }
    }

    /// Reports whether the network supports [`crate::Options::ensemble`].
    pub fn supports_ensemble(self) -> bool {
        self.spec().is_some_and(|spec| spec.ensemble)
    }

    /// Returns [`NetworkSpec::restart`]: the flow in pixels above which networks 4.0 and 4.1 run their first blocks again.
    pub(crate) fn restart(self) -> Option<f32> {
        self.spec().and_then(|spec| spec.restart)
    }

    /// Reports whether the network computes features of single frames, which all pairs and timesteps reuse.
    pub fn encodes_frames(self) -> bool {
        self.spec().is_none_or(|spec| spec.encoder.is_some())
    }

    /// Reports whether training adds a teacher block, which reads the true middle frame ([`crate::Network::teach`]): true for the
    /// paper's networks.
    pub fn has_teacher_block(self) -> bool {
        matches!(self.family(), Family::Paper(_))
    }

    /// Returns the factor by which each block's inputs are downsampled, from coarse to fine.
    pub fn block_scales(self) -> Vec<usize> {
        let powers = |logarithms: &[i32]| logarithms.iter().map(|log2| 1 << log2).collect();
        match self.family() {
            Family::Paper(_) => powers(&PAPER_SCALES),
            Family::Hdv2 => powers(&HDV2_SCALES),
            Family::Stack(spec) => spec.blocks.iter().map(|block| block.scale).collect(),
        }
    }

    /// Returns the number of feature channels that a block passes to the next: 0 before 4.21.
    pub fn feature_channels(self) -> usize {
        self.spec().map_or(0, |spec| spec.features)
    }

    /// Returns the number of pixels that width and height of the network's input must be multiples of at this scale.
    /// [`crate::Model`] pads to it and crops the result.
    pub fn size_multiple(self, scale: Scale) -> usize {
        let (base, min) = match self.family() {
            Family::Paper(_) | Family::Hdv2 => (32, 32),
            Family::Stack(spec) => (spec.size_multiple(), spec.prior_multiple().max(2)),
        };
        let scaled = match scale.log2() {
            power @ 0.. => base >> power,
            power => base << -power,
        };
        scaled.max(min)
    }

    /// Checks that the network can make a frame at this timestep.
    ///
    /// Errors: [`NetworkError::Timestep`] unless 0 < timestep < 1, [`NetworkError::OnlyMiddle`].
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
    /// Writes the canonical name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Version {
    /// Writes the canonical name in parentheses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.name())
    }
}

impl PartialEq for Version {
    /// Compares names and descriptions.
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.spec() == other.spec()
    }
}

impl Eq for Version {}
