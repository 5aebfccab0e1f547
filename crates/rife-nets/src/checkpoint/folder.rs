//! Folders with a network in more than one file: which files there are, and the old keys of each.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{CheckpointError, Problem};
use super::{Format, LoadedCheckpoint, MAX_FILE_BYTES, finish, load_bytes, ncnn, read_file};
use crate::weights::{WeightTensor, Weights};

/// The `.pkl` files of RIFE before 4.0; each's name is its keys' prefix.
const PKL_PARTS: [&str; 3] = ["flownet", "contextnet", "unet"];

/// Reads the network in a folder.
pub(super) fn load(path: &Path) -> Result<LoadedCheckpoint, CheckpointError> {
    let has = |name: &str| path.join(name).is_file();
    if has("flownet.param") {
        return load_ncnn(path);
    }
    if !has("flownet.pkl") {
        let missing = "flownet.pkl or flownet.param".to_owned();
        return Err(CheckpointError::new(path, Problem::Folder { missing }));
    }
    let pkl = |part: &&str| has(&format!("{part}.pkl"));
    match PKL_PARTS.iter().filter(|part| pkl(part)).count() {
        1 => super::load(&path.join("flownet.pkl")),
        3 => load_parts(path),
        _ => {
            let missing: Vec<_> = PKL_PARTS.iter().filter(|part| !pkl(part)).collect();
            let missing = format!("{}.pkl", missing[0]);
            Err(CheckpointError::new(path, Problem::Folder { missing }))
        }
    }
}

fn load_parts(path: &Path) -> Result<LoadedCheckpoint, CheckpointError> {
    let (mut weights, mut notes) = (Weights::new(), Vec::new());
    for part in PKL_PARTS {
        let file = path.join(format!("{part}.pkl"));
        let bytes = read_file(&file, MAX_FILE_BYTES)?;
        let loaded = load_bytes(&bytes).map_err(|problem| CheckpointError::new(&file, problem))?;
        notes.extend(loaded.notes.iter().map(|note| format!("{part}.pkl: {note}")));
        let prefixed = |(key, tensor): (&str, &WeightTensor)| (format!("{part}.{key}"), tensor.clone());
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

/// The files in which RIFE's own code keeps these weights, by name: `flownet.pkl`, or one a part where the keys
/// are those of a network in three.
pub fn pkl_files(weights: &Weights) -> Vec<(String, Weights)> {
    let part_of = |key: &str| {
        let (part, rest) = key.split_once('.')?;
        PKL_PARTS
            .contains(&part)
            .then(|| (part.to_owned(), rest.to_owned()))
    };
    let mut parts: BTreeMap<String, Weights> = BTreeMap::new();
    for (key, tensor) in weights.iter() {
        let Some((part, rest)) = part_of(key) else {
            return vec![(format!("{}.pkl", PKL_PARTS[0]), weights.clone())];
        };
        parts.entry(part).or_default().insert(rest, tensor.clone());
    }
    let named = parts
        .into_iter()
        .map(|(part, weights)| (format!("{part}.pkl"), weights));
    named.collect()
}

fn load_ncnn(path: &Path) -> Result<LoadedCheckpoint, CheckpointError> {
    let has = |part: &ncnn::Part| path.join(format!("{}.param", part.file)).is_file();
    let parts: &[ncnn::Part] = match ncnn::PARTS.iter().filter(|part| has(part)).count() {
        1 => &ncnn::WHOLE,
        3 => &ncnn::PARTS,
        _ => {
            let missing = ncnn::PARTS.iter().find(|part| !has(part));
            let missing = missing.map_or(String::new(), |part| format!("{}.param", part.file));
            return Err(CheckpointError::new(path, Problem::Folder { missing }));
        }
    };
    let mut models = Vec::new();
    for part in parts {
        let [param, bin] = ["param", "bin"].map(|extension| path.join(format!("{}.{extension}", part.file)));
        let text = read_file(&param, ncnn::MAX_PARAM_BYTES)?;
        let bytes = read_file(&bin, MAX_FILE_BYTES)?;
        let layers = ncnn::parse(&text).map_err(|problem| CheckpointError::new(&param, problem))?;
        let model = ncnn::read(&layers, &bytes).map_err(|problem| CheckpointError::new(&bin, problem))?;
        models.push((*part, model));
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
