//! The `presets` table: named options of a kind of job.

use rusqlite::{Row, params};
use serde_json::Value;

use super::Db;
use crate::state::kind::Kind;

/// Named options of a kind of job.
#[derive(Debug, Clone)]
pub(crate) struct Preset {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The options as in a job request.
    pub(crate) options: Value,
}

/// Converts a row to a preset.
fn preset(row: &Row<'_>) -> rusqlite::Result<Preset> {
    let options: String = row.get(2)?;
    let wrong =
        |error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(error));
    Ok(Preset {
        name: row.get(0)?,
        kind: row.get(1)?,
        options: serde_json::from_str(&options).map_err(wrong)?,
    })
}

impl Db {
    /// Returns all presets, by name.
    pub(crate) fn presets(&self) -> rusqlite::Result<Vec<Preset>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT name, kind, options FROM presets ORDER BY name")?;
        let rows = statement.query_map([], preset)?;
        rows.collect()
    }

    /// Stores a preset, replacing one of the same name, unless there are `limit` others; reports whether it did.
    pub(crate) fn save_preset(&self, preset: &Preset, limit: usize) -> rusqlite::Result<bool> {
        let changed = self.write(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO presets (name, kind, options) SELECT ?1, ?2, ?3
                 WHERE (SELECT count(*) FROM presets WHERE name <> ?1) < ?4",
                params![preset.name, preset.kind, preset.options.to_string(), limit],
            )
        })?;
        Ok(changed > 0)
    }

    /// Deletes the preset `name`, and reports whether there was one.
    pub(crate) fn delete_preset(&self, name: &str) -> rusqlite::Result<bool> {
        let changed =
            self.write(|connection| connection.execute("DELETE FROM presets WHERE name = ?1", [name]))?;
        Ok(changed > 0)
    }
}
