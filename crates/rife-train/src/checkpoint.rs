//! Training checkpoint: the complete state of a run in one `.safetensors` file, so that a resumed run gives the same bits as
//! an uninterrupted one. Tensors are the trained weights (`net.`), their moving average (`ema.`) and AdamW's moments
//! (`first.`, `second.`); counters, scores and the recipe are metadata.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rife_nets::{WeightTensor, Weights};
use safetensors::SafeTensors;

use crate::optimizer::{Guard, Moments};
use crate::parameters::Parameters;
use crate::recipe::Recipe;
use crate::scores::Scores;
use crate::weights_file::{self, Precision};

/// Value of the metadata key `format`.
const FORMAT: &str = "rife-train checkpoint 1";

/// The state of training between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Number of steps done.
    pub step: u64,
    /// The trained weights.
    pub parameters: Parameters,
    /// Exponential moving average of the weights, the trained network.
    pub average: Parameters,
    /// AdamW's moments.
    pub moments: Moments,
    /// Detector of unusually large gradients.
    pub guard: Guard,
    /// Results of all validations so far.
    pub scores: Vec<Scores>,
}

impl State {
    /// Makes the state before the first step.
    pub fn new(parameters: Parameters) -> Self {
        let (average, moments) = (parameters.clone(), Moments::new(&parameters));
        Self {
            step: 0,
            parameters,
            average,
            moments,
            guard: Guard::default(),
            scores: Vec::new(),
        }
    }

    /// Writes a checkpoint with the provenance `about` in its metadata, atomically replacing `path`.
    ///
    /// Errors: a file that cannot be written.
    pub fn write(&self, path: &Path, recipe: &Recipe, about: BTreeMap<String, String>) -> Result<()> {
        let values = |p: &Parameters| p.tensors.iter().map(|p| p.values.clone()).collect::<Vec<_>>();
        let groups = [
            ("net", values(&self.parameters)),
            ("ema", values(&self.average)),
            ("first", self.moments.first.clone()),
            ("second", self.moments.second.clone()),
        ];
        let mut all = Weights::new();
        for (prefix, values) in groups {
            for (tensor, data) in self.parameters.tensors.iter().zip(values) {
                let shape = tensor.shape.clone();
                all.insert(format!("{prefix}.{}", tensor.key), WeightTensor { shape, data });
            }
        }
        weights_file::write(path, &all, self.metadata(recipe, about)?, Precision::F32)
    }

    /// Collects the metadata: `about`, counters, scores and the recipe as JSON.
    fn metadata(&self, recipe: &Recipe, about: BTreeMap<String, String>) -> Result<HashMap<String, String>> {
        let usual = self
            .guard
            .usual
            .map_or(String::new(), |usual| format!("{:016x}", usual.to_bits()));
        let pairs = [
            ("format", FORMAT.to_owned()),
            ("step", self.step.to_string()),
            ("updates", self.moments.updates.to_string()),
            ("usual_norm_bits", usual),
            ("skipped", self.guard.skipped.to_string()),
            ("scores", serde_json::to_string(&self.scores)?),
            ("recipe", serde_json::to_string(recipe)?),
        ];
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
        Ok(about.into_iter().chain(pairs).collect())
    }

    /// Reads a checkpoint of this recipe's network, and the recipe that it was written with (`None` if it cannot be parsed).
    ///
    /// Errors: a file that cannot be read, is no checkpoint, or is of another network.
    pub fn read(path: &Path, recipe: &Recipe) -> Result<(Self, Option<Recipe>)> {
        read(path, recipe).with_context(|| format!("cannot resume from {}", path.display()))
    }
}

/// Reads the training state of a checkpoint, whose network must be of `recipe`'s version, and the recipe that it was written
/// with (`None` if it cannot be parsed). Errors do not name the path; [`State::read`] adds it.
fn read(path: &Path, recipe: &Recipe) -> Result<(State, Option<Recipe>)> {
    let bytes = rife_files::read_regular(path, crate::weights_file::MAX_FILE_BYTES)?;
    let (_, header) = SafeTensors::read_metadata(&bytes)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let entry = |key: &str| {
        metadata
            .get(key)
            .map(String::as_str)
            .with_context(|| format!("it has no `{key}`"))
    };
    ensure!(
        entry("format")? == FORMAT,
        "its format is `{}`, expected `{FORMAT}`",
        entry("format")?
    );
    let all = weights_file::read(path)?;
    let group = |prefix: &str| -> Result<Parameters> {
        let own = all
            .iter()
            .filter_map(|(key, tensor)| Some((key.strip_prefix(prefix)?.to_owned(), tensor.clone())));
        Parameters::from_weights(recipe.version()?, &own.collect())
    };
    let values = |p: Parameters| p.tensors.into_iter().map(|p| p.values).collect();
    let (first, second) = (values(group("first.")?), values(group("second.")?));
    let usual = match entry("usual_norm_bits")? {
        "" => None,
        bits => Some(f64::from_bits(u64::from_str_radix(bits, 16)?)),
    };
    let state = State {
        step: entry("step")?.parse()?,
        parameters: group("net.")?,
        average: group("ema.")?,
        moments: Moments {
            first,
            second,
            updates: entry("updates")?.parse()?,
        },
        guard: Guard {
            usual,
            skipped: entry("skipped")?.parse()?,
        },
        scores: serde_json::from_str(entry("scores")?)?,
    };
    Ok((state, serde_json::from_str(entry("recipe")?).ok()))
}
