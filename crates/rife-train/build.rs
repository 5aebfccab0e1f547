//! Takes down which commit the program is built from, where that can be told.

use std::path::Path;
use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Whether the repository that git finds is the project's own, not one that its sources were copied into.
fn is_own_repository() -> bool {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .ok();
    let top = git(&["rev-parse", "--show-toplevel"]).and_then(|top| Path::new(&top).canonicalize().ok());
    here.is_some() && here == top
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if !is_own_repository() {
        return;
    }
    let logs = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]);
    if let Some(logs) = logs.filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={logs}");
    }
    if let Some(commit) = git(&["describe", "--always", "--tags", "--dirty"]) {
        println!("cargo::rustc-env=RIFE_TRAIN_COMMIT={commit}");
    }
}
