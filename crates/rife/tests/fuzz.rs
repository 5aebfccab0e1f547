//! Replays the corpus of the fuzz targets, but for those of rife-server.

#[path = "../../../fuzz/targets.rs"]
mod targets;

use std::path::Path;

use rife::media::fuzzing::{container, frame_log, journal, nut, probe_report, write_corpus};
use rife::nets::checkpoint::fuzzing::ncnn;
use rife_testing::{corpus, replay};

#[test]
fn checkpoints() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rife-nets/tests/fixtures");
    assert!(replay(targets::checkpoint, &fixtures) >= 10);
    assert!(replay(targets::checkpoint, &corpus("checkpoint")) >= 2);
}

#[test]
fn networks() {
    assert!(replay(targets::network, &corpus("network")) >= 1);
}

#[test]
fn lists_of_cuts() {
    assert!(replay(targets::cuts, &corpus("cuts")) >= 2);
}

#[test]
fn manifests() {
    assert!(replay(targets::manifest, &corpus("manifest")) >= 2);
}

#[test]
fn y4m_files() {
    assert!(replay(targets::y4m, &corpus("y4m")) >= 4);
}

#[test]
fn pictures() {
    assert!(replay(targets::image, &corpus("image")) >= 14);
}

#[test]
fn ncnn_models() {
    assert!(replay(ncnn, &corpus("ncnn")) >= 3);
}

#[test]
fn nut_streams() {
    assert!(replay(nut, &corpus("nut")) >= 3);
}

#[test]
fn journals() {
    assert!(replay(journal, &corpus("journal")) >= 2);
}

#[test]
fn logs_of_frames() {
    assert!(replay(frame_log, &corpus("frame_log")) >= 1);
}

#[test]
fn reports_of_ffprobe() {
    assert!(replay(probe_report, &corpus("probe_report")) >= 2);
}

#[test]
fn headers_of_containers() {
    assert!(replay(container, &corpus("container")) >= 3);
}

/// Writes the files of the corpus in rife's own formats: `cargo test -p rife --test fuzz write -- --ignored`.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_the_corpus() {
    write_corpus(&corpus(""));
}
