//! Which network a checkpoint is: by the description or the name in its metadata, else by the keys and shapes of its
//! tensors.

use std::collections::{BTreeMap, HashMap};

use crate::checkpoint::LoadedCheckpoint;
use crate::error::{Mismatch, NetworkError};
use crate::spec::NetworkSpec;
use crate::version::Version;
use crate::weights::Weights;

/// Keys that checkpoints carry for training and inference has no use for.
const TRAINING_KEYS: [&str; 3] = ["block_tea.", "teacher.", "caltime."];

/// Key of the metadata for the network's description, as [`NetworkSpec::to_json`] writes it.
pub const SPEC_KEY: &str = "rife_network";
/// Key of the metadata for the network's name.
pub const NAME_KEY: &str = "rife_version";
/// Keys that earlier programs wrote the name under.
const EARLIER_NAME_KEYS: [&str; 2] = ["version", "network"];

impl Version {
    /// Which network a checkpoint is. The description in its metadata decides, then a name there whose tensors these are,
    /// else the tensors alone ([`Version::recognise`]).
    ///
    /// Errors: those of [`NetworkSpec::from_json`], [`Version::recognise`] and [`Version::check`] for a description that is
    /// not that of the tensors; [`NetworkError::Retired`].
    pub fn of_checkpoint(checkpoint: &LoadedCheckpoint) -> Result<Self, NetworkError> {
        let LoadedCheckpoint {
            weights, metadata, ..
        } = checkpoint;
        let named = named(metadata);
        if let Some(json) = metadata.get(SPEC_KEY) {
            let spec = NetworkSpec::from_json(json)?;
            let named = named.ok().flatten();
            let version = match named.filter(|version| version.spec() == Some(&spec)) {
                Some(version) => version,
                None => Self::from_spec(spec)?,
            };
            version.check(weights, false)?;
            return Ok(version);
        }
        match named? {
            Some(version) if version.compare(weights, false).is_empty() => Ok(version),
            _ => Self::recognise(weights),
        }
    }

    /// Writes the network's name and, where it has one, its description into a checkpoint's metadata, in place of those that
    /// are there.
    pub fn describe_in(&self, metadata: &mut BTreeMap<String, String>) {
        metadata.insert(NAME_KEY.to_owned(), self.name().to_owned());
        match self.spec() {
            Some(spec) => metadata.insert(SPEC_KEY.to_owned(), spec.to_json()),
            None => metadata.remove(SPEC_KEY),
        };
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
            nearest: version.name().to_owned(),
            mismatch: Box::new(mismatch),
        })
    }

    /// Whether these weights are whole for this version; with `training` its teacher's too.
    ///
    /// Errors: [`NetworkError::WrongWeights`] names the keys missing, left over and misshapen,
    /// [`NetworkError::NotFinite`] the first NaN or infinity.
    pub fn check(self, weights: &Weights, training: bool) -> Result<(), NetworkError> {
        let mismatch = self.compare(weights, training);
        if !mismatch.is_empty() {
            let fits = Self::candidates(weights);
            return Err(NetworkError::WrongWeights {
                version: self.name().to_owned(),
                mismatch: Box::new(mismatch),
                fits: fits.iter().map(|version| version.name().to_owned()).collect(),
            });
        }
        for layer in self.listed(training) {
            for tensor in layer.tensors() {
                check_finite(weights, &tensor.key)?;
            }
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

/// The network that a checkpoint's metadata names, where it names one that is known.
///
/// Errors: [`NetworkError::Retired`].
fn named(metadata: &BTreeMap<String, String>) -> Result<Option<Version>, NetworkError> {
    let keys = std::iter::once(NAME_KEY).chain(EARLIER_NAME_KEYS);
    for name in keys.filter_map(|key| metadata.get(key)) {
        match name.parse() {
            Ok(version) => return Ok(Some(version)),
            Err(error @ NetworkError::Retired { .. }) => return Err(error),
            // Other programs write other things there.
            Err(_) => {}
        }
    }
    Ok(None)
}
