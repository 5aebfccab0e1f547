//! Log of a run's readings and validations, one JSON object per line in `history.jsonl` of its folder, continued by a resumed
//! run.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::reading::Reading;
use crate::scores::Scores;
use crate::weights_file::write_atomic;

/// File name of the log.
pub const HISTORY: &str = "history.jsonl";

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Means over the steps since the last reading.
    Reading(Reading),
    /// Result of a validation.
    Scores(Scores),
}

impl Entry {
    /// Returns the number of steps done.
    fn step(&self) -> u64 {
        match self {
            Self::Reading(reading) => reading.step,
            Self::Scores(scores) => scores.step,
        }
    }
}

/// The log of a run, in memory and on disk.
#[derive(Debug)]
pub struct History {
    folder: PathBuf,
    entries: Vec<Entry>,
    file: File,
}

impl History {
    /// Opens the log of a run that continues from `step`. Entries of later steps and invalid lines (a truncated last one) are
    /// dropped.
    ///
    /// Errors: a file that cannot be read or written.
    pub fn open(folder: &Path, step: u64) -> Result<Self> {
        let path = folder.join(HISTORY);
        let before = match rife_files::read_regular(&path, 1 << 30) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let entries = before.lines().filter_map(|line| serde_json::from_str(line).ok());
        let entries: Vec<Entry> = entries.filter(|entry: &Entry| entry.step() <= step).collect();
        let lines = entries.iter().map(line).collect::<Result<String>>()?;
        write_atomic(&path, lines.as_bytes())?;
        let file = File::options().append(true).open(&path);
        Ok(Self {
            folder: folder.to_owned(),
            entries,
            file: file.with_context(|| format!("cannot write {}", path.display()))?,
        })
    }

    /// Returns the run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns all entries in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Appends an entry to the log and its file.
    ///
    /// Errors: a file that cannot be written.
    pub fn push(&mut self, entry: Entry) -> Result<()> {
        self.file
            .write_all(line(&entry)?.as_bytes())
            .with_context(|| format!("cannot write {}", self.folder.join(HISTORY).display()))?;
        self.entries.push(entry);
        Ok(())
    }
}

/// Formats an entry as a line of JSON.
fn line(entry: &Entry) -> Result<String> {
    Ok(serde_json::to_string(entry)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(step: u64) -> Entry {
        Entry::Scores(Scores {
            step,
            adjacent: 30.0,
            wide: None,
            quarter: Some(25.5),
        })
    }

    #[test]
    fn a_resumed_history_forgets_what_is_done_again_and_torn_lines() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::open(folder.path(), 0).unwrap();
        for step in [100, 200, 300] {
            history.push(scores(step)).unwrap();
        }
        let path = folder.path().join(HISTORY);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text + "{\"reading\":{\"st").unwrap();
        let mut history = History::open(folder.path(), 200).unwrap();
        assert_eq!(history.entries(), [scores(100), scores(200)]);
        history.push(scores(250)).unwrap();
        let history = History::open(folder.path(), 1000).unwrap();
        assert_eq!(history.entries(), [scores(100), scores(200), scores(250)]);
    }
}
