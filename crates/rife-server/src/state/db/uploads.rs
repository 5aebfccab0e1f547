//! Uploads as rows. How much of one has been received is what its file holds.

use rusqlite::{OptionalExtension, Row, params};

use super::{Db, Page, rows};

/// An upload.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
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

pub(super) const COLUMNS: &str = "seq, id, name, extension, size, complete, created_at";

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
    /// What its file is called.
    pub(crate) fn file(&self) -> String {
        format!("{}.{}", self.id, self.extension)
    }
}

impl Db {
    /// Adds the row of a file that is there.
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
                self.age()
            ],
        )?;
        rows::settle(&change, &upload.file())?;
        change.commit()
    }

    /// Whether there is a row of this id, also one that cannot be read.
    pub(crate) fn has_upload(&self, id: &str) -> rusqlite::Result<bool> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT 1 FROM uploads WHERE id = ?1")?;
        statement.exists([id])
    }

    pub(crate) fn upload(&self, id: &str) -> rusqlite::Result<Option<Upload>> {
        let sql = format!("SELECT {COLUMNS} FROM uploads WHERE id = ?1");
        self.lock().query_row(&sql, [id], upload).optional()
    }

    pub(crate) fn uploads(&self, before: i64, limit: usize) -> rusqlite::Result<Page<Upload>> {
        let sql = format!("SELECT {COLUMNS} FROM uploads WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2");
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        let found = statement.query_map(params![before, limit + 1], |row| self.lenient(row, upload))?;
        let mut found = found.collect::<Result<Vec<_>, _>>()?;
        let more = found.len() > limit;
        found.truncate(limit);
        Ok(Page::new(found, more))
    }

    /// Uploads that were last written to before `idle`, or have been complete since before `old`, both as ages of the
    /// server.
    pub(crate) fn stale_uploads(&self, idle: i64, old: i64) -> rusqlite::Result<Vec<Upload>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM uploads WHERE (NOT complete AND aged_from < ?1) OR (complete AND aged_from < ?2)"
        );
        let connection = self.lock();
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map([idle, old], |row| self.lenient(row, upload))?;
        rows.filter_map(|row| row.map(|(_, upload)| upload).transpose())
            .collect()
    }

    /// Uploads that are still coming.
    pub(crate) fn receiving(&self) -> rusqlite::Result<Vec<Upload>> {
        let connection = self.lock();
        let sql = format!("SELECT {COLUMNS} FROM uploads WHERE NOT complete");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| self.lenient(row, upload))?;
        rows.filter_map(|row| row.map(|(_, upload)| upload).transpose())
            .collect()
    }

    pub(crate) fn touch_upload(&self, id: &str, now: i64, size: u64, complete: bool) -> rusqlite::Result<()> {
        self.lock().execute(
            "UPDATE uploads SET touched_at = ?2, size = ?3, complete = ?4, aged_from = ?5 WHERE id = ?1",
            params![id, now, size, complete, self.age()],
        )?;
        Ok(())
    }

    /// Removes the row; the file is to follow, see [`Db::settle`].
    pub(crate) fn remove_upload(&self, id: &str, file: &str) -> rusqlite::Result<bool> {
        self.change(|connection| {
            let change = connection.transaction()?;
            rows::begin(&change, file)?;
            let removed = change.execute("DELETE FROM uploads WHERE id = ?1", [id])? > 0;
            change.commit()?;
            Ok(removed)
        })
    }
}
