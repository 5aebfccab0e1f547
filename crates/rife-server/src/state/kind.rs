//! Job kinds, with their names in the API and the database.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Deserialize;

/// Kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Raises the frame rate of a clip.
    Video,
    /// Interpolates between pictures.
    Images,
    /// Joins clips with interpolated transitions.
    Chain,
    /// Converts a clip to a widely playable format, without a network.
    Reencode,
    /// Measures the quality of interpolation on a clip.
    Report,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 5] = [
        Self::Video,
        Self::Images,
        Self::Chain,
        Self::Reencode,
        Self::Report,
    ];

    /// Returns the name in the API and the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Images => "images",
            Self::Chain => "chain",
            Self::Reencode => "reencode",
            Self::Report => "report",
        }
    }

    /// Returns the kind called `name`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the accepted numbers of inputs.
    pub(crate) fn inputs(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Video | Self::Reencode | Self::Report => 1..=1,
            Self::Images => 2..=rife::image::MAX_PICTURES,
            Self::Chain => 2..=rife::chain::MAX_CLIPS,
        }
    }
}

impl ToSql for Kind {
    /// Stores the kind as its name.
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for Kind {
    /// Parses the name of a kind.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).ok_or(rusqlite::types::FromSqlError::InvalidType)
    }
}
