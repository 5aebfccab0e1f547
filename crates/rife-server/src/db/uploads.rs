//! Uploads as rows. How much of one has been received is what its file holds.

use rusqlite::{OptionalExtension, Row, params};

use super::{Db, Page};

/// An upload.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) extension: String,
    pub(crate) size: u64,
    pub(crate) state: UploadState,
    pub(crate) created_at: i64,
}

/// Whether all of it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadState {
    Receiving,
    Complete,
}

impl UploadState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Complete => "complete",
        }
    }
}

const COLUMNS: &str = "seq, id, name, extension, size, complete, created_at";

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    Ok(Upload {
        seq: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        extension: row.get(3)?,
        size: row.get(4)?,
        state: if row.get(5)? {
            UploadState::Complete
        } else {
            UploadState::Receiving
        },
        created_at: row.get(6)?,
    })
}

impl Db {
    pub(crate) fn add_upload(&self, upload: &Upload) -> rusqlite::Result<()> {
        let complete = upload.state == UploadState::Complete;
        self.lock().execute(
            "INSERT INTO uploads (id, name, extension, size, complete, created_at, touched_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
            params![
                upload.id,
                upload.name,
                upload.extension,
                upload.size,
                complete,
                upload.created_at
            ],
        )?;
        Ok(())
    }

    pub(crate) fn upload(&self, id: &str) -> rusqlite::Result<Option<Upload>> {
        let sql = format!("SELECT {COLUMNS} FROM uploads WHERE id = ?1");
        self.lock().query_row(&sql, [id], upload).optional()
    }

    pub(crate) fn uploads(&self, before: i64, limit: usize) -> rusqlite::Result<Page<Upload>> {
        let sql = format!("SELECT {COLUMNS} FROM uploads WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2");
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![before, limit + 1], upload)?;
        Ok(Page::new(rows.collect::<Result<_, _>>()?, limit, |upload| {
            upload.seq
        }))
    }

    /// Uploads that were last written to before `idle`, or have been complete since before `old`.
    pub(crate) fn stale_uploads(&self, idle: i64, old: i64) -> rusqlite::Result<Vec<Upload>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM uploads WHERE (NOT complete AND touched_at < ?1) OR (complete AND touched_at < ?2)"
        );
        let connection = self.lock();
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map([idle, old], upload)?;
        rows.collect()
    }

    /// Uploads that are still coming.
    pub(crate) fn receiving(&self) -> rusqlite::Result<Vec<Upload>> {
        let connection = self.lock();
        let sql = format!("SELECT {COLUMNS} FROM uploads WHERE NOT complete");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], upload)?;
        rows.collect()
    }

    pub(crate) fn touch_upload(&self, id: &str, now: i64, size: u64, complete: bool) -> rusqlite::Result<()> {
        self.lock().execute(
            "UPDATE uploads SET touched_at = ?2, size = ?3, complete = ?4 WHERE id = ?1",
            params![id, now, size, complete],
        )?;
        Ok(())
    }

    pub(crate) fn remove_upload(&self, id: &str) -> rusqlite::Result<bool> {
        Ok(self.lock().execute("DELETE FROM uploads WHERE id = ?1", [id])? > 0)
    }
}
