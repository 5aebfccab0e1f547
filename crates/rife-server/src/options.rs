//! The options of jobs from JSON, each with its range. What they mean is the library's business.

use num_rational::Ratio;
use rife::media::{Codec, time};
use rife::models::{Lock, installed, models_folder};
use rife::nets::Scale;
use rife::{InterpolatorSpec, ModelChoice, Precision, TimestepMethod};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

use crate::error::{ApiError, Result};

/// The fields of [`ModelOptions`].
const MODEL: [&str; 6] = [
    "model",
    "scale",
    "precision",
    "tta",
    "ensemble",
    "timestep_method",
];
/// The fields of [`EncodeOptions`].
const ENCODE: [&str; 4] = ["ext", "codec", "crf", "preset"];

/// What to interpolate with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ModelOptions {
    model: Option<String>,
    scale: Option<f64>,
    precision: Option<String>,
    tta: bool,
    ensemble: bool,
    timestep_method: Method,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    #[default]
    Auto,
    Direct,
    Recursive,
}

impl ModelOptions {
    /// Takes its fields out of `options`.
    pub(crate) fn take(options: &mut Map<String, Value>) -> Result<Self> {
        let taken: Self = parse(split(options, &MODEL))?;
        taken.scale()?;
        taken.choice()?;
        taken.precision()?;
        Ok(taken)
    }

    /// What the library is to interpolate with.
    pub(crate) fn spec(&self) -> Result<InterpolatorSpec> {
        Ok(InterpolatorSpec {
            model: self.choice()?,
            precision: self.precision()?,
            scale: self.scale()?,
            tta: self.tta,
            ensemble: self.ensemble,
            method: match self.timestep_method {
                Method::Auto => TimestepMethod::Auto,
                Method::Direct => TimestepMethod::Direct,
                Method::Recursive => TimestepMethod::Recursive,
            },
            ..InterpolatorSpec::default()
        })
    }

    fn scale(&self) -> Result<Scale> {
        let wanted = self.scale.unwrap_or(1.0);
        let found = Scale::ALL
            .into_iter()
            .find(|scale| f64::from(scale.factor()) == wanted);
        found.ok_or_else(|| {
            ApiError::option(
                "scale",
                format!("scale {wanted} is not one of 0.25, 0.5, 1, 2, 4"),
            )
        })
    }

    fn precision(&self) -> Result<Precision> {
        let Some(name) = &self.precision else {
            return Ok(Precision::default());
        };
        let here = Precision::available();
        let names: Vec<_> = here.iter().map(|precision| precision.name()).collect();
        let found = here.iter().find(|precision| precision.name() == name);
        found.copied().ok_or_else(|| {
            let text = format!("precision {name:?} is not one of {}", names.join(", "));
            ApiError::option("precision", text)
        })
    }

    /// A model that was pulled, by name: a client's text is never taken for a path.
    fn choice(&self) -> Result<ModelChoice> {
        let Some(name) = self.model.as_deref().filter(|name| *name != "default") else {
            return Ok(ModelChoice::Default);
        };
        let unknown = || ApiError::option("model", "no such model; GET /api/v1/models lists them");
        let folder = models_folder().map_err(|_| unknown())?;
        let known = Lock::read(&folder).is_ok_and(|lock| lock.models.contains_key(name));
        let path = known
            .then(|| installed(&folder, name).ok())
            .flatten()
            .ok_or_else(unknown)?;
        Ok(ModelChoice::Named(path.display().to_string()))
    }
}

/// How a result is encoded.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EncodeOptions {
    pub(crate) ext: Option<String>,
    codec: Option<CodecName>,
    pub(crate) crf: Option<u32>,
    pub(crate) preset: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CodecName {
    H264,
    H265,
    Av1,
    Vp9,
    Prores,
    Ffv1,
    Gif,
}

impl EncodeOptions {
    /// Takes its fields out of `options`; `more` are extensions beside those of videos.
    pub(crate) fn take(options: &mut Map<String, Value>, more: &[&str]) -> Result<Self> {
        let taken: Self = parse(split(options, &ENCODE))?;
        let known = ["mp4", "mov", "mkv", "webm", "gif"];
        let extension = taken.extension();
        if !known.contains(&extension) && !more.contains(&extension) {
            let accepted = [&known, more].concat().join(", ");
            return Err(ApiError::option(
                "ext",
                format!("ext {extension:?} is not one of {accepted}"),
            ));
        }
        check_crf(taken.crf, 63)?;
        check_preset(taken.preset.as_deref())?;
        Ok(taken)
    }

    pub(crate) fn extension(&self) -> &str {
        self.ext.as_deref().unwrap_or("mp4")
    }

    pub(crate) fn codec(&self) -> Option<Codec> {
        self.codec.map(|codec| match codec {
            CodecName::H264 => Codec::H264,
            CodecName::H265 => Codec::H265,
            CodecName::Av1 => Codec::Av1,
            CodecName::Vp9 => Codec::Vp9,
            CodecName::Prores => Codec::ProRes,
            CodecName::Ffv1 => Codec::Ffv1,
            CodecName::Gif => Codec::Gif,
        })
    }
}

/// A rate: a number or a string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate(pub(crate) Ratio<i64>);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = plain(Value::deserialize(deserializer)?);
        let wrong =
            || D::Error::custom("a rate is above 0 and up to 1000, such as 60, 59.94 or \"60000/1001\"");
        time::parse_rate(&text).map(Self).ok_or_else(wrong)
    }
}

/// A factor: a number or a string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor(pub(crate) Ratio<i64>);

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = plain(Value::deserialize(deserializer)?);
        let wrong = || D::Error::custom("a factor is from 1 to 256, such as 2, 2.5 or \"7/3\"");
        time::parse_factor(&text).map(Self).ok_or_else(wrong)
    }
}

/// A time from 0 to 1: a number or a string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fraction(pub(crate) Ratio<i64>);

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = plain(Value::deserialize(deserializer)?);
        let value = time::parse_decimal(&text).or_else(|| time::parse_fraction(&text));
        let inside = value.filter(|value| (Ratio::from(0)..=Ratio::from(1)).contains(value));
        inside
            .map(Self)
            .ok_or_else(|| D::Error::custom("a time is from 0 to 1, such as 0.5 or \"1/3\""))
    }
}

/// A size such as `1280x720`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) [u32; 2]);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let sides = text
            .split_once('x')
            .and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
        let inside = sides.filter(|sides: &[u32; 2]| sides.iter().all(|side| (16..=16384).contains(side)));
        inside
            .map(Self)
            .ok_or_else(|| D::Error::custom("a size is WIDTHxHEIGHT, 16 to 16384 each, such as 1280x720"))
    }
}

/// A number or a string as text.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// What becomes of pictures of another shape.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fit {
    #[default]
    Pad,
    Crop,
    Stretch,
}

impl From<Fit> for rife::media::Fit {
    fn from(fit: Fit) -> Self {
        match fit {
            Fit::Pad => Self::Pad,
            Fit::Crop => Self::Crop,
            Fit::Stretch => Self::Stretch,
        }
    }
}

/// Takes the fields called `names` out of `options`.
fn split(options: &mut Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let taken = names.iter().filter_map(|name| options.remove_entry(*name));
    taken.collect()
}

/// `options` as a `T`, with the field's name where one is wrong.
pub(crate) fn parse<T: DeserializeOwned>(options: Map<String, Value>) -> Result<T> {
    serde_path_to_error::deserialize(Value::Object(options)).map_err(|error| {
        let field = error.path().to_string();
        ApiError::option(&field, error.inner().to_string())
    })
}

pub(crate) fn check_crf(crf: Option<u32>, most: u32) -> Result<()> {
    match crf {
        Some(crf) if crf > most => Err(ApiError::option(
            "crf",
            format!("crf {crf} is not from 0 to {most}"),
        )),
        _ => Ok(()),
    }
}

/// A preset goes to an encoder by name: nothing but a short word passes.
pub(crate) fn check_preset(preset: Option<&str>) -> Result<()> {
    let word = |text: &str| {
        (1..=20).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    match preset {
        Some(text) if !word(text) => Err(ApiError::option(
            "preset",
            "a preset is a short word, such as slow or veryfast, or a number",
        )),
        _ => Ok(()),
    }
}

/// Whether `value` is within `from` to `to`.
pub(crate) fn check_range<T: PartialOrd + std::fmt::Display>(
    field: &str,
    value: T,
    from: T,
    to: T,
) -> Result<()> {
    if value >= from && value <= to {
        return Ok(());
    }
    Err(ApiError::option(
        field,
        format!("{field} {value} is not from {from} to {to}"),
    ))
}
