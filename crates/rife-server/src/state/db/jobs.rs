//! The `jobs` table: the queue, the state of each job, and its result.

use std::sync::PoisonError;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Db, Page, rows};
use crate::state::kind::Kind;

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl State {
    /// All states.
    pub(crate) const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Returns the name in the API and the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns the state called `name`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Reports whether the job has ended: it is neither queued nor running.
    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl ToSql for State {
    /// Stores the state as its name.
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for State {
    /// Parses the name of a state.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).ok_or(rusqlite::types::FromSqlError::InvalidType)
    }
}

/// Input file of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobInput {
    /// The client's file name.
    pub(crate) name: String,
    /// The extension of the job's hard link to the file.
    pub(crate) extension: String,
    pub(crate) bytes: u64,
    /// The id of the upload, if the input is one.
    pub(crate) upload: Option<String>,
    /// The id of the job whose result the input is, if it is one.
    pub(crate) job: Option<String>,
}

/// Row of a job. Times are in milliseconds since 1970; `plan`, `summary`, `files` and `error` are JSON as in the API.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) label: String,
    pub(crate) inputs: Vec<JobInput>,
    pub(crate) options: Value,
    pub(crate) created_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    pub(crate) attempts: u32,
    pub(crate) resumed: bool,
    pub(crate) plan: Option<Value>,
    pub(crate) summary: Option<Value>,
    pub(crate) files: Value,
    pub(crate) error: Option<Value>,
}

/// New job to be queued.
#[derive(Debug)]
pub(crate) struct NewJob {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) label: String,
    pub(crate) inputs: Vec<JobInput>,
    pub(crate) options: Value,
}

/// End of a job: its final state and result.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) state: State,
    pub(crate) summary: Option<Value>,
    pub(crate) files: Value,
    pub(crate) error: Option<Value>,
}

/// Filter of a job listing; `None` accepts any value.
#[derive(Debug, Default)]
pub(crate) struct JobQuery {
    pub(crate) state: Option<State>,
    pub(crate) kind: Option<Kind>,
}

/// Columns that [`job`] reads, in this order.
pub(super) const COLUMNS: &str = "seq, id, kind, state, label, inputs, options, created_at, started_at, finished_at, attempts, \
                       resumed, plan, summary, files, error";
/// Order of the queue: interrupted jobs first, then by creation, unless a client changed the order.
pub(super) const QUEUE: &str = "ORDER BY (place IS NULL AND interruptions > 0) DESC, coalesce(place, seq)";

/// Bytes of JSON text after which a page ends early; parsed, it takes several times as much memory.
const PAGE_BYTES: usize = 2 << 20;

/// Returns the total length of the JSON columns of a row in bytes.
fn length(row: &Row<'_>) -> usize {
    let texts = [5, 6, 12, 13, 14, 15].map(|column| row.get_ref(column).ok());
    let length = |value: ValueRef<'_>| value.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len);
    texts.into_iter().flatten().map(length).sum()
}

/// Parses the JSON in a column.
fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let wrong = |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error));
    serde_json::from_str(&text).map_err(wrong)
}

/// Parses the JSON in a column; `None` for NULL.
fn optional(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Value>> {
    let text: Option<String> = row.get(column)?;
    text.map(|_| parsed(row, column)).transpose()
}

/// Converts a row with [`COLUMNS`] to a job.
fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(1)?,
        kind: row.get(2)?,
        state: row.get(3)?,
        label: row.get(4)?,
        inputs: parsed(row, 5)?,
        options: parsed(row, 6)?,
        created_at: row.get(7)?,
        started_at: row.get(8)?,
        finished_at: row.get(9)?,
        attempts: row.get(10)?,
        resumed: row.get(11)?,
        plan: optional(row, 12)?,
        summary: optional(row, 13)?,
        files: parsed(row, 14)?,
        error: optional(row, 15)?,
    })
}

/// Serializes a value to JSON for a column.
fn text(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

impl Db {
    /// Queues a job unless `limit` jobs are queued already, and reports whether it did. `now` is in milliseconds since 1970.
    pub(crate) fn add_job(&self, new: &NewJob, limit: usize, now: i64) -> rusqlite::Result<bool> {
        let (inputs, options) = (text(&new.inputs)?, text(&new.options)?);
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let added = change.execute(
            "INSERT INTO jobs (id, kind, state, label, inputs, options, created_at)
             SELECT ?1, ?2, 'queued', ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM jobs WHERE state = 'queued') < ?7",
            params![new.id, new.kind, new.label, inputs, options, now, limit],
        )?;
        if added > 0 {
            rows::clear_pending(&change, &new.id)?;
        }
        change.commit()?;
        Ok(added > 0)
    }

    /// Adds a finished job whose row was lost, with the results `files`.
    pub(crate) fn adopt_job(&self, new: &NewJob, files: &Value, now: i64) -> rusqlite::Result<()> {
        let (inputs, options, files) = (text(&new.inputs)?, text(&new.options)?, text(files)?);
        self.lock().execute(
            "INSERT INTO jobs (id, kind, state, label, inputs, options, created_at, finished_at, aged_from, files)
             VALUES (?1, ?2, 'done', ?3, ?4, ?5, ?6, ?6, ?7, ?8)",
            params![new.id, new.kind, new.label, inputs, options, now, self.uptime_ms(), files],
        )?;
        Ok(())
    }

    /// Returns the job `id`, if there is one.
    pub(crate) fn job(&self, id: &str) -> rusqlite::Result<Option<Job>> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
        let found = self.lock().query_row(&sql, [id], job).optional()?;
        Ok(found.map(|job| self.with_unsaved_end(job)))
    }

    /// Reports whether a row with this id exists, even an unreadable one.
    pub(crate) fn has_job(&self, id: &str) -> rusqlite::Result<bool> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?;
        statement.exists([id])
    }

    /// Returns `job` with its final state and result if these could not be written yet.
    fn with_unsaved_end(&self, mut job: Job) -> Job {
        let unsaved_ends = self.unsaved_ends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((end, at)) = unsaved_ends.get(&job.id).cloned() {
            (job.state, job.finished_at) = (end.state, Some(at));
            (job.summary, job.files, job.error) = (end.summary, end.files, end.error);
        }
        job
    }

    /// Returns up to `limit` jobs that match `query`, with sequence numbers below `before`, newest first. The page has fewer
    /// if its rows are long ([`PAGE_BYTES`]).
    pub(crate) fn jobs(&self, query: &JobQuery, before: i64, limit: usize) -> rusqlite::Result<Page<Job>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE seq < ?1 AND (?3 IS NULL OR state = ?3) AND (?4 IS NULL OR kind = ?4)
             ORDER BY seq DESC LIMIT ?2"
        );
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![before, limit + 1, query.state, query.kind])?;
        let (mut found, mut bytes, mut more) = (Vec::new(), 0, false);
        while let Some(row) = rows.next()? {
            more = found.len() == limit || bytes > PAGE_BYTES;
            if more {
                break;
            }
            bytes += length(row);
            let (seq, job) = self.read_or_report(row, job)?;
            found.push((seq, job.map(|job| self.with_unsaved_end(job))));
        }
        Ok(Page::new(found, more))
    }

    /// Returns the ids of the queued jobs in the order in which they will start.
    pub(crate) fn queue(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.lock();
        let sql = format!("SELECT id FROM jobs WHERE state = 'queued' {QUEUE}");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    }

    /// Returns the ids of queued and running jobs, oldest first.
    pub(crate) fn unfinished(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.lock();
        let sql = "SELECT id FROM jobs WHERE state IN ('queued', 'running') ORDER BY seq";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    }

    /// Returns the number of jobs in each state; rows with unknown states are ignored.
    pub(crate) fn count_jobs(&self) -> rusqlite::Result<Vec<(State, u64)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT state, count(*) FROM jobs GROUP BY state")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, State>(0).ok(), row.get(1)?)))?;
        rows.filter_map(|row| {
            row.map(|(state, count)| state.map(|state| (state, count)))
                .transpose()
        })
        .collect()
    }

    /// Takes the next job from the queue, sets it to running and returns it. Jobs with unreadable rows are set to failed and
    /// skipped.
    pub(crate) fn start_next(&self, now: i64) -> rusqlite::Result<Option<Job>> {
        let connection = self.lock();
        let next = format!("SELECT seq, id FROM jobs WHERE state = 'queued' {QUEUE} LIMIT 1");
        let start = format!(
            "UPDATE jobs SET state = 'running', started_at = ?1, attempts = attempts + 1, resumed = 0, error = NULL
             WHERE seq = ?2 RETURNING {COLUMNS}"
        );
        loop {
            let found = connection.query_row(&next, [], |row| Ok((row.get(0)?, row.get(1)?)));
            let Some((seq, id)): Option<(i64, String)> = found.optional()? else {
                return Ok(None);
            };
            match connection.query_row(&start, params![now, seq], job) {
                Err(error) if rows::is_bad_row(&error) => {
                    self.report_bad_row(&id, &error);
                    connection.execute(
                        "UPDATE jobs SET state = 'failed', finished_at = ?2 WHERE seq = ?1",
                        params![seq, now],
                    )?;
                }
                started => return started.map(Some),
            }
        }
    }

    /// Stores the plan of a job.
    pub(crate) fn set_plan(&self, id: &str, plan: &Value) -> rusqlite::Result<()> {
        let plan = text(plan)?;
        self.lock()
            .execute("UPDATE jobs SET plan = ?2 WHERE id = ?1", params![id, plan])?;
        Ok(())
    }

    /// Returns `label`, with a number appended to its stem if a result of another job has that label.
    pub(crate) fn unique_label(&self, label: &str) -> rusqlite::Result<String> {
        let connection = self.lock();
        let mut taken = connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM jobs, json_each(CASE WHEN json_valid(files) THEN files ELSE '[]' END) AS file
                            WHERE json_extract(file.value, '$.label') = ?1)",
        )?;
        let (stem, extension) = label.rsplit_once('.').unwrap_or((label, ""));
        let mut free = label.to_owned();
        let mut number = 1;
        while taken.query_row([&free], |row| row.get(0))? {
            number += 1;
            free = format!("{stem} ({number}).{extension}");
        }
        Ok(free)
    }

    /// Records that the current attempt resumed an earlier one.
    pub(crate) fn set_resumed(&self, id: &str) -> rusqlite::Result<()> {
        self.lock()
            .execute("UPDATE jobs SET resumed = 1 WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Stores the end of a job. If that fails, the end is kept in memory, from which [`Db::job`] returns it and
    /// [`Db::save_unsaved_ends`] writes it later.
    pub(crate) fn finish_job(&self, id: &str, end: &Finished, now: i64) -> rusqlite::Result<()> {
        let written = self.write_end(id, end, now);
        let mut unsaved_ends = self.unsaved_ends.lock().unwrap_or_else(PoisonError::into_inner);
        match &written {
            Ok(()) => unsaved_ends.remove(id),
            Err(_) => unsaved_ends.insert(id.to_owned(), (end.clone(), now)),
        };
        written
    }

    /// Writes the end of a job to its row.
    fn write_end(&self, id: &str, end: &Finished, now: i64) -> rusqlite::Result<()> {
        let (summary, error) = (
            end.summary.as_ref().map(text).transpose()?,
            end.error.as_ref().map(text).transpose()?,
        );
        let files = text(&end.files)?;
        self.write(|connection| {
            connection.execute(
                "UPDATE jobs SET state = ?2, summary = ?3, files = ?4, error = ?5, finished_at = ?6, interruptions = 0,
                 aged_from = ?7 WHERE id = ?1",
                params![id, end.state, summary, files, error, now, self.uptime_ms()],
            )?;
            Ok(())
        })
    }

    /// Reports whether the end of a job could not be written yet.
    pub(crate) fn is_end_unsaved(&self, id: &str) -> bool {
        let unsaved_ends = self.unsaved_ends.lock().unwrap_or_else(PoisonError::into_inner);
        unsaved_ends.contains_key(id)
    }

    /// Tries again to write the ends of jobs that could not be written.
    pub(crate) fn save_unsaved_ends(&self) {
        let unsaved_ends = || self.unsaved_ends.lock().unwrap_or_else(PoisonError::into_inner);
        let ends: Vec<_> = unsaved_ends()
            .iter()
            .map(|(id, end)| (id.clone(), end.clone()))
            .collect();
        for (id, (end, now)) in ends {
            let _ = self.finish_job(&id, &end, now);
        }
    }

    /// Cancels a queued job, and reports whether it was queued.
    pub(crate) fn cancel_queued(&self, id: &str, now: i64) -> rusqlite::Result<bool> {
        let changed = self.write(|connection| {
            connection.execute(
                "UPDATE jobs SET state = 'cancelled', finished_at = ?2, aged_from = ?3 WHERE id = ?1 AND state = 'queued'",
                params![id, now, self.uptime_ms()],
            )
        })?;
        Ok(changed > 0)
    }

    /// Queues a failed or cancelled job again unless `limit` jobs are queued, and reports whether it did.
    pub(crate) fn retry(&self, id: &str, limit: usize) -> rusqlite::Result<bool> {
        let changed = self.write(|connection| {
            connection.execute(
                "UPDATE jobs SET state = 'queued', error = NULL, finished_at = NULL, interruptions = 0, aged_from = NULL
                 WHERE id = ?1 AND state IN ('failed', 'cancelled')
                   AND (SELECT count(*) FROM jobs WHERE state = 'queued') < ?2",
                params![id, limit],
            )
        })?;
        Ok(changed > 0)
    }

    /// Puts a job that the shutdown stopped back into the queue.
    pub(crate) fn requeue(&self, id: &str) -> rusqlite::Result<()> {
        self.lock().execute(
            "UPDATE jobs SET state = 'queued', interruptions = max(interruptions, 1) WHERE id = ?1 AND state = 'running'",
            [id],
        )?;
        Ok(())
    }

    /// Queues jobs again that ran when the server was killed; those during which it was killed `limit` times fail with
    /// `error`. Called at the start of the server.
    pub(crate) fn recover(&self, limit: u32, error: &Value, now: i64) -> rusqlite::Result<()> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        change.execute(
            "UPDATE jobs SET interruptions = interruptions + 1 WHERE state = 'running'",
            [],
        )?;
        change.execute(
            "UPDATE jobs SET state = 'failed', error = ?2, finished_at = ?3 WHERE state = 'running' AND interruptions >= ?1",
            params![limit, text(error)?, now],
        )?;
        change.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'", [])?;
        change.commit()
    }

    /// Removes the row of a job and marks its folder as pending, see [`Db::clear_pending`]; reports whether it existed.
    pub(crate) fn remove_job(&self, id: &str) -> rusqlite::Result<bool> {
        let removed = self.write(|connection| {
            let change = connection.transaction()?;
            rows::mark_pending(&change, id)?;
            let removed = change.execute("DELETE FROM jobs WHERE id = ?1", [id])? > 0;
            change.commit()?;
            Ok(removed)
        })?;
        let mut unsaved_ends = self.unsaved_ends.lock().unwrap_or_else(PoisonError::into_inner);
        unsaved_ends.remove(id);
        Ok(removed)
    }

    /// Returns the ids of ended jobs whose retention time began before `old`, in milliseconds of total uptime.
    pub(crate) fn expired_jobs(&self, old: i64) -> rusqlite::Result<Vec<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare(
            "SELECT id FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND aged_from < ?1",
        )?;
        let rows = statement.query_map([old], |row| row.get(0))?;
        rows.collect()
    }
}
