//! Rows that cannot be read, and files that are on their way in or out.

use std::sync::PoisonError;

use rusqlite::{Connection, Error, Row};

use super::Db;
use crate::log;

/// Whether a row has something in it that is none of ours.
pub(crate) fn is_bad_row(error: &Error) -> bool {
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..)
    )
}

impl Db {
    /// The number of a row, and what it says where that can be read. One that cannot be read is told of once, in the log,
    /// and hides no other.
    pub(super) fn lenient<T>(
        &self,
        row: &Row<'_>,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<(i64, Option<T>)> {
        let seq = row.get(0)?;
        match read(row) {
            Ok(read) => Ok((seq, Some(read))),
            Err(error) if is_bad_row(&error) => {
                let id: String = row.get(1).unwrap_or_else(|_| format!("row {seq}"));
                self.tell(&id, &error);
                Ok((seq, None))
            }
            Err(error) => Err(error),
        }
    }

    /// Says once that a row cannot be read.
    pub(super) fn tell(&self, id: &str, error: &Error) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < 1000 && told.insert(id.to_owned()) {
            log::line(&format!(
                "{id}: its row in the database cannot be read and is left out; its files stay: {error}"
            ));
        }
    }

    /// Writes down that files of this name are about to be made or removed.
    pub(crate) fn begin(&self, name: &str) -> rusqlite::Result<()> {
        self.change(|connection| begin(connection, name))
    }

    /// The files are made, or removed.
    pub(crate) fn settle(&self, name: &str) -> rusqlite::Result<()> {
        self.change(|connection| settle(connection, name))
    }

    /// Names of files that were about to be made or removed.
    pub(crate) fn pending(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT name FROM pending")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    }
}

pub(super) fn begin(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR IGNORE INTO pending (name) VALUES (?1)", [name])?;
    Ok(())
}

pub(super) fn settle(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM pending WHERE name = ?1", [name])?;
    Ok(())
}
