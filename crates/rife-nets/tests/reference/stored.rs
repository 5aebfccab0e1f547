//! Reference data of the published networks, if it is present: tensor descriptions and outputs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rife_nets::Image;
use rife_testing::Need;

/// Returns the folder of reference outputs; prints a line and returns `None` if it is absent.
pub(crate) fn reference_dir() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("RIFE_SHARED").map_or_else(beside, PathBuf::from);
    let dir = shared.join("reference");
    let found = dir.is_dir();
    Need::Reference
        .is_met(found, format!("no reference outputs at {}", dir.display()))
        .then_some(dir)
}

/// Lists the versions with stored outputs.
pub(crate) fn versions(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|e| e == "safetensors"));
    let mut names: Vec<_> = files
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Arrays of one `.safetensors` file.
pub(crate) struct Stored {
    bytes: Vec<u8>,
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    dtype: String,
    shape: Vec<usize>,
    range: std::ops::Range<usize>,
}

impl Stored {
    pub(crate) fn open(path: &std::path::Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header_len]).unwrap();
        let header = header
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| *key != "__metadata__");
        let entries = header.map(|(key, value)| {
            let list = |v: &serde_json::Value| -> Vec<usize> {
                v.as_array()
                    .unwrap()
                    .iter()
                    .map(|n| n.as_u64().unwrap() as usize)
                    .collect()
            };
            let offsets = list(&value["data_offsets"]);
            let range = 8 + header_len + offsets[0]..8 + header_len + offsets[1];
            (
                key.clone(),
                Entry {
                    dtype: value["dtype"].as_str().unwrap().to_owned(),
                    shape: list(&value["shape"]),
                    range,
                },
            )
        });
        let entries = entries.collect();
        Self { bytes, entries }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Returns the values of an array; integers are divided by their largest value.
    pub(crate) fn values(&self, key: &str) -> Vec<f32> {
        let entry = &self.entries[key];
        let bytes = &self.bytes[entry.range.clone()];
        match entry.dtype.as_str() {
            "U8" => bytes.iter().map(|&v| f32::from(v) / 255.0).collect(),
            "U16" => bytes
                .chunks_exact(2)
                .map(|v| f32::from(u16::from_le_bytes([v[0], v[1]])) / 65535.0)
                .collect(),
            _ => bytes
                .chunks_exact(4)
                .map(|v| f32::from_le_bytes(v.try_into().unwrap()))
                .collect(),
        }
    }

    pub(crate) fn image(&self, key: &str) -> Image {
        let shape = &self.entries[key].shape;
        Image::new(shape[2], shape[1], self.values(key)).unwrap()
    }
}
