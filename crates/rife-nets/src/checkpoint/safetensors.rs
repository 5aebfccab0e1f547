//! Safetensors reader and writer: a `.safetensors` file is the header's length (u64, little-endian), a JSON header of types,
//! shapes and offsets, and the tensors' bytes without gaps.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use half::f16;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::element::{self, Element};
use super::error::{CheckpointError, Problem, quoted};
use super::{MAX_RANK, MAX_TENSORS, Raw};
use crate::weights::{WeightTensor, Weights};

/// Maximum size of the header in bytes: room for [`MAX_TENSORS`] long keys.
const MAX_HEADER_BYTES: u64 = 8 << 20;

/// Header key of the metadata.
const METADATA: &str = "__metadata__";

/// Reason why a `.safetensors` file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsProblem {
    /// A header longer than the limit.
    #[error("a header of {found} bytes, more than the {limit} that are read")]
    HeaderTooLong {
        /// Bytes announced.
        found: u64,
        /// Bytes accepted.
        limit: u64,
    },
    /// The file ends inside its header.
    #[error("a header of {announced} bytes is announced, {left} are there")]
    HeaderTruncated {
        /// Bytes announced.
        announced: u64,
        /// Bytes present.
        left: usize,
    },
    /// The header is invalid JSON or has other fields; with the parser's message.
    #[error("its header: {0}")]
    Header(String),
    /// More tensors than the limit.
    #[error("more than {0} tensors")]
    TooManyTensors(usize),
    /// A duplicate key.
    #[error("the key {0} occurs twice in its header")]
    DuplicateKey(String),
    /// An unknown element type.
    #[error("{key} has the type {dtype}; read are F32, F16, BF16 and F64")]
    Dtype {
        /// The tensor.
        key: String,
        /// Name of the type.
        dtype: String,
    },
    /// A shape whose element count exceeds 64 bits, or with too many dimensions.
    #[error("{key} has an impossible shape of {dimensions} dimensions")]
    Shape {
        /// The tensor.
        key: String,
        /// Number of dimensions.
        dimensions: usize,
    },
    /// A tensor whose offsets do not match its shape and type.
    #[error("{key} needs {needed} bytes by its shape and has {found}")]
    Size {
        /// The tensor.
        key: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes between the offsets.
        found: u64,
    },
    /// An end offset before the begin offset.
    #[error("{key} ends at {end}, before it begins at {begin}")]
    Reversed {
        /// The tensor.
        key: String,
        /// Its first byte.
        begin: u64,
        /// One past its last.
        end: u64,
    },
    /// Two tensors that share bytes.
    #[error("{key} begins at byte {begin}, inside the tensor before it, which ends at {before}")]
    Overlap {
        /// Key of the later tensor.
        key: String,
        /// Its first byte.
        begin: u64,
        /// End of the tensor before.
        before: u64,
    },
    /// Bytes that belong to no tensor.
    #[error("bytes {begin} to {end} belong to no tensor")]
    Hole {
        /// Index of the first of them.
        begin: u64,
        /// Index after the last.
        end: u64,
    },
    /// A tensor beyond the end of the file.
    #[error("{key} ends at byte {end} of {length}: the file is cut off")]
    PastEnd {
        /// The tensor.
        key: String,
        /// One past its last byte.
        end: u64,
        /// Bytes of tensor data in the file.
        length: u64,
    },
}

use SafetensorsProblem as Fault;

/// A tensor's entry of the JSON header.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The JSON header with duplicate keys preserved, so that [`parse`] can refuse them; `too_many` is set when it has more than
/// [`MAX_TENSORS`] entries, the rest then being skipped.
#[derive(Debug, Default)]
struct Header {
    tensors: Vec<(String, Entry)>,
    metadata: Vec<BTreeMap<String, String>>,
    too_many: bool,
}

impl<'de> Deserialize<'de> for Header {
    /// Reads the JSON object, keeping duplicate keys.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Serde visitor of the header's JSON object.
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Header;

            /// Writes what serde's error messages say was expected.
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            /// Collects the entries of the JSON object, at most [`MAX_TENSORS`].
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(key) = map.next_key::<String>()? {
                    header.too_many = header.tensors.len() + header.metadata.len() >= MAX_TENSORS;
                    if header.too_many {
                        map.next_value::<IgnoredAny>()?;
                    } else if key == METADATA {
                        header.metadata.push(map.next_value()?);
                    } else {
                        header.tensors.push((key, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// A checked entry of the header; `begin` and `end` are byte offsets in the data.
struct Extent {
    key: String,
    element: Element,
    shape: Vec<u64>,
    begin: u64,
    end: u64,
}

/// Reads a file of at least nine bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Raw, Fault> {
    let (header, data) = split(bytes)?;
    let header = parse(header)?;
    let mut extents: Vec<Extent> = header.tensors.into_iter().map(extent).collect::<Result<_, _>>()?;
    extents.sort_by_key(|extent| (extent.begin, extent.end));
    check_cover(&extents, data.len() as u64)?;
    let mut raw = Raw {
        metadata: header.metadata.into_iter().next().unwrap_or_default(),
        ..Raw::default()
    };
    for extent in extents {
        if !extent.element.is_float() {
            raw.skipped.push(extent.key);
            continue;
        }
        let tensor = WeightTensor {
            shape: element::shape(&extent.shape),
            data: extent
                .element
                .values(&data[extent.begin as usize..extent.end as usize]),
        };
        raw.tensors.push((extent.key, tensor));
    }
    Ok(raw)
}

/// Splits a file into header and tensor data.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let (announced, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let announced = u64::from_le_bytes(*announced);
    if announced > MAX_HEADER_BYTES {
        return Err(Fault::HeaderTooLong {
            found: announced,
            limit: MAX_HEADER_BYTES,
        });
    }
    rest.split_at_checked(announced as usize)
        .ok_or(Fault::HeaderTruncated {
            announced,
            left: rest.len(),
        })
}

/// Parses the JSON header and refuses duplicate keys.
fn parse(header: &[u8]) -> Result<Header, Fault> {
    let parsed: Header =
        serde_json::from_slice(header).map_err(|error| Fault::Header(quoted(&error.to_string())))?;
    if parsed.too_many {
        return Err(Fault::TooManyTensors(MAX_TENSORS));
    }
    let mut seen = HashSet::new();
    let twice = parsed.tensors.iter().find(|(key, _)| !seen.insert(key.as_str()));
    if let Some((key, _)) = twice {
        return Err(Fault::DuplicateKey(quoted(key)));
    }
    if parsed.metadata.len() > 1 {
        return Err(Fault::DuplicateKey(METADATA.into()));
    }
    Ok(parsed)
}

/// Checks an entry of the header: its type, shape, and that its offsets match them.
fn extent((key, entry): (String, Entry)) -> Result<Extent, Fault> {
    let element = element_of(&entry.dtype).ok_or_else(|| Fault::Dtype {
        key: quoted(&key),
        dtype: quoted(&entry.dtype),
    })?;
    let needed = element::count(&entry.shape)
        .and_then(|count| count.checked_mul(element.size() as u64))
        .filter(|_| entry.shape.len() <= MAX_RANK)
        .ok_or_else(|| Fault::Shape {
            key: quoted(&key),
            dimensions: entry.shape.len(),
        })?;
    let [begin, end] = entry.data_offsets;
    let found = end.checked_sub(begin).ok_or_else(|| Fault::Reversed {
        key: quoted(&key),
        begin,
        end,
    })?;
    if needed != found {
        let key = quoted(&key);
        return Err(Fault::Size { key, needed, found });
    }
    Ok(Extent {
        key,
        element,
        shape: entry.shape,
        begin,
        end,
    })
}

/// Maps the name of a safetensors type to an element type; `None` for an unknown one.
fn element_of(dtype: &str) -> Option<Element> {
    Some(match dtype {
        "F16" => Element::F16,
        "BF16" => Element::Bf16,
        "F32" => Element::F32,
        "F64" => Element::F64,
        "BOOL" | "U8" | "I8" => Element::Integer(1),
        "U16" | "I16" => Element::Integer(2),
        "U32" | "I32" => Element::Integer(4),
        "U64" | "I64" => Element::Integer(8),
        _ => return None,
    })
}

/// Checks that the tensors, sorted by offset, cover the data of `length` bytes without gaps or overlaps, as the format
/// requires.
fn check_cover(extents: &[Extent], length: u64) -> Result<(), Fault> {
    let mut covered = 0;
    for extent in extents {
        let (key, begin, end) = (|| quoted(&extent.key), extent.begin, extent.end);
        if end > length {
            return Err(Fault::PastEnd {
                key: key(),
                end,
                length,
            });
        }
        if begin < covered {
            let before = covered;
            return Err(Fault::Overlap {
                key: key(),
                begin,
                before,
            });
        }
        if begin > covered {
            return Err(Fault::Hole {
                begin: covered,
                end: begin,
            });
        }
        covered = end;
    }
    if covered < length {
        return Err(Fault::Hole {
            begin: covered,
            end: length,
        });
    }
    Ok(())
}

/// Element type of written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// Half precision, rounded to nearest even.
    F16,
    /// Single precision, exact.
    F32,
}

impl Dtype {
    /// Returns the name of the type in a safetensors header.
    fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::F32 => "F32",
        }
    }

    /// Returns the size of an element in bytes.
    fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// Appends a value in this type, little-endian.
    pub(crate) fn append(self, value: f32, bytes: &mut Vec<u8>) {
        match self {
            Self::F16 => bytes.extend(f16::from_f32(value).to_le_bytes()),
            Self::F32 => bytes.extend(value.to_le_bytes()),
        }
    }
}

/// Writes `weights` as `.safetensors`, atomically replacing `path`; keys are sorted, so that equal weights give equal files.
///
/// # Errors
/// [`Problem::Io`]; [`Problem::BeyondF16`] when a finite value would become infinite.
pub fn save_safetensors(
    path: &Path,
    weights: &Weights,
    dtype: Dtype,
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    encode(weights, dtype, metadata)
        .and_then(|bytes| rife_files::replace(path, &bytes).map_err(Problem::Io))
        .map_err(|problem| CheckpointError::new(path, problem))
}

/// Encodes a `.safetensors` file in memory.
fn encode(weights: &Weights, dtype: Dtype, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>, Problem> {
    check_range(weights, dtype)?;
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert(METADATA.into(), json!(metadata));
    }
    let mut data = Vec::new();
    for (key, tensor) in weights.iter() {
        let begin = data.len();
        data.reserve(tensor.data.len() * dtype.size());
        tensor
            .data
            .iter()
            .for_each(|&value| dtype.append(value, &mut data));
        let entry =
            json!({"dtype": dtype.name(), "shape": tensor.shape, "data_offsets": [begin, data.len()]});
        header.insert(key.into(), entry);
    }
    let mut text = Value::Object(header).to_string();
    // The format requires 8-byte alignment of the data; the header is padded with spaces.
    text.extend(std::iter::repeat_n(
        ' ',
        text.len().next_multiple_of(8) - text.len(),
    ));
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes.append(&mut data);
    Ok(bytes)
}

/// Checks that all finite values are finite in `dtype`.
pub(crate) fn check_range(weights: &Weights, dtype: Dtype) -> Result<(), Problem> {
    weights
        .iter()
        .try_for_each(|(key, tensor)| check_tensor_range(key, tensor, dtype))
}

/// Checks one tensor for [`check_range`].
fn check_tensor_range(key: &str, tensor: &WeightTensor, dtype: Dtype) -> Result<(), Problem> {
    let beyond = |&value: &f32| value.is_finite() && f16::from_f32(value).is_infinite();
    match tensor.data.iter().position(beyond) {
        Some(index) if dtype == Dtype::F16 => Err(Problem::BeyondF16 {
            key: key.to_owned(),
            index,
            value: tensor.data[index],
        }),
        _ => Ok(()),
    }
}
