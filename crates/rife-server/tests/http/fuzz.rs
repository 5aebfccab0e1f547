//! Replays the corpus of the fuzz targets of this crate.

use rife_server::fuzzing::{body, file_name};
use rife_testing::{corpus, replay};

#[test]
fn bodies() {
    assert!(replay(body, &corpus("body")) >= 5);
}

#[test]
fn names_of_uploads() {
    assert!(replay(file_name, &corpus("file_name")) >= 1);
}
