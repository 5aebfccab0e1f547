//! Total uptime of the server on its data folder, by which the retention of rows is measured: a wrong or changed system
//! clock deletes nothing.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, params};

use super::Db;

/// Total uptime over all runs of the server.
#[derive(Debug)]
pub(super) struct Uptime {
    /// Milliseconds of all earlier runs.
    before: i64,
    /// Start of this run.
    start: Instant,
}

impl Uptime {
    /// Reads the uptime of earlier runs from the database.
    pub(super) fn open(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT value FROM facts WHERE name = 'running_ms'";
        let before: Option<i64> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
        Ok(Self {
            before: before.unwrap_or(0),
            start: Instant::now(),
        })
    }

    /// Returns the total uptime in milliseconds.
    fn now(&self) -> i64 {
        let run = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.before.saturating_add(run)
    }
}

impl Db {
    /// Returns the total uptime of the server on this data folder in milliseconds.
    pub(crate) fn uptime_ms(&self) -> i64 {
        self.uptime.now()
    }

    /// Saves the total uptime. Rows of an earlier version that have no start of their retention time get this uptime as one.
    pub(crate) fn save_uptime(&self) -> rusqlite::Result<()> {
        let now = self.uptime_ms();
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
        let before = first.uptime_ms();
        first.save_uptime().unwrap();
        drop(first);
        assert!(before >= 20 && (before..before + 10_000).contains(&open().uptime_ms()));
    }
}
