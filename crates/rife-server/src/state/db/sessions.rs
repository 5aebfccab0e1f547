//! The `sessions` table: hashes of the cookies of open browser sessions.

use rusqlite::params;

use super::Db;

/// Maximum number of sessions; the oldest are removed.
const MAX_SESSIONS: usize = 1000;

impl Db {
    /// Stores the hash of a new session's cookie.
    pub(crate) fn open_session(&self, hash: &str, now: i64) -> rusqlite::Result<()> {
        let connection = self.lock();
        connection.execute(
            "INSERT OR REPLACE INTO sessions (hash, opened_at) VALUES (?1, ?2)",
            params![hash, now],
        )?;
        connection.execute(
            "DELETE FROM sessions WHERE rowid <= (SELECT max(rowid) FROM sessions) - ?1",
            [MAX_SESSIONS],
        )?;
        Ok(())
    }

    /// Reports whether a session with this hash is open.
    pub(crate) fn has_session(&self, hash: &str) -> rusqlite::Result<bool> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT 1 FROM sessions WHERE hash = ?1")?;
        statement.exists([hash])
    }

    /// Removes the session with this hash.
    pub(crate) fn close_session(&self, hash: &str) -> rusqlite::Result<()> {
        self.write(|connection| {
            connection.execute("DELETE FROM sessions WHERE hash = ?1", [hash])?;
            Ok(())
        })
    }
}
