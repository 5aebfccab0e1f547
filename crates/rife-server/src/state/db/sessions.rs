//! Sessions of the page as rows: only what their cookies hash to.

use rusqlite::params;

use super::Db;

/// Sessions that are kept; the oldest go first.
const KEPT: usize = 1000;

impl Db {
    pub(crate) fn open_session(&self, hash: &str, now: i64) -> rusqlite::Result<()> {
        let connection = self.lock();
        connection.execute(
            "INSERT OR REPLACE INTO sessions (hash, opened_at) VALUES (?1, ?2)",
            params![hash, now],
        )?;
        connection.execute(
            "DELETE FROM sessions WHERE rowid <= (SELECT max(rowid) FROM sessions) - ?1",
            [KEPT],
        )?;
        Ok(())
    }

    pub(crate) fn has_session(&self, hash: &str) -> rusqlite::Result<bool> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT 1 FROM sessions WHERE hash = ?1")?;
        statement.exists([hash])
    }

    pub(crate) fn close_session(&self, hash: &str) -> rusqlite::Result<()> {
        self.change(|connection| {
            connection.execute("DELETE FROM sessions WHERE hash = ?1", [hash])?;
            Ok(())
        })
    }
}
