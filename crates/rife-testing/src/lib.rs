//! Guards of tests, and the corpus of the fuzz targets: a test that needs a program, a driver or data which a machine may lack is skipped there with a printed reason,
//! and fails instead where the environment variable `RIFE_REQUIRE` names the kind.
//!
//! `RIFE_REQUIRE` is a comma-separated list of [`Need::name`]s, or `all`. Every guard prints one line, `needs KIND: here` or
//! `skipped (KIND): REASON`, which `tools/steps.sh` counts.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A kind of thing that a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// ffmpeg and ffprobe.
    Ffmpeg,
    /// A codec or filter that only some builds of ffmpeg have.
    Codecs,
    /// A Vulkan driver, software included.
    Vulkan,
    /// Outputs of the published networks, in `shared/reference` beside the project.
    Reference,
    /// Real clips and files, in `shared` beside the project.
    Clips,
    /// Python with the libraries that `tools/python.sh` installs.
    Python,
    /// PyTorch, in the Python that `RIFE_PYTHON` names: `tools/python.sh` does not install it.
    Torch,
    /// Node and Chromium, for the page's tests (`tools/web-test.sh`, which reads `RIFE_REQUIRE` itself).
    Chromium,
    /// Small programs of the system: curl, python3, taskset, script.
    Programs,
    /// The right to mount a file system.
    Mount,
    /// The default network, which the feature `default-weights` embeds.
    Weights,
    /// Hardware encoders and decoders.
    Hardware,
}

impl Need {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Ffmpeg,
        Self::Codecs,
        Self::Vulkan,
        Self::Reference,
        Self::Clips,
        Self::Python,
        Self::Torch,
        Self::Chromium,
        Self::Programs,
        Self::Mount,
        Self::Weights,
        Self::Hardware,
    ];

    /// The name in `RIFE_REQUIRE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Codecs => "codecs",
            Self::Vulkan => "vulkan",
            Self::Reference => "reference",
            Self::Clips => "clips",
            Self::Python => "python",
            Self::Torch => "torch",
            Self::Chromium => "chromium",
            Self::Programs => "programs",
            Self::Mount => "mount",
            Self::Weights => "weights",
            Self::Hardware => "hardware",
        }
    }

    /// Returns what the machine has of this kind and prints that the test runs, or prints that the test is skipped and why.
    ///
    /// # Panics
    /// Where it is absent and `RIFE_REQUIRE` names the kind, and where `RIFE_REQUIRE` has an unknown word.
    #[track_caller]
    pub fn met<T>(self, found: Result<T, impl Display>) -> Option<T> {
        let required = required(&std::env::var("RIFE_REQUIRE").unwrap_or_default()).unwrap();
        match found {
            Ok(found) => {
                println!("needs {}: here", self.name());
                Some(found)
            }
            Err(reason) => {
                assert!(
                    !required.contains(&self),
                    "RIFE_REQUIRE has {}, and {reason}",
                    self.name()
                );
                println!("skipped ({}): {reason}", self.name());
                None
            }
        }
    }

    /// Reports whether `found`, as [`Need::met`] does; `reason` says what is absent otherwise.
    ///
    /// # Panics
    /// As [`Need::met`].
    #[track_caller]
    pub fn is_met(self, found: bool, reason: impl Display) -> bool {
        self.met(found.then_some(()).ok_or(reason)).is_some()
    }
}

/// Returns the folder of clips and reference data beside the project: `RIFE_SHARED`, else `../shared`. It may not exist.
#[must_use]
pub fn shared() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("RIFE_SHARED").map_or_else(beside, PathBuf::from)
}

/// Returns the folder of a fuzz target's corpus.
#[must_use]
pub fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target)
}

/// Number of lengths at which [`replay`] cuts off a file, and of positions at which it changes a byte.
const DAMAGES: usize = 24;

/// Runs a fuzz target on the files of a folder in the order of their names, and on damaged copies of each: cut off at several
/// lengths, and with single bytes changed. Returns the number of files that the target accepts.
///
/// # Panics
/// Where the target panics, and where the folder cannot be read.
#[must_use]
pub fn replay(target: fn(&[u8]) -> bool, folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut accepted = 0;
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
    accepted
}

/// Reports whether ffmpeg is on `PATH`, and prints what [`Need::met`] prints.
///
/// # Panics
/// As [`Need::met`].
#[must_use]
#[track_caller]
pub fn ffmpeg() -> bool {
    Need::Ffmpeg.met(runs("ffmpeg", "-version")).is_some()
}

/// Reports whether a small program of the system is on `PATH`, and prints what [`Need::met`] prints.
///
/// # Panics
/// As [`Need::met`].
#[must_use]
#[track_caller]
pub fn program(name: &str) -> bool {
    Need::Programs.met(runs(name, "--version")).is_some()
}

/// Runs a program to learn whether it exists; its exit status does not matter.
fn runs(name: &str, argument: &str) -> Result<(), String> {
    let mut command = Command::new(name);
    command
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
        .status()
        .map(drop)
        .map_err(|error| format!("{name} does not run: {error}"))
}

/// Parses the value of `RIFE_REQUIRE`.
fn required(text: &str) -> Result<Vec<Need>, String> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let mut found = Vec::new();
    for word in words {
        match Need::ALL.iter().find(|need| need.name() == word) {
            Some(need) => found.push(*need),
            None if word == "all" => found.extend(Need::ALL),
            None => {
                let names = Need::ALL.map(Need::name).join(", ");
                return Err(format!(
                    "RIFE_REQUIRE has `{word}`, which is none of {names} and all"
                ));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_a_list_of_kinds() {
        assert_eq!(required(""), Ok(vec![]));
        assert_eq!(
            required("ffmpeg, reference"),
            Ok(vec![Need::Ffmpeg, Need::Reference])
        );
        assert_eq!(required("all").unwrap().len(), Need::ALL.len());
        let said = required("ffmpeg,gpus").unwrap_err();
        assert!(
            said.contains("`gpus`") && said.contains("vulkan, reference"),
            "{said}"
        );
    }

    #[test]
    fn programs_are_found_by_running_them() {
        assert_eq!(runs("cargo", "--version"), Ok(()));
        let said = runs("no-such-program", "--version").unwrap_err();
        assert!(said.starts_with("no-such-program does not run: "), "{said}");
    }
}
