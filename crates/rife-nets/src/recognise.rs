//! Recognition of a checkpoint's network: by the description or the name in its metadata, else by the keys and shapes of
//! its tensors.

use std::collections::{BTreeMap, HashMap};

use crate::checkpoint::LoadedCheckpoint;
use crate::error::{Mismatch, NetworkError};
use crate::spec::NetworkSpec;
use crate::version::Version;
use crate::weights::Weights;

/// Key prefixes of tensors that only training uses; they may be present or absent.
const TRAINING_KEYS: [&str; 3] = ["block_tea.", "teacher.", "caltime."];

/// Metadata key of the network's description in the format of [`NetworkSpec::to_json`].
pub const SPEC_KEY: &str = "rife_network";
/// Metadata key of the network's name.
pub const NAME_KEY: &str = "rife_version";
/// Metadata keys of the network's name in checkpoints of earlier programs.
const EARLIER_NAME_KEYS: [&str; 2] = ["version", "network"];

impl Version {
    /// Determines the network of a checkpoint: by the description in its metadata, else by the name there if the tensors fit
    /// that version, else by the tensors alone ([`Version::recognise`]).
    ///
    /// Errors: those of [`NetworkSpec::from_json`], of [`Version::recognise`], of [`Version::check`] when description and
    /// tensors disagree; [`NetworkError::Retired`].
    pub fn of_checkpoint(checkpoint: &LoadedCheckpoint) -> Result<Self, NetworkError> {
        let LoadedCheckpoint {
            weights, metadata, ..
        } = checkpoint;
        let named = version_in(metadata);
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

    /// Writes the network's name and, for 4.x networks, its description into a checkpoint's metadata, replacing those already
    /// there.
    pub fn describe_in(&self, metadata: &mut BTreeMap<String, String>) {
        metadata.insert(NAME_KEY.to_owned(), self.name().to_owned());
        match self.spec() {
            Some(spec) => metadata.insert(SPEC_KEY.to_owned(), spec.to_json()),
            None => metadata.remove(SPEC_KEY),
        };
    }

    /// Lists the versions whose keys and shapes these tensors have, older before newer; tensors used only in training are
    /// ignored.
    pub fn candidates(weights: &Weights) -> Vec<Self> {
        Self::all()
            .filter(|version| version.compare(weights, false).is_empty())
            .collect()
    }

    /// Determines the version whose keys and shapes these tensors have: of several the newest, and `rife` rather than
    /// `rife_2r`. 4.x versions with the same tensors compute the same function; `rife` and `rife_2r` do not.
    ///
    /// Errors: [`NetworkError::Unrecognised`] with the differences from the version with the fewest, [`NetworkError::NoWeights`].
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

    /// Checks that the tensors are exactly those of this version and finite; with `training`, its teacher block's too.
    ///
    /// Errors: [`NetworkError::WrongWeights`] with missing, unexpected and misshapen keys; [`NetworkError::NotFinite`] with the
    /// first NaN or infinity.
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
        for layer in self.layer_list(training) {
            for tensor in layer.tensors() {
                check_finite(weights, &tensor.key)?;
            }
        }
        Ok(())
    }

    /// Compares keys and shapes of the tensors with those of this version.
    fn compare(self, weights: &Weights, training: bool) -> Mismatch {
        let needed = self
            .layer_list(training)
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

/// Checks that a tensor has no NaN or infinity.
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

/// Returns the version named in a checkpoint's metadata; `None` without a name or for an unknown one.
///
/// Errors: [`NetworkError::Retired`].
fn version_in(metadata: &BTreeMap<String, String>) -> Result<Option<Version>, NetworkError> {
    let keys = std::iter::once(NAME_KEY).chain(EARLIER_NAME_KEYS);
    for name in keys.filter_map(|key| metadata.get(key)) {
        match name.parse() {
            Ok(version) => return Ok(Some(version)),
            Err(error @ NetworkError::Retired { .. }) => return Err(error),
            // Other programs store other values under these keys.
            Err(_) => {}
        }
    }
    Ok(None)
}
