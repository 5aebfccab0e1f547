//! SQLite database (`rife.db`) of uploads, jobs, presets and sessions, with schema migrations. All calls use one connection behind a
//! mutex and are short.

mod jobs;
mod presets;
mod queue;
mod rows;
mod sessions;
mod uploads;
mod uptime;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, OpenFlags};

pub(crate) use jobs::{Finished, Job, JobInput, JobQuery, NewJob, State};
pub(crate) use presets::Preset;
use rows::is_bad_row;
pub(crate) use uploads::{Upload, UploadState};
use uptime::Uptime;

use crate::error::{ApiError, Code};

/// SQL statements that migrate the schema to version 1, 2...; `PRAGMA user_version` has the version of a database.
const MIGRATIONS: [&str; 3] = [
    "
CREATE TABLE uploads (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    extension TEXT NOT NULL,
    size INTEGER NOT NULL,
    complete INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL
);
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    label TEXT NOT NULL,
    inputs TEXT NOT NULL,
    options TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    resumed INTEGER NOT NULL DEFAULT 0,
    plan TEXT,
    summary TEXT,
    files TEXT NOT NULL DEFAULT '[]',
    error TEXT
);
CREATE INDEX jobs_by_state ON jobs (state, seq);
",
    // pending: names of files that are about to be created or removed; after a crash they are removed at the next start.
    // aged_from: start of a row's retention time, in milliseconds of the server's total uptime.
    "
CREATE TABLE pending (name TEXT PRIMARY KEY);
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE sessions (hash TEXT PRIMARY KEY, opened_at INTEGER NOT NULL);
ALTER TABLE uploads ADD COLUMN aged_from INTEGER;
ALTER TABLE jobs ADD COLUMN aged_from INTEGER;
",
    // place: a queued job's position where a client changed the order, on the scale of seq.
    "
ALTER TABLE jobs ADD COLUMN place INTEGER;
CREATE TABLE presets (name TEXT PRIMARY KEY, kind TEXT NOT NULL, options TEXT NOT NULL);
",
];

/// Reason why a database cannot be opened.
#[derive(Debug)]
pub(crate) enum DbError {
    /// The schema has this version, from a later version of this program.
    Newer(usize),
    /// Tables or columns differ from the schema's version, or the file is not a database.
    Foreign(rusqlite::Error),
    /// Another error of SQLite.
    Sqlite(rusqlite::Error),
}

impl std::fmt::Display for DbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Newer(version) => write!(
                f,
                "rife.db has schema {version}, of a newer rife; this one knows schemas up to {}: use the newer rife, \
                 or another folder",
                MIGRATIONS.len()
            ),
            Self::Foreign(error) => write!(
                f,
                "rife.db cannot be read as the server's database ({error}): restore it from a backup, or move it away, \
                 and the uploads and results that are here are adopted by a new one"
            ),
            Self::Sqlite(error) => write!(f, "rife.db: {error}"),
        }
    }
}

impl std::error::Error for DbError {}

impl From<rusqlite::Error> for DbError {
    /// Converts an error of SQLite; a corrupt file, or one that is no database, is `Foreign`.
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Foreign(error),
            _ => Self::Sqlite(error),
        }
    }
}

/// Open database.
#[derive(Debug)]
pub(crate) struct Db {
    connection: Mutex<Connection>,
    uptime: Uptime,
    /// Path of a file that is removed to free its space when a write finds the disk full.
    spare: PathBuf,
    /// Results of jobs that could not be written yet, with their times in milliseconds since 1970, by job id.
    unsaved_ends: Mutex<HashMap<String, (Finished, i64)>>,
    /// Ids of unreadable rows that have been logged.
    reported_rows: Mutex<HashSet<String>>,
}

impl Db {
    /// Opens the database at `path`, creating or migrating it. `spare` is a file that is removed when a write finds the disk
    /// full.
    ///
    /// # Errors
    /// A schema of a newer version, another program's tables, or an error of SQLite.
    pub(crate) fn open(path: &Path, spare: PathBuf) -> Result<Self, DbError> {
        let mut connection = Connection::open(path)?;
        // Write-ahead log: committed changes survive a killed process, and readers do not wait.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        migrate(&mut connection)?;
        check(&connection).map_err(DbError::Foreign)?;
        let uptime = Uptime::open(&connection)?;
        Ok(Self {
            connection: Mutex::new(connection),
            uptime,
            spare,
            unsaved_ends: Mutex::default(),
            reported_rows: Mutex::default(),
        })
    }

    /// Reports whether the file is a database of this server.
    pub(crate) fn is_database(path: &Path) -> bool {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        path.is_file() && Connection::open_with_flags(path, flags).is_ok_and(|found| check(&found).is_ok())
    }

    /// Locks the connection.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a write that must succeed on a full disk, too: if the disk is full, removes the spare file and runs `work` again.
    fn write<T>(&self, work: impl Fn(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let result = work(&mut self.lock());
        match result {
            Err(error) if is_full(&error) && std::fs::remove_file(&self.spare).is_ok() => {
                work(&mut self.lock())
            }
            result => result,
        }
    }
}

/// Reports whether the error means that the disk is full.
fn is_full(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure)
    )
}

/// Returns an error if a table lacks a column that is read.
fn check(connection: &Connection) -> rusqlite::Result<()> {
    for (columns, table) in [(jobs::COLUMNS, "jobs"), (uploads::COLUMNS, "uploads")] {
        connection.prepare(&format!("SELECT {columns} FROM {table} LIMIT 1"))?;
    }
    Ok(())
}

/// Migrates the schema to the newest version.
fn migrate(connection: &mut Connection) -> Result<(), DbError> {
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(DbError::Newer(version));
    }
    for (index, statements) in MIGRATIONS.iter().enumerate().skip(version) {
        let change = connection.transaction()?;
        change.execute_batch(statements).map_err(DbError::Foreign)?;
        change.pragma_update(None, "user_version", index + 1)?;
        change.commit()?;
    }
    Ok(())
}

/// Page of a listing, newest row first.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// The sequence number of the page's last row, before which the next page begins; `None` on the last page.
    pub(crate) next: Option<i64>,
}

impl<T> Page<T> {
    /// Builds a page from rows: sequence numbers with the parsed rows, `None` for unreadable ones. `more` says whether
    /// further rows follow.
    fn new(rows: Vec<(i64, Option<T>)>, more: bool) -> Self {
        let next = if more {
            rows.last().map(|(seq, _)| *seq)
        } else {
            None
        };
        let items = rows.into_iter().filter_map(|(_, row)| row).collect();
        Self { items, next }
    }
}

impl From<rusqlite::Error> for ApiError {
    /// Converts an error of SQLite: a full disk is 507, an unreadable row and everything else 500.
    fn from(error: rusqlite::Error) -> Self {
        if is_full(&error) {
            tracing::error!("the database: {error}");
            return Self::new(Code::Quota, "the disk is full: the database cannot be changed");
        }
        if is_bad_row(&error) {
            tracing::error!("the database: {error}");
            let text = "its row in the database cannot be read; it can still be deleted";
            return Self::new(Code::Internal, text);
        }
        Self::internal(error)
    }
}
