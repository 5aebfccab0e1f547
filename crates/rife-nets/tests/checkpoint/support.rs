//! Fixtures and helpers for the tests of all checkpoint formats.

use std::path::PathBuf;

use rife_nets::{WeightTensor, Weights};
use rife_testing::Need;

/// Returns the path of a file made by `fixtures/make.py`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name]
        .iter()
        .collect()
}

/// Returns the folder `shared` of reference data; `None` if it is absent.
pub(crate) fn shared() -> Option<PathBuf> {
    let beside = || {
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared"]
            .iter()
            .collect()
    };
    let folder = std::env::var_os("RIFE_SHARED").map_or_else(beside, PathBuf::from);
    let found = folder.is_dir();
    Need::Reference
        .is_met(found, format!("{} is not here", folder.display()))
        .then_some(folder)
}

/// Makes a tensor whose value number `i` is `i / 4 - 3`.
pub(crate) fn counted(shape: &[usize]) -> WeightTensor {
    WeightTensor {
        shape: shape.to_vec(),
        data: (0..shape.iter().product())
            .map(|i: usize| i as f32 / 4.0 - 3.0)
            .collect(),
    }
}

/// Returns the weights that the fixtures contain.
pub(crate) fn conv_weights() -> Weights {
    let tensors = [
        ("conv.weight", counted(&[2, 3, 3, 3])),
        ("conv.bias", counted(&[2])),
    ];
    tensors
        .into_iter()
        .map(|(key, tensor)| (key.to_owned(), tensor))
        .collect()
}

/// Builder of zip archives of stored entries, including malformed ones.
#[derive(Default)]
pub(crate) struct Zip {
    pub(crate) bytes: Vec<u8>,
    pub(crate) directory: Vec<u8>,
    pub(crate) entries: u16,
}

/// Fields of an entry in the archive.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) attributes: u32,
    pub(crate) claimed: u32,
    pub(crate) offset: Option<u32>,
}

impl<'a> Entry<'a> {
    pub(crate) fn stored(name: &'a str, data: &'a [u8]) -> Self {
        let claimed = data.len() as u32;
        let (method, flags, attributes, offset) = (0, 0, 0, None);
        Self {
            name,
            data,
            method,
            flags,
            attributes,
            claimed,
            offset,
        }
    }
}

impl Zip {
    pub(crate) fn with(mut self, entry: &Entry<'_>) -> Self {
        let offset = entry.offset.unwrap_or(self.bytes.len() as u32);
        let mut fields = vec![20, 0];
        fields.extend(entry.flags.to_le_bytes());
        fields.extend(entry.method.to_le_bytes());
        fields.extend([0; 4]);
        fields.extend(crc32(entry.data).to_le_bytes());
        fields.extend((entry.data.len() as u32).to_le_bytes());
        fields.extend(entry.claimed.to_le_bytes());
        fields.extend((entry.name.len() as u16).to_le_bytes());
        fields.extend([0; 2]);
        self.bytes
            .extend([b"PK\x03\x04", &fields[..], entry.name.as_bytes(), entry.data].concat());
        self.directory
            .extend([b"PK\x01\x02\x14\0", &fields[..], &[0; 6]].concat());
        self.directory.extend(entry.attributes.to_le_bytes());
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(entry.name.as_bytes());
        self.entries += 1;
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend(self.entries.to_le_bytes());
        end.extend(self.entries.to_le_bytes());
        end.extend((self.directory.len() as u32).to_le_bytes());
        end.extend((self.bytes.len() as u32).to_le_bytes());
        end.extend([0; 2]);
        [self.bytes, self.directory, end].concat()
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xedb8_8320
        } else {
            crc >> 1
        }
    };
    !bytes
        .iter()
        .fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), bit))
}
