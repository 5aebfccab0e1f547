//! The `uploads` table. The number of received bytes is not stored: it is the length of the upload's file.

use rusqlite::{OptionalExtension, Row, params};

use super::{Db, Page, rows};

/// Row of an upload.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) id: String,
    /// The client's file name.
    pub(crate) name: String,
    /// The extension of the stored file.
    pub(crate) extension: String,
    /// Bytes of the complete file.
    pub(crate) size: u64,
    pub(crate) state: UploadState,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
}

/// State of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadState {
    Receiving,
    Complete,
}

impl UploadState {
    /// Returns the name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Complete => "complete",
        }
    }
}

/// Columns that [`upload`] reads, in this order.
pub(super) const COLUMNS: &str = "seq, id, name, extension, size, complete, created_at";

/// Converts a row with [`COLUMNS`] to an upload.
fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    Ok(Upload {
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

impl Upload {
    /// Returns the name of the stored file.
    pub(crate) fn file(&self) -> String {
        format!("{}.{}", self.id, self.extension)
    }
}

impl Db {
    /// Adds the row of an upload whose file exists, and removes its name from the `pending` table.
    pub(crate) fn add_upload(&self, upload: &Upload) -> rusqlite::Result<()> {
        let complete = upload.state == UploadState::Complete;
        let mut connection = self.lock();
        let change = connection.transaction()?;
        change.execute(
            "INSERT INTO uploads (id, name, extension, size, complete, created_at, touched_at, aged_from)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
            params![
                upload.id,
                upload.name,
                upload.extension,
                upload.size,
                complete,
                upload.created_at,
                self.uptime_ms()
            ],
        )?;
        rows::clear_pending(&change, &upload.file())?;
        change.commit()
    }

    /// Reports whether a row with this id exists, even an unreadable one.
    pub(crate) fn has_upload(&self, id: &str) -> rusqlite::Result<bool> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT 1 FROM uploads WHERE id = ?1")?;
        statement.exists([id])
    }

    /// Returns the upload `id`, if there is one.
    pub(crate) fn upload(&self, id: &str) -> rusqlite::Result<Option<Upload>> {
        let sql = format!("SELECT {COLUMNS} FROM uploads WHERE id = ?1");
        self.lock().query_row(&sql, [id], upload).optional()
    }

    /// Returns up to `limit` uploads with sequence numbers below `before`, newest first.
    pub(crate) fn uploads(&self, before: i64, limit: usize) -> rusqlite::Result<Page<Upload>> {
        let sql = format!("SELECT {COLUMNS} FROM uploads WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2");
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        let found =
            statement.query_map(params![before, limit + 1], |row| self.read_or_report(row, upload))?;
        let mut found = found.collect::<Result<Vec<_>, _>>()?;
        let more = found.len() > limit;
        found.truncate(limit);
        Ok(Page::new(found, more))
    }

    /// Returns incomplete uploads last written before `idle`, and uploads complete since before `old`, both in milliseconds
    /// of total uptime.
    pub(crate) fn expired_uploads(&self, idle: i64, old: i64) -> rusqlite::Result<Vec<Upload>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM uploads WHERE (NOT complete AND aged_from < ?1) OR (complete AND aged_from < ?2)"
        );
        let connection = self.lock();
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map([idle, old], |row| self.read_or_report(row, upload))?;
        rows.filter_map(|row| row.map(|(_, upload)| upload).transpose())
            .collect()
    }

    /// Returns the incomplete uploads.
    pub(crate) fn receiving(&self) -> rusqlite::Result<Vec<Upload>> {
        let connection = self.lock();
        let sql = format!("SELECT {COLUMNS} FROM uploads WHERE NOT complete");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| self.read_or_report(row, upload))?;
        rows.filter_map(|row| row.map(|(_, upload)| upload).transpose())
            .collect()
    }

    /// Updates size and completeness of an upload, and restarts its retention time.
    pub(crate) fn touch_upload(&self, id: &str, now: i64, size: u64, complete: bool) -> rusqlite::Result<()> {
        self.lock().execute(
            "UPDATE uploads SET touched_at = ?2, size = ?3, complete = ?4, aged_from = ?5 WHERE id = ?1",
            params![id, now, size, complete, self.uptime_ms()],
        )?;
        Ok(())
    }

    /// Removes the row of an upload and marks its file as pending, see [`Db::clear_pending`]; reports whether it existed.
    pub(crate) fn remove_upload(&self, id: &str, file: &str) -> rusqlite::Result<bool> {
        self.write(|connection| {
            let change = connection.transaction()?;
            rows::mark_pending(&change, file)?;
            let removed = change.execute("DELETE FROM uploads WHERE id = ?1", [id])? > 0;
            change.commit()?;
            Ok(removed)
        })
    }
}
