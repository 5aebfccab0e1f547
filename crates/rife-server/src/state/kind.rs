//! Kinds of jobs, as the API and the database name them.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Deserialize;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Video,
    Images,
    Chain,
    Reencode,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Video, Self::Images, Self::Chain, Self::Reencode];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Images => "images",
            Self::Chain => "chain",
            Self::Reencode => "reencode",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How many inputs it takes.
    pub(crate) fn inputs(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Video | Self::Reencode => 1..=1,
            Self::Images => 2..=rife::image::MAX_PICTURES,
            Self::Chain => 2..=rife::chain::MAX_CLIPS,
        }
    }

    /// Whether an interrupted one goes on where it was. Pictures are few, and are made anew.
    pub(crate) fn resumes(self) -> bool {
        self != Self::Images
    }
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).ok_or(rusqlite::types::FromSqlError::InvalidType)
    }
}
