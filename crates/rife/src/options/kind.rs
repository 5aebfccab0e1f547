//! Types of option values: parsing from text (command line) and JSON (HTTP), with the same error messages for both.

use std::fmt;
use std::path::PathBuf;

use num_rational::Ratio;
use rife_media::source::Position;
use rife_media::time;
use rife_nets::{Scale, Version};

use crate::Device;
use crate::choice::ChoiceName;

/// Type and range of an option's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A switch.
    Flag,
    /// An integer from a minimum to a maximum.
    Whole(u64, u64),
    /// A real number from a minimum to a maximum.
    Number(f64, f64),
    /// An exact factor, 1 to 256: `2`, `2.5`, `7/3`.
    Factor,
    /// An exact rate in frames per second, above 0 up to 1000: `60`, `59.94`, `60000/1001`.
    Rate,
    /// An exact timestep, 0 to 1: `0.5`, `1/3`.
    Time,
    /// A position in a clip: seconds, timecode or frame number: `62.5`, `00:01:02.500`, `120f`.
    Position,
    /// `WIDTHxHEIGHT`, 16 to 16384 each.
    Size,
    /// One of [`Scale::ALL`] as a number.
    Scale,
    /// A number of bytes with a unit: `700M`, `1.5G`, powers of 1024.
    Bytes,
    /// A file name extension.
    Extension,
    /// One of several names.
    Choice(&'static [ChoiceName]),
    /// A word of up to 20 lower-case letters and digits, which is safe to pass on to an encoder.
    Word,
    /// Any text.
    Text,
    /// A path; only on the command line.
    Path,
}

/// The parsed value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The value of a [`Kind::Flag`].
    Flag(bool),
    /// The value of a [`Kind::Whole`] or [`Kind::Bytes`].
    Whole(u64),
    /// The value of a [`Kind::Number`] or [`Kind::Scale`].
    Number(f64),
    /// The value of a [`Kind::Factor`], [`Kind::Rate`] or [`Kind::Time`].
    Ratio(Ratio<i64>),
    /// The value of a [`Kind::Position`].
    Position(Position),
    /// The value of a [`Kind::Size`]: width and height.
    Size([u32; 2]),
    /// The value of a [`Kind::Choice`] (its name) and of all other texts.
    Text(String),
    /// The value of a [`Kind::Path`].
    Path(PathBuf),
}

/// Error for an invalid value. Displays what is accepted, such as "it is from 0 to 63".
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The value is no integer.
    Whole,
    /// The value is no number.
    Number,
    /// The value is neither true nor false.
    Flag,
    /// The value is no text.
    Text,
    /// The value is none of these names.
    OneOf(Vec<&'static str>),
    /// The value is out of range.
    Range {
        /// Minimum.
        from: f64,
        /// Maximum.
        to: f64,
    },
    /// The value is no [`Kind::Factor`].
    Factor,
    /// The value is no [`Kind::Rate`].
    Rate,
    /// The value is no [`Kind::Time`].
    Time,
    /// The value is no [`Kind::Position`].
    Position,
    /// The value is no [`Kind::Size`].
    Size,
    /// The value is no [`Kind::Word`].
    Word,
    /// The value is no [`Kind::Bytes`].
    Bytes,
    /// The value is no [`Kind::Extension`].
    Extension,
    /// Another reason, as a sentence on what is accepted.
    Other(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "it is a whole number",
            Self::Number => "it is a number",
            Self::Flag => "it is true or false",
            Self::Text => "it is a text",
            Self::OneOf(names) => return write!(f, "it is one of {}", names.join(", ")),
            Self::Range { from, to } => return write!(f, "it is from {from} to {to}"),
            Self::Factor => "a factor is from 1 to 256, such as 2, 2.5 or \"7/3\"",
            Self::Rate => "a rate is above 0 and up to 1000, such as 60, 59.94 or \"60000/1001\"",
            Self::Time => "a time is from 0 to 1, such as 0.5 or \"1/3\"",
            Self::Position => {
                "a position is seconds such as 62.5, a timecode such as 00:01:02.500, or frames such as 120f"
            }
            Self::Size => "a size is WIDTHxHEIGHT, 16 to 16384 each, such as 1280x720",
            Self::Word => "a preset is a short word, such as slow or veryfast, or a number",
            Self::Bytes => "a size is a number of bytes with K, M or G, such as 700M or 1.5G",
            Self::Extension => "an extension is a few letters, such as mp4 or mkv",
            Self::Other(text) => text,
        })
    }
}

impl std::error::Error for Refusal {}

impl Kind {
    /// Parses a value from text.
    ///
    /// # Errors
    /// [`Refusal`] for malformed texts and values out of range.
    pub fn parse(self, text: &str) -> Result<Value, Refusal> {
        Ok(match self {
            Self::Flag => Value::Flag(text.parse().map_err(|_| Refusal::Flag)?),
            Self::Whole(from, to) => {
                let value: i128 = text.parse().map_err(|_| Refusal::Whole)?;
                let inside = u64::try_from(value)
                    .ok()
                    .filter(|value| (from..=to).contains(value));
                Value::Whole(inside.ok_or(range(from as f64, to as f64))?)
            }
            Self::Number(from, to) => number(text.parse().map_err(|_| Refusal::Number)?, from, to)?,
            Self::Scale => scale(text.parse().map_err(|_| Refusal::Number)?)?,
            Self::Factor => Value::Ratio(time::parse_factor(text).ok_or(Refusal::Factor)?),
            Self::Rate => Value::Ratio(time::parse_rate(text).ok_or(Refusal::Rate)?),
            Self::Time => Value::Ratio(fraction(text).ok_or(Refusal::Time)?),
            Self::Position => Value::Position(text.parse().map_err(|_| Refusal::Position)?),
            Self::Size => Value::Size(size(text).ok_or(Refusal::Size)?),
            Self::Bytes => Value::Whole(bytes(text).ok_or(Refusal::Bytes)?),
            Self::Extension => Value::Text(extension(text).ok_or(Refusal::Extension)?),
            Self::Choice(names) => Value::Text(choice(text, names)?),
            Self::Word => Value::Text(word(text).ok_or(Refusal::Word)?),
            Self::Text => Value::Text(text.to_owned()),
            Self::Path => Value::Path(text.into()),
        })
    }

    /// Converts a JSON value; factors, rates and times may be numbers or strings.
    ///
    /// # Errors
    /// [`Refusal`] for values of other types and out of range.
    pub fn read(self, json: &serde_json::Value) -> Result<Value, Refusal> {
        match (self, json) {
            (Self::Flag, _) => json.as_bool().map(Value::Flag).ok_or(Refusal::Flag),
            (Self::Whole(..), serde_json::Value::Number(found)) => self.parse(&found.to_string()),
            (Self::Whole(..), _) => Err(Refusal::Whole),
            (Self::Number(from, to), _) => number(json.as_f64().ok_or(Refusal::Number)?, from, to),
            (Self::Scale, _) => scale(json.as_f64().ok_or(Refusal::Number)?),
            (Self::Factor | Self::Rate | Self::Time | Self::Position, serde_json::Value::Number(found)) => {
                self.parse(&found.to_string())
            }
            // A capital X is accepted on the command line only.
            (Self::Size, serde_json::Value::String(text)) if text.contains('X') => Err(Refusal::Size),
            (_, serde_json::Value::String(text)) => self.parse(text),
            (Self::Factor, _) => Err(Refusal::Factor),
            (Self::Rate, _) => Err(Refusal::Rate),
            (Self::Time, _) => Err(Refusal::Time),
            (Self::Position, _) => Err(Refusal::Position),
            (Self::Size, _) => Err(Refusal::Size),
            (Self::Choice(names), _) => Err(one_of(names)),
            (Self::Bytes | Self::Extension | Self::Word | Self::Text | Self::Path, _) => Err(Refusal::Text),
        }
    }
}

/// Makes the error for a value out of range.
fn range(from: f64, to: f64) -> Refusal {
    Refusal::Range { from, to }
}

/// Checks that a number is within a range.
fn number(value: f64, from: f64, to: f64) -> Result<Value, Refusal> {
    let inside = (from..=to).contains(&value);
    inside.then_some(Value::Number(value)).ok_or(range(from, to))
}

/// Checks that a number is one of [`Scale::ALL`].
fn scale(value: f64) -> Result<Value, Refusal> {
    let names = || Refusal::OneOf(vec!["0.25", "0.5", "1", "2", "4"]);
    Scale::try_from(value)
        .map(|_| Value::Number(value))
        .map_err(|_| names())
}

/// Makes the error for a value that is none of the names.
fn one_of(names: &[ChoiceName]) -> Refusal {
    Refusal::OneOf(names.iter().map(|known| known.name).collect())
}

/// Checks that a text is one of the names.
fn choice(text: &str, names: &[ChoiceName]) -> Result<String, Refusal> {
    let known = names.iter().any(|known| known.name == text);
    known.then(|| text.to_owned()).ok_or_else(|| one_of(names))
}

/// Parses a timestep: a decimal or a fraction from 0 to 1.
fn fraction(text: &str) -> Option<Ratio<i64>> {
    let value = time::parse_decimal(text).or_else(|| time::parse_fraction(text));
    value.filter(|value| (Ratio::from(0)..=Ratio::from(1)).contains(value))
}

/// Parses `WIDTHxHEIGHT`, 16 to 16384 each.
fn size(text: &str) -> Option<[u32; 2]> {
    let (width, height) = text.split_once(['x', 'X'])?;
    let sides = [width.parse().ok()?, height.parse().ok()?];
    sides
        .iter()
        .all(|side| (16..=16384).contains(side))
        .then_some(sides)
}

/// Parses a number of bytes: `700M`, `2G`, `1.5GB`, powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_uppercase();
    let number = text.trim_end_matches('B').trim_end_matches('I');
    let unit = |letter: char, power: u32| number.strip_suffix(letter).map(|rest| (rest, 1_u64 << power));
    let (number, unit) = unit('K', 10)
        .or_else(|| unit('M', 20))
        .or_else(|| unit('G', 30))
        .unwrap_or((number, 1));
    let value = number.trim().parse::<f64>().ok()?;
    let inside = value.is_finite() && value > 0.0 && value < 1e9;
    inside.then_some((value * unit as f64) as u64)
}

/// Parses a file name extension of up to 8 letters and digits, with or without a dot.
fn extension(text: &str) -> Option<String> {
    let text = text.trim_start_matches('.');
    let plain = (1..=8).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric());
    plain.then(|| text.to_owned())
}

/// Parses a word of up to 20 lower-case letters and digits.
fn word(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let short = (1..=20).contains(&text.len()) && text.bytes().all(plain);
    short.then(|| text.to_owned())
}

/// A type of a field of an option struct.
pub trait FromValue: Sized {
    /// Converts an option's value to this type.
    ///
    /// # Errors
    /// [`Refusal`] for values of other kinds, or out of this type's range.
    fn from_value(value: &Value) -> Result<Self, Refusal>;
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self, Refusal> {
        T::from_value(value).map(Some)
    }
}

/// Implements [`FromValue`] for types, each from one variant of [`Value`].
macro_rules! from_value {
    ($($type:ty: $pattern:pat => $value:expr, else $refusal:expr;)+) => {$(
        impl FromValue for $type {
            fn from_value(value: &Value) -> Result<Self, Refusal> {
                match value {
                    $pattern => Ok($value),
                    _ => Err($refusal),
                }
            }
        }
    )+};
}

from_value! {
    bool: Value::Flag(on) => *on, else Refusal::Flag;
    u32: Value::Whole(number) => (*number).try_into().map_err(|_| Refusal::Whole)?, else Refusal::Whole;
    u64: Value::Whole(number) => *number, else Refusal::Whole;
    f32: Value::Number(number) => *number as f32, else Refusal::Number;
    f64: Value::Number(number) => *number, else Refusal::Number;
    Scale: Value::Number(number) => Scale::try_from(*number).map_err(|e| Refusal::Other(e.to_string()))?, else Refusal::Number;
    Ratio<i64>: Value::Ratio(ratio) => *ratio, else Refusal::Number;
    Position: Value::Position(position) => *position, else Refusal::Position;
    [u32; 2]: Value::Size(sides) => *sides, else Refusal::Size;
    String: Value::Text(text) => text.clone(), else Refusal::Text;
    PathBuf: Value::Path(path) => path.clone(), else Refusal::Text;
    Device: Value::Text(text) => text.parse().map_err(|e: crate::Error| Refusal::Other(e.to_string()))?, else Refusal::Text;
    Version: Value::Text(text) => text.parse().map_err(|e: rife_nets::NetworkError| Refusal::Other(e.to_string()))?, else Refusal::Text;
}
