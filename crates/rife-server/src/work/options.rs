//! The options of jobs from JSON, each with its range. What they mean is the library's business.

use std::path::Path;

use num_rational::Ratio;
use rife::media::{Codec, Container, time};
use rife::models::{Lock, installed, models_folder};
use rife::nets::Scale;
use rife::{InterpolatorSpec, ModelChoice, Precision, TimestepMethod};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

use crate::error::{ApiError, Result};
use crate::reason::Reason;

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

/// The extensions of videos.
const VIDEOS: [&str; 5] = ["mp4", "mov", "mkv", "webm", "gif"];

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
        let mut spec = InterpolatorSpec::default();
        spec.model = self.choice()?;
        spec.precision = self.precision()?;
        spec.scale = self.scale()?;
        spec.tta = self.tta;
        spec.ensemble = self.ensemble;
        spec.method = match self.timestep_method {
            Method::Auto => TimestepMethod::Auto,
            Method::Direct => TimestepMethod::Direct,
            Method::Recursive => TimestepMethod::Recursive,
        };
        Ok(spec)
    }

    fn scale(&self) -> Result<Scale> {
        let wanted = self.scale.unwrap_or(1.0);
        let found = Scale::ALL
            .into_iter()
            .find(|scale| f64::from(scale.factor()) == wanted);
        let accepted = "0.25, 0.5, 1, 2, 4";
        found.ok_or_else(|| one_of("scale", &wanted.to_string(), accepted))
    }

    fn precision(&self) -> Result<Precision> {
        let Some(name) = &self.precision else {
            return Ok(Precision::default());
        };
        let here = Precision::available();
        let names: Vec<_> = here.iter().map(|precision| precision.name()).collect();
        let found = here.iter().find(|precision| precision.name() == name);
        found
            .copied()
            .ok_or_else(|| one_of("precision", name, &names.join(", ")))
    }

    /// A model that was pulled, by name: a client's text is never taken for a path.
    fn choice(&self) -> Result<ModelChoice> {
        let Some(name) = self.model.as_deref().filter(|name| *name != "default") else {
            return Ok(ModelChoice::Default);
        };
        let unknown = || ApiError::option("model", Reason::OptionModel, [("value", name.into())]);
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

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
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
        let known = VIDEOS;
        let extension = taken.extension();
        if !known.contains(&extension) && !more.contains(&extension) {
            return Err(one_of("ext", extension, &[&known, more].concat().join(", ")));
        }
        if taken.ext.is_some() {
            taken.check_codec()?;
        }
        check_crf(taken.crf, 63)?;
        check_preset(taken.preset.as_deref())?;
        Ok(taken)
    }

    /// Whether the container, mp4 unless another is asked for, holds the codec. A video's own default is its source's
    /// container, which is not known yet.
    pub(crate) fn check_codec(&self) -> Result<()> {
        let (Some(codec), extension) = (self.codec(), self.extension()) else {
            return Ok(());
        };
        if codecs(extension).contains(&codec) {
            return Ok(());
        }
        let held = names(extension).join(", ");
        let accepted = if held.is_empty() {
            "pictures, without a codec".into()
        } else {
            held
        };
        let known = CODECS.iter().find(|(.., one)| *one == codec);
        Err(ApiError::option(
            "codec",
            Reason::CodecContainer,
            [
                ("ext", extension.into()),
                ("value", known.map_or("", |(_, name, _)| name).into()),
                ("accepted", accepted.into()),
            ],
        ))
    }

    pub(crate) fn extension(&self) -> &str {
        self.ext.as_deref().unwrap_or("mp4")
    }

    pub(crate) fn codec(&self) -> Option<Codec> {
        let name = self.codec?;
        CODECS
            .iter()
            .find(|(known, ..)| *known == name)
            .map(|(_, _, codec)| *codec)
    }
}

/// Codecs, as they are asked for and as the library has them.
const CODECS: [(CodecName, &str, Codec); 7] = [
    (CodecName::H264, "h264", Codec::H264),
    (CodecName::H265, "h265", Codec::H265),
    (CodecName::Av1, "av1", Codec::Av1),
    (CodecName::Vp9, "vp9", Codec::Vp9),
    (CodecName::Prores, "prores", Codec::ProRes),
    (CodecName::Ffv1, "ffv1", Codec::Ffv1),
    (CodecName::Gif, "gif", Codec::Gif),
];

/// The codecs that a file of this extension holds; none for pictures.
fn codecs(extension: &str) -> Vec<Codec> {
    let container = Container::of(Path::new(&format!("a.{extension}")));
    container.map_or_else(|_| Vec::new(), |container| container.codecs().collect())
}

/// The same by the words in which they are asked for.
fn names(extension: &str) -> Vec<&'static str> {
    let held = codecs(extension);
    let known = CODECS.iter().filter(|(.., codec)| held.contains(codec));
    known.map(|(_, name, _)| *name).collect()
}

/// The codecs that a result of each extension may have.
pub(crate) fn containers() -> Value {
    let all = VIDEOS.iter().chain(&["webp", "png"]);
    Value::Object(
        all.map(|extension| ((*extension).to_owned(), names(extension).into()))
            .collect(),
    )
}

fn one_of(field: &str, value: &str, accepted: &str) -> ApiError {
    let pairs = [("value", value.into()), ("accepted", accepted.into())];
    ApiError::option(field, Reason::OptionChoice, pairs)
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
    let given = options.clone();
    serde_path_to_error::deserialize(Value::Object(options)).map_err(|error| {
        let field = error.path().to_string();
        let unknown = error.inner().to_string().starts_with("unknown field");
        misfit(&field, given.get(&field).filter(|_| !unknown))
    })
}

/// What an option takes.
enum Takes {
    Whole,
    Number,
    Flag,
    Text,
    Factor,
    Rate,
    Time,
    Size,
    OneOf(&'static str),
}

/// What the option of this name takes.
fn takes(field: &str) -> Option<Takes> {
    Some(match field {
        "passes" | "crf" => Takes::Whole,
        "factor" => Takes::Factor,
        "scale" | "cut_threshold" | "min_psnr" | "max_bias" | "max_shift" => Takes::Number,
        "tta" | "ensemble" | "slow_motion" | "stretch_audio" | "deinterlace" | "inverse_telecine"
        | "allow_interlaced" | "video_only" | "montage" | "confidence" | "force" => Takes::Flag,
        "model" | "precision" | "ext" | "preset" => Takes::Text,
        "fps" => Takes::Rate,
        "timestep" => Takes::Time,
        "size" => Takes::Size,
        "timestep_method" => Takes::OneOf("auto, direct, recursive"),
        "codec" => Takes::OneOf("h264, h265, av1, vp9, prores, ffv1, gif"),
        "cut_fill" => Takes::OneOf("repeat, blend"),
        "duplicates" => Takes::OneOf("smooth, keep"),
        "mask_static" => Takes::OneOf("auto, off"),
        "fit" => Takes::OneOf("pad, crop, stretch"),
        "memory" => Takes::OneOf("memory, disk"),
        "sound" => Takes::OneOf("crossfade, silence, drop"),
        "profile" => Takes::OneOf("web, latentsync, archive"),
        _ => return None,
    })
}

/// Why an option was refused, in words for who gave it: `value` is none where there is no such option.
fn misfit(field: &str, value: Option<&Value>) -> ApiError {
    let Some(value) = value else {
        return ApiError::option(field, Reason::OptionUnknown, []);
    };
    let shown = Value::from(short(value));
    let reason = match takes(field) {
        Some(Takes::OneOf(accepted)) => return one_of(field, &short(value), accepted),
        Some(Takes::Whole) => Reason::OptionWhole,
        Some(Takes::Number) => Reason::OptionNumber,
        Some(Takes::Flag) => Reason::OptionFlag,
        Some(Takes::Text) => Reason::OptionText,
        Some(Takes::Factor) => Reason::OptionFactor,
        Some(Takes::Rate) => Reason::OptionRate,
        Some(Takes::Time) => Reason::OptionTime,
        Some(Takes::Size) => Reason::OptionSize,
        None => Reason::OptionForm,
    };
    ApiError::option(field, reason, [("value", shown)])
}

/// A value as JSON, cut where it is long.
fn short(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}

pub(crate) fn check_crf(crf: Option<u32>, most: u32) -> Result<()> {
    match crf {
        Some(crf) => check_range("crf", crf, 0, most),
        None => Ok(()),
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
        Some(text) if !word(text) => Err(ApiError::option("preset", Reason::OptionPreset, [])),
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
    let text = |value: T| Value::from(value.to_string());
    let pairs = [("value", text(value)), ("from", text(from)), ("to", text(to))];
    Err(ApiError::option(field, Reason::OptionRange, pairs))
}
