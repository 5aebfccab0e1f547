//! Provenance of weights for their metadata: command line, program version and hash of the data.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::data::Sources;

/// Name and version of the program.
const TRAINER: &str = concat!("rife-train ", env!("CARGO_PKG_VERSION"));

/// Returns the metadata `command`, `trainer`, `data_sha256` and, if known at build time, `commit`.
///
/// Errors: data that cannot be read.
pub fn about(data: &Sources) -> Result<BTreeMap<String, String>> {
    let command = std::env::args_os().map(|argument| quoted(&argument.to_string_lossy()));
    let mut about = BTreeMap::from([
        ("command".to_owned(), command.collect::<Vec<_>>().join(" ")),
        ("trainer".to_owned(), TRAINER.to_owned()),
        ("data_sha256".to_owned(), data.hash()?),
    ]);
    if let Some(commit) = option_env!("RIFE_TRAIN_COMMIT") {
        about.insert("commit".to_owned(), commit.to_owned());
    }
    Ok(about)
}

/// Quotes an argument for a POSIX shell if necessary.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("--out"), "--out");
        assert_eq!(quoted("my clips"), "'my clips'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
