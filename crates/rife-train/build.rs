//! Build script: sets `RIFE_TRAIN_COMMIT` to the Git commit that the program is built from, if there is one.

use std::path::Path;
use std::process::Command;

/// Runs git and returns its trimmed output; `None` if it fails or prints nothing.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Reports whether the top of the enclosing Git repository is this workspace's root, not a repository that contains a copy.
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
