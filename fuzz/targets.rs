//! Fuzz targets: readers of files that others make. None may panic, hang, or allocate beyond its limits. Each returns whether it
//! accepted the data. cargo-fuzz runs them on random data (`fuzz_targets`), `crates/rife/tests/fuzz.rs` on the corpus and on
//! damaged copies of it. Targets of private parsers are in the modules `fuzzing` of their crates.
#![allow(dead_code)]

use rife::manifest::Manifest;
use rife::media::scene::CutList;
use rife::media::{Input, Limits, SourceSpec, image_header, open_source, read_image};
use rife::models::{LOCK_FILE, Lock};
use rife::nets::{NetworkSpec, checkpoint};

/// Reads a checkpoint: pickle, zip archive, safetensors.
pub(crate) fn checkpoint(data: &[u8]) -> bool {
    checkpoint::load_bytes(data).is_ok()
}

/// Parses the description of a network, JSON.
pub(crate) fn network(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| NetworkSpec::from_json(text).is_ok())
}

/// Parses a list of cuts.
pub(crate) fn cuts(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| CutList::parse(text).is_ok())
}

/// Reads the manifest of a result, and a lock file of the models folder.
pub(crate) fn manifest(data: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4.rife.json");
    std::fs::write(&path, data).unwrap();
    std::fs::write(folder.path().join(LOCK_FILE), data).unwrap();
    let lock = Lock::read(folder.path());
    if let Ok(lock) = &lock {
        let _ = lock.names();
    }
    match Manifest::read_at(&path) {
        Ok(found) => {
            let _ = found.unwrap().fact("the input");
            true
        }
        Err(_) => lock.is_ok(),
    }
}

/// Limits that a machine of any size has room for.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_pixels = 1 << 20;
    limits
}

/// Reads the frames of a Y4M file.
pub(crate) fn y4m(data: &[u8]) -> bool {
    let mut file = tempfile::Builder::new().suffix(".y4m").tempfile().unwrap();
    std::io::Write::write_all(&mut file, data).unwrap();
    let mut spec = SourceSpec::new(Input::File(file.path().to_owned()));
    spec.limits = limits();
    let Ok(mut source) = open_source(&spec) else {
        return false;
    };
    while let Ok(Some(_)) = source.next_frame() {}
    true
}

/// Reads a picture; the format is recognised by its content.
pub(crate) fn image(data: &[u8]) -> bool {
    let mut file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
    std::io::Write::write_all(&mut file, data).unwrap();
    let header = image_header(file.path(), &limits());
    let image = read_image(file.path(), &limits());
    // What can be read has a header that can be read.
    assert!(image.is_err() || header.is_ok(), "{header:?}");
    image.is_ok()
}
