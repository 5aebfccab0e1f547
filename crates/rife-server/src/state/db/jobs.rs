//! Jobs as rows.

use std::sync::PoisonError;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Db, Page, rows};
use crate::state::kind::Kind;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl State {
    pub(crate) const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more happens to it by itself.
    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).ok_or(rusqlite::types::FromSqlError::InvalidType)
    }
}

/// What a job reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobInput {
    /// The client's name for it.
    pub(crate) name: String,
    /// The extension of the job's link to it.
    pub(crate) extension: String,
    pub(crate) bytes: u64,
    /// The upload it was.
    pub(crate) upload: Option<String>,
    /// The job whose result it was.
    pub(crate) job: Option<String>,
}

/// A job.
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

/// A job to be queued.
#[derive(Debug)]
pub(crate) struct NewJob {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) label: String,
    pub(crate) inputs: Vec<JobInput>,
    pub(crate) options: Value,
}

/// How a job ended.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) state: State,
    pub(crate) summary: Option<Value>,
    pub(crate) files: Value,
    pub(crate) error: Option<Value>,
}

/// Which jobs to list.
#[derive(Debug, Default)]
pub(crate) struct JobQuery {
    pub(crate) state: Option<State>,
    pub(crate) kind: Option<Kind>,
}

pub(super) const COLUMNS: &str = "seq, id, kind, state, label, inputs, options, created_at, started_at, finished_at, attempts, \
                       resumed, plan, summary, files, error";
/// Interrupted jobs first, then in order of their coming.
const QUEUE: &str = "ORDER BY interruptions > 0 DESC, seq";

/// The text of a page's rows, in bytes, after which it ends: as values they take several times that.
const PAGE_BYTES: usize = 2 << 20;

/// Bytes of the texts of a row.
fn length(row: &Row<'_>) -> usize {
    let texts = [5, 6, 12, 13, 14, 15].map(|column| row.get_ref(column).ok());
    let length = |value: ValueRef<'_>| value.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len);
    texts.into_iter().flatten().map(length).sum()
}

fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let wrong = |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error));
    serde_json::from_str(&text).map_err(wrong)
}

fn optional(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Value>> {
    let text: Option<String> = row.get(column)?;
    text.map(|_| parsed(row, column)).transpose()
}

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

fn text(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

impl Db {
    /// Queues a job, unless `limit` are queued already.
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
            rows::settle(&change, &new.id)?;
        }
        change.commit()?;
        Ok(added > 0)
    }

    /// Adds a job that is over, and whose row was lost.
    pub(crate) fn adopt_job(&self, new: &NewJob, files: &Value, now: i64) -> rusqlite::Result<()> {
        let (inputs, options, files) = (text(&new.inputs)?, text(&new.options)?, text(files)?);
        self.lock().execute(
            "INSERT INTO jobs (id, kind, state, label, inputs, options, created_at, finished_at, aged_from, files)
             VALUES (?1, ?2, 'done', ?3, ?4, ?5, ?6, ?6, ?7, ?8)",
            params![new.id, new.kind, new.label, inputs, options, now, self.age(), files],
        )?;
        Ok(())
    }

    pub(crate) fn job(&self, id: &str) -> rusqlite::Result<Option<Job>> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
        let found = self.lock().query_row(&sql, [id], job).optional()?;
        Ok(found.map(|job| self.as_it_ended(job)))
    }

    /// Whether there is a row of this id, also one that cannot be read.
    pub(crate) fn has_job(&self, id: &str) -> rusqlite::Result<bool> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?;
        statement.exists([id])
    }

    /// A job whose end could not be written down yet, as it ended.
    fn as_it_ended(&self, mut job: Job) -> Job {
        let unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((end, at)) = unwritten.get(&job.id).cloned() {
            (job.state, job.finished_at) = (end.state, Some(at));
            (job.summary, job.files, job.error) = (end.summary, end.files, end.error);
        }
        job
    }

    /// A page of jobs. It may end before `limit` where its rows are long: thousands of inputs each.
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
            let (seq, job) = self.lenient(row, job)?;
            found.push((seq, job.map(|job| self.as_it_ended(job))));
        }
        Ok(Page::new(found, more))
    }

    /// Ids of the queued jobs in the order in which they will be started.
    pub(crate) fn queue(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.lock();
        let sql = format!("SELECT id FROM jobs WHERE state = 'queued' {QUEUE}");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    }

    /// Ids of jobs that are not finished, oldest first.
    pub(crate) fn unfinished(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.lock();
        let sql = "SELECT id FROM jobs WHERE state IN ('queued', 'running') ORDER BY seq";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    }

    /// Counts by state; states that are none of ours are not among them.
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

    /// Takes the next job from the queue. One whose row cannot be read has failed, and holds no other up.
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
                    self.tell(&id, &error);
                    connection.execute(
                        "UPDATE jobs SET state = 'failed', finished_at = ?2 WHERE seq = ?1",
                        params![seq, now],
                    )?;
                }
                started => return started.map(Some),
            }
        }
    }

    pub(crate) fn set_plan(&self, id: &str, plan: &Value) -> rusqlite::Result<()> {
        let plan = text(plan)?;
        self.lock()
            .execute("UPDATE jobs SET plan = ?2 WHERE id = ?1", params![id, plan])?;
        Ok(())
    }

    /// `label`, with a number where a result of another job is called that already.
    pub(crate) fn free_label(&self, label: &str) -> rusqlite::Result<String> {
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

    pub(crate) fn set_resumed(&self, id: &str) -> rusqlite::Result<()> {
        self.lock()
            .execute("UPDATE jobs SET resumed = 1 WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Writes down how a job ended. Where that is not possible it is kept in mind, told to whoever asks, and written by
    /// [`Db::write_down`].
    pub(crate) fn finish_job(&self, id: &str, end: &Finished, now: i64) -> rusqlite::Result<()> {
        let written = self.write_end(id, end, now);
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        match &written {
            Ok(()) => unwritten.remove(id),
            Err(_) => unwritten.insert(id.to_owned(), (end.clone(), now)),
        };
        written
    }

    fn write_end(&self, id: &str, end: &Finished, now: i64) -> rusqlite::Result<()> {
        let (summary, error) = (
            end.summary.as_ref().map(text).transpose()?,
            end.error.as_ref().map(text).transpose()?,
        );
        let files = text(&end.files)?;
        self.change(|connection| {
            connection.execute(
                "UPDATE jobs SET state = ?2, summary = ?3, files = ?4, error = ?5, finished_at = ?6, interruptions = 0,
                 aged_from = ?7 WHERE id = ?1",
                params![id, end.state, summary, files, error, now, self.age()],
            )?;
            Ok(())
        })
    }

    /// Whether the end of a job could not be written down yet.
    pub(crate) fn is_unwritten(&self, id: &str) -> bool {
        let unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        unwritten.contains_key(id)
    }

    /// Writes down the ends that could not be written.
    pub(crate) fn write_down(&self) {
        let unwritten = || self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        let ends: Vec<_> = unwritten()
            .iter()
            .map(|(id, end)| (id.clone(), end.clone()))
            .collect();
        for (id, (end, now)) in ends {
            let _ = self.finish_job(&id, &end, now);
        }
    }

    /// Cancels a job that waits; whether it did.
    pub(crate) fn cancel_queued(&self, id: &str, now: i64) -> rusqlite::Result<bool> {
        let changed = self.change(|connection| {
            connection.execute(
                "UPDATE jobs SET state = 'cancelled', finished_at = ?2, aged_from = ?3 WHERE id = ?1 AND state = 'queued'",
                params![id, now, self.age()],
            )
        })?;
        Ok(changed > 0)
    }

    /// Queues a job that failed or was cancelled once more, unless `limit` are queued; whether it did.
    pub(crate) fn retry(&self, id: &str, limit: usize) -> rusqlite::Result<bool> {
        let changed = self.change(|connection| {
            connection.execute(
                "UPDATE jobs SET state = 'queued', error = NULL, finished_at = NULL, interruptions = 0, aged_from = NULL
                 WHERE id = ?1 AND state IN ('failed', 'cancelled')
                   AND (SELECT count(*) FROM jobs WHERE state = 'queued') < ?2",
                params![id, limit],
            )
        })?;
        Ok(changed > 0)
    }

    /// Puts a job that was stopped with the server back into the queue.
    pub(crate) fn put_back(&self, id: &str) -> rusqlite::Result<()> {
        self.lock().execute(
            "UPDATE jobs SET state = 'queued', interruptions = max(interruptions, 1) WHERE id = ?1 AND state = 'running'",
            [id],
        )?;
        Ok(())
    }

    /// At the start: jobs that ran when the server died are queued again, but those during which it died `limit`
    /// times have failed with `error`.
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

    /// Removes the row; the folder is to follow, see [`Db::settle`].
    pub(crate) fn remove_job(&self, id: &str) -> rusqlite::Result<bool> {
        let removed = self.change(|connection| {
            let change = connection.transaction()?;
            rows::begin(&change, id)?;
            let removed = change.execute("DELETE FROM jobs WHERE id = ?1", [id])? > 0;
            change.commit()?;
            Ok(removed)
        })?;
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        unwritten.remove(id);
        Ok(removed)
    }

    /// Jobs whose age began before `old`, an age of the server.
    pub(crate) fn old_jobs(&self, old: i64) -> rusqlite::Result<Vec<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare(
            "SELECT id FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND aged_from < ?1",
        )?;
        let rows = statement.query_map([old], |row| row.get(0))?;
        rows.collect()
    }
}
