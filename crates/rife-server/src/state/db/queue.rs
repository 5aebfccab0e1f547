//! Order of the queue as changed by clients, and whether the queue is paused.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::{Db, jobs::QUEUE};

impl Db {
    /// Moves the jobs `ids` to the front of the queue, in this order; the other queued jobs keep theirs. Ids of jobs that are
    /// not queued are ignored.
    pub(crate) fn reorder_queue(&self, ids: &[String]) -> rusqlite::Result<()> {
        let wanted: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
        self.write(|connection| {
            let change = connection.transaction()?;
            let mut queued: Vec<(String, i64)> = {
                let sql = format!("SELECT id, coalesce(place, seq) FROM jobs WHERE state = 'queued' {QUEUE}");
                let mut statement = change.prepare(&sql)?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect::<rusqlite::Result<_>>()?
            };
            // The places are exchanged among the queued jobs, so that they stay distinct.
            let mut places: Vec<i64> = queued.iter().map(|(_, place)| *place).collect();
            places.sort_unstable();
            queued.sort_by_key(|(id, _)| wanted.get(id.as_str()).copied().unwrap_or(usize::MAX));
            for ((id, _), place) in queued.iter().zip(places) {
                change.execute("UPDATE jobs SET place = ?2 WHERE id = ?1", params![id, place])?;
            }
            change.commit()
        })
    }

    /// Reports whether the queue is paused.
    pub(crate) fn is_paused(&self) -> rusqlite::Result<bool> {
        let sql = "SELECT value FROM facts WHERE name = 'paused'";
        let value: Option<i64> = self.lock().query_row(sql, [], |row| row.get(0)).optional()?;
        Ok(value == Some(1))
    }

    /// Stores whether the queue is paused.
    pub(crate) fn set_paused(&self, paused: bool) -> rusqlite::Result<()> {
        self.write(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO facts (name, value) VALUES ('paused', ?1)",
                [i64::from(paused)],
            )
        })?;
        Ok(())
    }
}
