//! Ages by the time that the server has run: a clock of the system's that is set wrong, or jumps, makes nothing old.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, params};

use super::Db;

/// The time that the server has run on its folder, over all its lives.
#[derive(Debug)]
pub(super) struct Age {
    before: i64,
    start: Instant,
}

impl Age {
    pub(super) fn open(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT value FROM facts WHERE name = 'running_ms'";
        let before: Option<i64> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
        Ok(Self {
            before: before.unwrap_or(0),
            start: Instant::now(),
        })
    }

    fn now(&self) -> i64 {
        let run = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.before.saturating_add(run)
    }
}

impl Db {
    /// Milliseconds that the server has run on this folder.
    pub(crate) fn age(&self) -> i64 {
        self.age.now()
    }

    /// Writes down how long the server has run. Rows whose age has not begun, of an earlier version, begin it now.
    pub(crate) fn keep_age(&self) -> rusqlite::Result<()> {
        let now = self.age();
        let connection = self.lock();
        connection.execute(
            "INSERT OR REPLACE INTO facts (name, value) VALUES ('running_ms', ?1)",
            [now],
        )?;
        connection.execute("UPDATE uploads SET aged_from = ?1 WHERE aged_from IS NULL", [now])?;
        connection.execute(
            "UPDATE jobs SET aged_from = ?1 WHERE aged_from IS NULL AND state IN ('done', 'failed', 'cancelled')",
            params![now],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_goes_on_with_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Db::open(&folder.path().join("rife.db"), folder.path().join("spare")).unwrap();
        let first = open();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let before = first.age();
        first.keep_age().unwrap();
        drop(first);
        assert!(before >= 20 && (before..before + 10_000).contains(&open().age()));
    }
}
