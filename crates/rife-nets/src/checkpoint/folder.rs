//! Checkpoint folders: ncnn models (`.param` and `.bin`) and the three `.pkl` files of RIFE before 4.0.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{CheckpointError, Problem};
use super::{Format, LoadedCheckpoint, MAX_FILE_BYTES, finish, load_bytes, ncnn, read_file};
use crate::weights::{WeightTensor, Weights};

/// Names without extension of the `.pkl` files of RIFE before 4.0; each is the key prefix of its tensors.
const PKL_STEMS: [&str; 3] = ["flownet", "contextnet", "unet"];

/// Reads the network in a folder: ncnn if it has `flownet.param`, else one or three `.pkl` files.
pub(super) fn load(path: &Path) -> Result<LoadedCheckpoint, CheckpointError> {
    let has = |name: &str| path.join(name).is_file();
    if has("flownet.param") {
        return load_ncnn(path);
    }
    if !has("flownet.pkl") {
        let missing = "flownet.pkl or flownet.param".to_owned();
        return Err(CheckpointError::new(path, Problem::Folder { missing }));
    }
    let pkl = |stem: &&str| has(&format!("{stem}.pkl"));
    match PKL_STEMS.iter().filter(|stem| pkl(stem)).count() {
        1 => super::load(&path.join("flownet.pkl")),
        3 => load_three_pkl(path),
        _ => {
            let missing: Vec<_> = PKL_STEMS.iter().filter(|stem| !pkl(stem)).collect();
            let missing = format!("{}.pkl", missing[0]);
            Err(CheckpointError::new(path, Problem::Folder { missing }))
        }
    }
}

/// Reads the three `.pkl` files of RIFE before 4.0 and prefixes each file's keys with its name.
fn load_three_pkl(path: &Path) -> Result<LoadedCheckpoint, CheckpointError> {
    let (mut weights, mut notes) = (Weights::new(), Vec::new());
    for stem in PKL_STEMS {
        let file = path.join(format!("{stem}.pkl"));
        let bytes = read_file(&file, MAX_FILE_BYTES)?;
        let loaded = load_bytes(&bytes).map_err(|problem| CheckpointError::new(&file, problem))?;
        notes.extend(loaded.notes.iter().map(|note| format!("{stem}.pkl: {note}")));
        let prefixed = |(key, tensor): (&str, &WeightTensor)| (format!("{stem}.{key}"), tensor.clone());
        for (key, tensor) in loaded.weights.iter().map(prefixed) {
            weights.insert(key, tensor);
        }
    }
    Ok(LoadedCheckpoint {
        weights,
        format: Format::TorchFolder,
        metadata: Default::default(),
        notes,
    })
}

/// Splits weights into the `.pkl` files that RIFE's PyTorch code expects, as file names and their tensors: `flownet.pkl`,
/// and if all keys begin with `flownet.`, `contextnet.` or `unet.`, one file per prefix, without the prefix.
pub fn pkl_files(weights: &Weights) -> Vec<(String, Weights)> {
    let split = |key: &str| {
        let (stem, rest) = key.split_once('.')?;
        PKL_STEMS
            .contains(&stem)
            .then(|| (stem.to_owned(), rest.to_owned()))
    };
    let mut files: BTreeMap<String, Weights> = BTreeMap::new();
    for (key, tensor) in weights.iter() {
        let Some((stem, rest)) = split(key) else {
            return vec![(format!("{}.pkl", PKL_STEMS[0]), weights.clone())];
        };
        files.entry(stem).or_default().insert(rest, tensor.clone());
    }
    let named = files
        .into_iter()
        .map(|(stem, weights)| (format!("{stem}.pkl"), weights));
    named.collect()
}

/// Reads a folder of rife-ncnn-vulkan with one or three models; the folder's name may select the version.
fn load_ncnn(path: &Path) -> Result<LoadedCheckpoint, CheckpointError> {
    let has = |model: &ncnn::Submodel| path.join(format!("{}.param", model.file)).is_file();
    let submodels: &[ncnn::Submodel] = match ncnn::OLD_MODELS.iter().filter(|model| has(model)).count() {
        1 => &ncnn::V4_MODELS,
        3 => &ncnn::OLD_MODELS,
        _ => {
            let missing = ncnn::OLD_MODELS.iter().find(|model| !has(model));
            let missing = missing.map_or(String::new(), |model| format!("{}.param", model.file));
            return Err(CheckpointError::new(path, Problem::Folder { missing }));
        }
    };
    let mut models = Vec::new();
    for submodel in submodels {
        let [param, bin] =
            ["param", "bin"].map(|extension| path.join(format!("{}.{extension}", submodel.file)));
        let text = read_file(&param, ncnn::MAX_PARAM_BYTES)?;
        let bytes = read_file(&bin, MAX_FILE_BYTES)?;
        let layers = ncnn::parse(&text).map_err(|problem| CheckpointError::new(&param, problem))?;
        let model = ncnn::read(&layers, &bytes).map_err(|problem| CheckpointError::new(&bin, problem))?;
        models.push((*submodel, model));
    }
    let folder = path.canonicalize().ok();
    let name = folder
        .as_deref()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    ncnn::assign(models, name)
        .map_err(Problem::Ncnn)
        .and_then(|raw| finish(Format::Ncnn, raw))
        .map_err(|problem| CheckpointError::new(path, problem))
}
