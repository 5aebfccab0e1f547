//! `torch.save` reader and writer: a pickle of a state_dict and the storages that its tensors are views of, in a zip archive
//! (PyTorch 1.6 and later; read and written) or in one legacy file (read only).

use std::collections::HashMap;
use std::path::Path;

use super::bytes::Cursor;
use super::element::{self, Element};
use super::error::{CheckpointError, Problem, quoted};
use super::pickle::{self, MAX_PICKLE_BYTES, Node, Pickle, Ref, Storage, View};
use super::zip::{Archive, Writer};
use super::{MAX_TENSORS, Raw};
use crate::weights::{WeightTensor, Weights};

/// First bytes of a legacy file: the pickle of the number 0x1950a86a20f9469cfc6c.
pub(super) const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Keys under which training scripts save a state_dict inside a dictionary.
const WRAPPERS: [&str; 5] = ["state_dict", "model_state_dict", "model", "params", "flownet"];

/// Maximum length of a tensor's key in bytes; RIFE's have up to 40. Bounds the memory of a pickle that repeats one string.
const MAX_KEY_BYTES: usize = 512;

/// Reason why the content of a `torch.save` file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TorchProblem {
    /// A zip archive with no or several pickles.
    #[error("the archive has {found} entries named data.pkl; one is needed")]
    NoPickle {
        /// Number of entries named `data.pkl`.
        found: usize,
    },
    /// A TorchScript archive.
    #[error("a TorchScript archive; accepted is a state_dict (torch.save(model.state_dict(), path))")]
    TorchScript,
    /// Numbers in big-endian order.
    #[error("written on a big-endian machine; accepted are little-endian files")]
    BigEndian,
    /// The saved object is no dictionary.
    #[error("it holds no dictionary of tensors")]
    NoStateDict,
    /// More tensors than the limit.
    #[error("more than {0} tensors")]
    TooManyTensors(usize),
    /// A key longer than the limit.
    #[error("the key {0} has more than {MAX_KEY_BYTES} bytes")]
    LongKey(String),
    /// A storage that is not in the file.
    #[error("{key}: its storage {storage} is not in the file")]
    MissingStorage {
        /// Key of the tensor.
        key: String,
        /// Key of the storage.
        storage: String,
    },
    /// A storage whose size differs from that in the pickle.
    #[error("storage {storage} has {found} bytes and should have {needed}")]
    StorageSize {
        /// Key of the storage.
        storage: String,
        /// Bytes by the pickle.
        needed: u64,
        /// Bytes in the file.
        found: u64,
    },
    /// A tensor that reaches outside of its storage or has more elements.
    #[error("{key} does not fit its storage of {count} values")]
    View {
        /// Key of the tensor.
        key: String,
        /// Elements of the storage.
        count: u64,
    },
    /// Tensors that share storages and together have more elements than the file has bytes.
    #[error("its tensors share storages until they outgrow the file")]
    Inflated,
    /// A section of a legacy file is missing.
    #[error("the {0} is missing or cut off")]
    CutOff(&'static str),
    /// Bytes after the last storage.
    #[error("{0} bytes follow its end")]
    LeftOver(usize),
}

use TorchProblem as Fault;

/// Reads a zip archive of `torch.save`.
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
        // Once per key, since reading an entry computes its checksum.
        if !storages.contains_key(storage.key.as_str())
            && let Some(data) = entry(&format!("data/{}", storage.key))?
        {
            storages.insert(storage.key.as_str(), data);
        }
    }
    Ok(collect(&pickle, &storages, bytes.len())?)
}

/// Returns the name, with its slash, of the archive's folder that holds `data.pkl`.
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

/// Reads a legacy file: pickles of a magic number, a version, system information, the state_dict and the list of storage
/// keys, then the element count (u64) and bytes of each storage in that order.
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

/// Reports whether the system information of a legacy file says little-endian.
fn is_little_endian(machine: &Pickle) -> bool {
    let Node::Dict(items) = machine.node(machine.root) else {
        return false;
    };
    let order = items
        .iter()
        .find(|(key, _)| machine.text(*key) == Some("little_endian"));
    order.is_some_and(|&(_, value)| *machine.node(value) == Node::Bool(true))
}

/// Splits the data after a legacy file's pickles into storages by key.
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

/// Copies the tensors of the state_dict out of their storages.
fn collect(pickle: &Pickle, storages: &HashMap<&str, &[u8]>, file_bytes: usize) -> Result<Raw, Fault> {
    let mut raw = Raw::default();
    // An element takes at least a byte, so only views that share a storage exceed this.
    let mut budget = file_bytes as u64;
    for &(key, value) in find_state_dict(pickle)? {
        let key = pickle.text(key).ok_or(Fault::NoStateDict)?;
        if key.len() > MAX_KEY_BYTES {
            return Err(Fault::LongKey(quoted(key)));
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

/// Returns keys and values of the state_dict: the root dictionary if it has tensors, else a dictionary in it under one of
/// [`WRAPPERS`].
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

/// Returns a tensor's storage.
fn storage_of<'a>(pickle: &'a Pickle, view: &View) -> Option<&'a Storage> {
    match pickle.node(view.storage) {
        Node::Storage(storage) => Some(storage),
        _ => None,
    }
}

/// Returns a tensor's element type, an integer type for a tensor without storage.
fn element_of(pickle: &Pickle, view: &View) -> Element {
    storage_of(pickle, view).map_or(Element::Integer(1), |storage| storage.element)
}

/// Copies one tensor out of its storage after checking that it fits.
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
            key: quoted(key),
            storage: quoted(&storage.key),
        })?;
    check_storage(storage, data)?;
    let count = (data.len() / storage.element.size()) as u64;
    let outside = || Fault::View {
        key: quoted(key),
        count,
    };
    let values = check_view(view, count).ok_or_else(outside)?;
    Ok(WeightTensor {
        shape: element::shape(&view.shape),
        data: pick(storage.element, data, view, values),
    })
}

/// Checks that a storage has as many bytes as the pickle claims.
fn check_storage(storage: &Storage, data: &[u8]) -> Result<(), Fault> {
    let found = data.len() as u64;
    let needed = storage.count.saturating_mul(storage.element.size() as u64);
    if needed != found {
        let storage = quoted(&storage.key);
        return Err(Fault::StorageSize {
            storage,
            needed,
            found,
        });
    }
    Ok(())
}

/// Returns the number of elements of a view; `None` if it reaches outside of a storage of `count` elements or has more
/// elements than it.
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

/// Gathers the `values` elements of a checked view from a storage's bytes, in row-major order.
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

/// Reports whether a view's elements are consecutive in row-major order.
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

/// Advances a multi-dimensional index in row-major order, and `at`, its position in the storage.
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

/// Writes `weights` in the format of `torch.save(state_dict)`, f32, readable by `torch.load(path, weights_only=True)`;
/// atomically replaces `path`.
///
/// # Errors
/// [`Problem::Io`]; [`Problem::TooLong`] beyond the 4 GiB or 65,535 entries of 32-bit zip.
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

/// Encodes the zip archive; `None` if it exceeds 32-bit zip or the pickle [`MAX_PICKLE_BYTES`].
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

/// Encodes the pickle (protocol 2) of an OrderedDict of tensors, each with a storage named by its index; `None` if a number
/// exceeds an i32.
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

/// Appends a string (BINUNICODE).
fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

/// Appends an integer (BININT); `None` if it exceeds an i32.
fn number(pickle: &mut Vec<u8>, number: usize) -> Option<()> {
    pickle.push(b'J');
    pickle.extend(i32::try_from(number).ok()?.to_le_bytes());
    Some(())
}

/// Appends a tuple of integers (MARK, TUPLE); `None` if one exceeds an i32.
fn tuple(pickle: &mut Vec<u8>, numbers: impl Iterator<Item = usize>) -> Option<()> {
    pickle.push(b'(');
    for n in numbers {
        number(pickle, n)?;
    }
    pickle.push(b't');
    Some(())
}
