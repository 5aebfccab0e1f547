//! ONNX Runtime by way of Python, for tests.

use rife_testing::Need;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

fn python() -> OsString {
    std::env::var_os("RIFE_PYTHON").unwrap_or_else(|| "python3".into())
}

/// Whether `RIFE_PYTHON`, else `python3`, has ONNX Runtime; says so where it has not.
pub(crate) fn is_there() -> bool {
    let program = python();
    let imports = Command::new(&program)
        .args(["-c", "import numpy, onnx, onnxruntime"])
        .stderr(Stdio::null())
        .status();
    let there = imports.is_ok_and(|status| status.success());
    Need::Python.is_met(
        there,
        format!("{} has no numpy, onnx and onnxruntime", program.display()),
    )
}

/// Runs the models of a folder (see `run.py`) and gives what was printed.
///
/// # Panics
/// Where a model is invalid or fails.
pub(crate) fn run(folder: &Path) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/run.py");
    let ran = Command::new(python()).arg(script).arg(folder).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// Writes values that `run.py` reads.
pub(crate) fn write_values(folder: &Path, name: &str, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(folder.join(format!("{name}.f32")), bytes).unwrap();
}

/// Reads values that `run.py` wrote.
pub(crate) fn read_values(folder: &Path, name: &str) -> Vec<f32> {
    let bytes = std::fs::read(folder.join(format!("{name}.f32"))).unwrap();
    let values = bytes.chunks_exact(4);
    values
        .map(|value| f32::from_le_bytes(value.try_into().unwrap()))
        .collect()
}
