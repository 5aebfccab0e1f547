//! The database: what survives the server. One connection; every call is short.

mod ages;
mod jobs;
mod rows;
mod sessions;
mod uploads;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use ages::Age;
pub(crate) use jobs::{Finished, Job, JobInput, JobQuery, NewJob, State};
use rows::is_bad_row;
pub(crate) use uploads::{Upload, UploadState};

use crate::error::{ApiError, Code};
use crate::log;

/// The schema by versions; a database is brought from its own to the newest.
const MIGRATIONS: [&str; 2] = [
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
    // pending: files that are about to be made or removed; what a killed server leaves of them is ours to remove.
    // aged_from: when the age of a row began, in milliseconds that the server has run.
    "
CREATE TABLE pending (name TEXT PRIMARY KEY);
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE sessions (hash TEXT PRIMARY KEY, opened_at INTEGER NOT NULL);
ALTER TABLE uploads ADD COLUMN aged_from INTEGER;
ALTER TABLE jobs ADD COLUMN aged_from INTEGER;
",
];

/// Why a database is not used.
#[derive(Debug)]
pub(crate) enum DbError {
    /// Its schema is of a later version of this program.
    Newer(usize),
    /// It has other tables or columns than its version says, or is no database.
    Foreign(rusqlite::Error),
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
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Foreign(error),
            _ => Self::Sqlite(error),
        }
    }
}

/// The database.
#[derive(Debug)]
pub(crate) struct Db {
    connection: Mutex<Connection>,
    age: Age,
    /// A file to be removed for the room that it takes, where a change finds none.
    spare: PathBuf,
    /// Ends of jobs that could not be written down yet, by job.
    unwritten: Mutex<HashMap<String, (Finished, i64)>>,
    /// Rows that cannot be read and have been told of.
    told: Mutex<HashSet<String>>,
}

impl Db {
    /// Opens it, creating or upgrading it. `spare` is a file that is removed where the disk has no room for a change.
    ///
    /// # Errors
    /// A schema of a newer version, another program's tables, what SQLite says.
    pub(crate) fn open(path: &Path, spare: PathBuf) -> Result<Self, DbError> {
        let mut connection = Connection::open(path)?;
        // A log beside the database: what is committed survives a killed process, and readers do not wait.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        migrate(&mut connection)?;
        check(&connection).map_err(DbError::Foreign)?;
        let age = Age::open(&connection)?;
        Ok(Self {
            connection: Mutex::new(connection),
            age,
            spare,
            unwritten: Mutex::default(),
            told: Mutex::default(),
        })
    }

    /// Whether the file is a database of this server's.
    pub(crate) fn is_ours(path: &Path) -> bool {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        path.is_file() && Connection::open_with_flags(path, flags).is_ok_and(|found| check(&found).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change that has to be possible on a full disk too: where there is no room, the spare file makes some.
    fn change<T>(&self, work: impl Fn(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let result = work(&mut self.lock());
        match result {
            Err(error) if is_full(&error) && std::fs::remove_file(&self.spare).is_ok() => {
                work(&mut self.lock())
            }
            result => result,
        }
    }
}

/// Whether the disk has no room for a change.
fn is_full(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure)
    )
}

/// Whether the tables have the columns that are read.
fn check(connection: &Connection) -> rusqlite::Result<()> {
    for (columns, table) in [(jobs::COLUMNS, "jobs"), (uploads::COLUMNS, "uploads")] {
        connection.prepare(&format!("SELECT {columns} FROM {table} LIMIT 1"))?;
    }
    Ok(())
}

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

/// A page of a listing, newest first, and where the next one begins.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<i64>,
}

impl<T> Page<T> {
    /// From the rows of a page: their numbers, and what of them can be read. `more` says that there are others.
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
    fn from(error: rusqlite::Error) -> Self {
        if is_full(&error) {
            log::line(&format!("the database: {error}"));
            return Self::new(Code::Quota, "the disk is full: the database cannot be changed");
        }
        if is_bad_row(&error) {
            log::line(&format!("the database: {error}"));
            let text = "the database's row of this cannot be read; it can still be deleted";
            return Self::new(Code::Internal, text);
        }
        Self::internal(error)
    }
}
