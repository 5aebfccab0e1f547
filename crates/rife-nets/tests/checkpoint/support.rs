//! What the tests of every format share.

use std::path::PathBuf;

use rife_nets::{WeightTensor, Weights};

/// A file made by `fixtures/make.py`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name]
        .iter()
        .collect()
}

/// The folder beside the workspace with reference material, where there is one.
pub(crate) fn shared() -> Option<PathBuf> {
    let beside = || {
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared"]
            .iter()
            .collect()
    };
    let folder = std::env::var_os("RIFE_SHARED").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not here", folder.display());
    None
}

/// Value `i` is `i / 4 - 3`.
pub(crate) fn counted(shape: &[usize]) -> WeightTensor {
    WeightTensor {
        shape: shape.to_vec(),
        data: (0..shape.iter().product())
            .map(|i: usize| i as f32 / 4.0 - 3.0)
            .collect(),
    }
}

/// What the fixtures hold.
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
