//! `torch.save` files: the zip archives of PyTorch 1.6 and later and the plain files before, read into tensors
//! by way of the pickle inside; and the writer of the newer form.

use std::collections::HashMap;
use std::path::Path;

use super::bytes::Cursor;
use super::element::{self, Element};
use super::error::{CheckpointError, Problem, shown};
use super::pickle::{self, MAX_PICKLE_BYTES, Node, Pickle, Ref, Storage, View};
use super::zip::{Archive, Writer};
use super::{MAX_TENSORS, Raw};
use crate::weights::{WeightTensor, Weights};

/// How a file before PyTorch 1.6 begins: a pickle of the number 0x1950a86a20f9469cfc6c.
pub(super) const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// What training scripts call the state_dict inside what they save.
const WRAPPERS: [&str; 5] = ["state_dict", "model_state_dict", "model", "params", "flownet"];

/// Longest key of a tensor; a RIFE's has 40 bytes. A pickle can repeat one text any number of times.
const MAX_KEY_BYTES: usize = 512;

/// What is wrong with the tensors of a `torch.save` file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TorchProblem {
    /// A zip archive without a state_dict.
    #[error("the archive has {found} entries named data.pkl; one is needed")]
    NoPickle {
        /// How many there are.
        found: usize,
    },
    /// A TorchScript archive.
    #[error("a TorchScript archive; accepted is a state_dict (torch.save(model.state_dict(), path))")]
    TorchScript,
    /// Numbers the wrong way round.
    #[error("written on a big-endian machine; accepted are little-endian files")]
    BigEndian,
    /// Something else than a dictionary was saved.
    #[error("it holds no dictionary of tensors")]
    NoStateDict,
    /// More tensors than any RIFE has.
    #[error("more than {0} tensors")]
    TooManyTensors(usize),
    /// A key longer than any RIFE's.
    #[error("the key {0} has more than {MAX_KEY_BYTES} bytes")]
    LongKey(String),
    /// A storage that the file does not hold.
    #[error("{key}: its storage {storage} is not in the file")]
    MissingStorage {
        /// The tensor.
        key: String,
        /// The storage.
        storage: String,
    },
    /// A storage of another length than the pickle says.
    #[error("storage {storage} has {found} bytes and should have {needed}")]
    StorageSize {
        /// The storage.
        storage: String,
        /// Bytes it should have.
        needed: u64,
        /// Bytes it has.
        found: u64,
    },
    /// A tensor that reaches outside its storage, or repeats parts of it.
    #[error("{key} does not fit its storage of {count} values")]
    View {
        /// The tensor.
        key: String,
        /// Values of the storage.
        count: u64,
    },
    /// Tensors that together are far larger than the file.
    #[error("its tensors share storages until they outgrow the file")]
    Inflated,
    /// A part of the older form is missing.
    #[error("the {0} is missing or cut off")]
    CutOff(&'static str),
    /// Bytes after the end.
    #[error("{0} bytes follow its end")]
    LeftOver(usize),
}

use TorchProblem as Fault;

/// Reads the zip form.
pub(super) fn read_zip(bytes: &[u8]) -> Result<Raw, Problem> {
    let archive = Archive::open(bytes)?;
    let folder = find_folder(&archive)?;
    let entry = |name: &str| archive.get(&format!("{folder}{name}"));
    if entry("byteorder")?.is_some_and(|order| order.trim_ascii() != b"little") {
        return Err(Fault::BigEndian.into());
    }
    let pickle = pickle::read(entry("data.pkl")?.unwrap_or_default())?;
    let mut storages = HashMap::new();
    for storage in pickle.storages() {
        // Each key once: it is its entry's checksum that takes time.
        if !storages.contains_key(storage.key.as_str())
            && let Some(data) = entry(&format!("data/{}", storage.key))?
        {
            storages.insert(storage.key.as_str(), data);
        }
    }
    Ok(collect(&pickle, &storages, bytes.len())?)
}

/// The one folder that the archive's entries are in.
fn find_folder<'a>(archive: &Archive<'a>) -> Result<&'a str, Fault> {
    let folder = |name: &'a str| {
        name.strip_suffix("data.pkl")
            .filter(|folder| folder.ends_with('/'))
    };
    let folders: Vec<_> = archive.names().filter_map(folder).collect();
    let [folder] = folders[..] else {
        return Err(Fault::NoPickle { found: folders.len() });
    };
    let script = format!("{folder}constants.pkl");
    if archive.names().any(|name| name == script) {
        return Err(Fault::TorchScript);
    }
    Ok(folder)
}

/// Reads the form before PyTorch 1.6: pickles of a number, a version, the machine, the tensors and the storages'
/// keys, then each storage's count and bytes.
pub(super) fn read_legacy(bytes: &[u8]) -> Result<Raw, Problem> {
    let mut rest = &bytes[LEGACY_MAGIC.len()..];
    let mut next = || -> Result<Pickle, Problem> {
        let pickle = pickle::read(rest)?;
        rest = &rest[pickle.length..];
        Ok(pickle)
    };
    let _version = next()?;
    let machine = next()?;
    if !is_little_endian(&machine) {
        return Err(Fault::BigEndian.into());
    }
    let (tensors, keys) = (next()?, next()?);
    let storages = legacy_storages(&tensors, &keys, rest)?;
    Ok(collect(&tensors, &storages, bytes.len())?)
}

fn is_little_endian(machine: &Pickle) -> bool {
    let Node::Dict(items) = machine.node(machine.root) else {
        return false;
    };
    let order = items
        .iter()
        .find(|(key, _)| machine.text(*key) == Some("little_endian"));
    order.is_some_and(|&(_, value)| *machine.node(value) == Node::Bool(true))
}

fn legacy_storages<'a>(
    tensors: &'a Pickle,
    keys: &Pickle,
    data: &'a [u8],
) -> Result<HashMap<&'a str, &'a [u8]>, Fault> {
    let named: HashMap<&str, &Storage> = tensors.storages().map(|s| (s.key.as_str(), s)).collect();
    let Node::List(keys_in_order) = keys.node(keys.root) else {
        return Err(Fault::CutOff("list of storages"));
    };
    let mut cursor = Cursor::new(data);
    let mut storages = HashMap::new();
    for &key in keys_in_order {
        let (&key, storage) = keys
            .text(key)
            .and_then(|key| named.get_key_value(key))
            .ok_or(Fault::CutOff("description of a storage"))?;
        let count = cursor.u64().ok_or(Fault::CutOff("data of a storage"))?;
        let length = count.checked_mul(storage.element.size() as u64);
        let length = length.and_then(|length| usize::try_from(length).ok());
        let bytes = length.and_then(|length| cursor.take(length));
        storages.insert(key, bytes.ok_or(Fault::CutOff("data of a storage"))?);
    }
    match cursor.left() {
        0 => Ok(storages),
        left => Err(Fault::LeftOver(left)),
    }
}

/// The tensors of a state_dict, each copied out of its storage.
fn collect(pickle: &Pickle, storages: &HashMap<&str, &[u8]>, file_bytes: usize) -> Result<Raw, Fault> {
    let mut raw = Raw::default();
    // A value takes a byte at least, so only repetition can make more values than the file has bytes.
    let mut budget = file_bytes as u64;
    for &(key, value) in find_state_dict(pickle)? {
        let key = pickle.text(key).ok_or(Fault::NoStateDict)?;
        if key.len() > MAX_KEY_BYTES {
            return Err(Fault::LongKey(shown(key)));
        }
        let view = match pickle.node(value) {
            Node::Tensor(view) if element_of(pickle, view).is_float() => view,
            _ => {
                raw.skipped.push(key.to_owned());
                continue;
            }
        };
        if raw.tensors.len() == MAX_TENSORS {
            return Err(Fault::TooManyTensors(MAX_TENSORS));
        }
        let values = element::count(&view.shape).unwrap_or(u64::MAX);
        let tensor = copy(key, pickle, view, storages)?;
        budget = budget.checked_sub(values).ok_or(Fault::Inflated)?;
        raw.tensors.push((key.to_owned(), tensor));
    }
    Ok(raw)
}

/// The root, or what a training script put beside an epoch and an optimiser.
fn find_state_dict(pickle: &Pickle) -> Result<&[(Ref, Ref)], Fault> {
    let Node::Dict(items) = pickle.node(pickle.root) else {
        return Err(Fault::NoStateDict);
    };
    let is_tensor = |&(_, value): &(Ref, Ref)| matches!(pickle.node(value), Node::Tensor(_));
    if items.iter().any(is_tensor) {
        return Ok(items);
    }
    let inside = |name: &&str| {
        let (_, value) = items.iter().find(|(key, _)| pickle.text(*key) == Some(name))?;
        match pickle.node(*value) {
            Node::Dict(items) => Some(items.as_slice()),
            _ => None,
        }
    };
    Ok(WRAPPERS.iter().find_map(inside).unwrap_or(items))
}

fn storage_of<'a>(pickle: &'a Pickle, view: &View) -> Option<&'a Storage> {
    match pickle.node(view.storage) {
        Node::Storage(storage) => Some(storage),
        _ => None,
    }
}

fn element_of(pickle: &Pickle, view: &View) -> Element {
    storage_of(pickle, view).map_or(Element::Whole(1), |storage| storage.element)
}

fn copy(
    key: &str,
    pickle: &Pickle,
    view: &View,
    storages: &HashMap<&str, &[u8]>,
) -> Result<WeightTensor, Fault> {
    let storage = storage_of(pickle, view).ok_or(Fault::NoStateDict)?;
    let data = *storages
        .get(storage.key.as_str())
        .ok_or_else(|| Fault::MissingStorage {
            key: shown(key),
            storage: shown(&storage.key),
        })?;
    check_storage(storage, data)?;
    let count = (data.len() / storage.element.size()) as u64;
    let outside = || Fault::View {
        key: shown(key),
        count,
    };
    let values = check_view(view, count).ok_or_else(outside)?;
    Ok(WeightTensor {
        shape: element::shape(&view.shape),
        data: pick(storage.element, data, view, values),
    })
}

fn check_storage(storage: &Storage, data: &[u8]) -> Result<(), Fault> {
    let found = data.len() as u64;
    let needed = storage.count.saturating_mul(storage.element.size() as u64);
    if needed != found {
        let storage = shown(&storage.key);
        return Err(Fault::StorageSize {
            storage,
            needed,
            found,
        });
    }
    Ok(())
}

/// How many values the view has, all of them inside a storage of `count`, which also has no fewer.
fn check_view(view: &View, count: u64) -> Option<u64> {
    let values = element::count(&view.shape)?;
    if values == 0 {
        return Some(0);
    }
    let reach = view.shape.iter().zip(&view.strides);
    let mut reach = reach.map(|(size, stride)| (size - 1).checked_mul(*stride));
    let last = reach.try_fold(view.offset, |last, reach| last.checked_add(reach?))?;
    (last < count && values <= count).then_some(values)
}

fn pick(element: Element, data: &[u8], view: &View, values: u64) -> Vec<f32> {
    let offset = view.offset as usize;
    if values == 0 {
        return Vec::new();
    }
    if is_contiguous(view) {
        let size = element.size();
        return element.values(&data[offset * size..][..values as usize * size]);
    }
    let mut index = vec![0; view.shape.len()];
    let mut at = offset;
    (0..values)
        .map(|_| {
            let value = element.value(data, at);
            advance(&mut index, &mut at, view);
            value
        })
        .collect()
}

fn is_contiguous(view: &View) -> bool {
    let mut expected = 1;
    view.shape
        .iter()
        .zip(&view.strides)
        .rev()
        .all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
}

/// Moves to the next index in row-major order and `at` with it.
fn advance(index: &mut [u64], at: &mut usize, view: &View) {
    for (axis, index) in index.iter_mut().enumerate().rev() {
        *index += 1;
        *at += view.strides[axis] as usize;
        if *index < view.shape[axis] {
            return;
        }
        *at -= (view.strides[axis] * *index) as usize;
        *index = 0;
    }
}

/// Writes `weights` as `torch.save` would write their state_dict, f32, for `torch.load(path,
/// weights_only=True)`. `path` is replaced only by the complete file.
///
/// # Errors
/// [`Problem::Io`]; [`Problem::TooLong`] past the 4 GiB and 65,535 tensors of 32-bit zip.
pub fn save_pkl(path: &Path, weights: &Weights) -> Result<(), CheckpointError> {
    let too_long = || Problem::TooLong {
        found: weights
            .iter()
            .map(|(_, tensor)| 4 * tensor.data.len() as u64)
            .sum(),
        limit: u32::MAX.into(),
    };
    archive(weights)
        .ok_or_else(too_long)
        .and_then(|bytes| rife_files::replace(path, &bytes).map_err(Problem::Io))
        .map_err(|problem| CheckpointError::new(path, problem))
}

fn archive(weights: &Weights) -> Option<Vec<u8>> {
    let pickle = state_dict(weights)?;
    (pickle.len() < MAX_PICKLE_BYTES).then_some(())?;
    let mut archive = Writer::default();
    archive.add("archive/data.pkl", &pickle)?;
    archive.add("archive/byteorder", b"little")?;
    for (index, (_, tensor)) in weights.iter().enumerate() {
        let data: Vec<u8> = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        archive.add(&format!("archive/data/{index}"), &data)?;
    }
    archive.add("archive/version", b"3\n")?;
    archive.finish()
}

/// The pickle of an OrderedDict of tensors, one storage each, numbered in order.
fn state_dict(weights: &Weights) -> Option<Vec<u8>> {
    let mut pickle = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
    for (index, (key, tensor)) in weights.iter().enumerate() {
        text(&mut pickle, key);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &index.to_string());
        text(&mut pickle, "cpu");
        number(&mut pickle, tensor.data.len())?;
        pickle.extend(b"tQ");
        number(&mut pickle, 0)?;
        let sizes = || tensor.shape.iter().copied();
        tuple(&mut pickle, sizes())?;
        let strides = (0..tensor.shape.len()).map(|axis| tensor.shape[axis + 1..].iter().product());
        tuple(&mut pickle, strides)?;
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    Some(pickle)
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn number(pickle: &mut Vec<u8>, number: usize) -> Option<()> {
    pickle.push(b'J');
    pickle.extend(i32::try_from(number).ok()?.to_le_bytes());
    Some(())
}

fn tuple(pickle: &mut Vec<u8>, numbers: impl Iterator<Item = usize>) -> Option<()> {
    pickle.push(b'(');
    for n in numbers {
        number(pickle, n)?;
    }
    pickle.push(b't');
    Some(())
}
