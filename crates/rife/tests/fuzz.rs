//! Replays the corpus of the fuzz targets, each file as it is, cut off at several lengths, and with single bytes changed.

#[path = "../../../fuzz/targets.rs"]
mod targets;

use std::path::PathBuf;

/// Number of lengths at which a file is cut off, and of positions at which a byte is changed.
const DAMAGES: usize = 24;

/// Runs a target on the files of folders of the project and on damaged copies; returns the number of files that it accepts.
fn replay(target: fn(&[u8]) -> bool, folders: &[&str]) -> usize {
    let mut accepted = 0;
    for folder in folders {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(folder);
        let mut paths: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            let data = std::fs::read(&path).unwrap();
            println!("{}", path.display());
            accepted += usize::from(target(&data));
            for damage in 0..DAMAGES {
                let at = data.len() * damage / DAMAGES;
                target(&data[..at]);
                let mut changed = data.clone();
                if let Some(byte) = changed.get_mut(at) {
                    *byte ^= [0x01, 0x80, 0xFF][damage % 3];
                }
                target(&changed);
            }
        }
    }
    accepted
}

#[test]
fn checkpoints() {
    let folders = ["crates/rife-nets/tests/fixtures"];
    assert!(replay(targets::checkpoint, &folders) >= 10);
}

#[test]
fn networks() {
    assert!(replay(targets::network, &["fuzz/corpus/network"]) >= 1);
}

#[test]
fn lists_of_cuts() {
    assert!(replay(targets::cuts, &["fuzz/corpus/cuts"]) >= 2);
}

#[test]
fn y4m_files() {
    assert!(replay(targets::y4m, &["fuzz/corpus/y4m"]) >= 4);
}

#[test]
fn pictures() {
    assert!(replay(targets::image, &["fuzz/corpus/image"]) >= 7);
}
