//! The database: what survives the server. One connection; every call is short.

mod jobs;
mod uploads;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

pub(crate) use jobs::{Finished, Job, JobInput, JobQuery, NewJob, State};
pub(crate) use uploads::{Upload, UploadState};

/// The schema by versions; a database is brought from its own to the newest.
const MIGRATIONS: [&str; 1] = ["
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
"];

/// The database.
#[derive(Debug)]
pub(crate) struct Db {
    connection: Mutex<Connection>,
}

impl Db {
    /// Opens it, creating or upgrading it.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let mut connection = Connection::open(path)?;
        // A log beside the database: what is committed survives a killed process, and readers do not wait.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        migrate(&mut connection)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (index, statements) in MIGRATIONS.iter().enumerate().skip(version) {
        let change = connection.transaction()?;
        change.execute_batch(statements)?;
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
    /// From one row more than the page holds.
    fn new(mut items: Vec<T>, limit: usize, seq: impl Fn(&T) -> i64) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(seq) } else { None };
        Self { items, next }
    }
}
