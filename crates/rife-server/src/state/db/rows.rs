//! Unreadable rows, which are logged and skipped, and the `pending` table: a write-ahead list of files being created or
//! removed.

use std::sync::PoisonError;

use rusqlite::{Connection, Error, Row};

use super::Db;

/// Reports whether the error means that a value of a row has an invalid type or content.
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
    /// Returns the sequence number of a row and its value by `read`; `None` for an unreadable row, which is logged once.
    pub(super) fn read_or_report<T>(
        &self,
        row: &Row<'_>,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<(i64, Option<T>)> {
        let seq = row.get(0)?;
        match read(row) {
            Ok(read) => Ok((seq, Some(read))),
            Err(error) if is_bad_row(&error) => {
                let id: String = row.get(1).unwrap_or_else(|_| format!("row {seq}"));
                self.report_bad_row(&id, &error);
                Ok((seq, None))
            }
            Err(error) => Err(error),
        }
    }

    /// Logs an unreadable row once.
    pub(super) fn report_bad_row(&self, id: &str, error: &Error) {
        let mut reported = self.reported_rows.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() < 1000 && reported.insert(id.to_owned()) {
            tracing::error!(
                row = id,
                "a row of the database cannot be read and is left out; its files stay: {error}"
            );
        }
    }

    /// Records that the upload file or job folder `name` is about to be created or removed. If the server is killed before
    /// [`Db::clear_pending`], it is removed at the next start unless a row names it.
    pub(crate) fn mark_pending(&self, name: &str) -> rusqlite::Result<()> {
        self.write(|connection| mark_pending(connection, name))
    }

    /// Records that the creation or removal of `name` is complete.
    pub(crate) fn clear_pending(&self, name: &str) -> rusqlite::Result<()> {
        self.write(|connection| clear_pending(connection, name))
    }

    /// Returns the names of files and folders whose creation or removal is not complete.
    pub(crate) fn pending(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT name FROM pending")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    }
}

/// Inserts `name` into the `pending` table.
pub(super) fn mark_pending(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR IGNORE INTO pending (name) VALUES (?1)", [name])?;
    Ok(())
}

/// Deletes `name` from the `pending` table.
pub(super) fn clear_pending(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM pending WHERE name = ?1", [name])?;
    Ok(())
}
