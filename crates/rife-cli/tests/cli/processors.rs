//! Outputs do not depend on the number and load of the processors.
#![cfg(all(target_os = "linux", debug_assertions))]

use std::fs;

use super::resume::job;
use super::support::{Place, ffmpeg};
use rife_testing::Need;

/// Reports whether `taskset` can restrict a process to one processor; prints a message if the test is skipped.
fn taskset() -> bool {
    let ran = std::process::Command::new("taskset")
        .args(["-c", "0", "true"])
        .status();
    let found = ran.is_ok_and(|status| status.success());
    Need::Programs.is_met(found, "taskset is not installed")
}

/// A process that keeps a processor busy until it is dropped.
struct Hog(std::process::Child);

impl Hog {
    fn new() -> Self {
        let hog = std::process::Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn();
        Self(hog.unwrap())
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn other_processors_are_the_same_job_and_give_the_same_bytes() {
    if !ffmpeg() || !taskset() {
        return;
    }
    let place = Place::new();
    place.y4m("in.y4m", 12);
    let _hog = Hog::new();
    for (output, more) in [
        ("a.mp4", &[][..]),
        // One whose slices are as many as its threads.
        ("b.mkv", &["--encoder", "mpeg4"]),
    ] {
        let args = job("in.y4m", output, more);
        place.rife(&args).ok();
        let whole = fs::read(place.path(output)).unwrap();
        fs::remove_file(place.path(output)).unwrap();
        let mut one = std::process::Command::new("taskset");
        one.args(["-c", "0", env!("CARGO_BIN_EXE_rife")])
            .args(&args)
            .current_dir(place.path(""))
            .env("RIFE_MODELS_DIR", place.path("models"))
            .env("RIFE_TEST_KILL_AT_WRITE", "15");
        assert!(one.output().unwrap().status.code().is_none(), "killed");
        let said = place.rife(&[&args[..], &["--json"]].concat()).json();
        assert!(said.last().unwrap()["resumed"].as_u64() >= Some(8), "{said:?}");
        assert!(fs::read(place.path(output)).unwrap() == whole, "{output}");
    }
}
