//! Parsing and validation of job options in JSON: types, ranges, and errors that name the option.

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

/// Names of the fields of [`ModelOptions`].
const MODEL: [&str; 6] = [
    "model",
    "scale",
    "precision",
    "tta",
    "ensemble",
    "timestep_method",
];
/// Names of the fields of [`EncodeOptions`].
const ENCODE: [&str; 4] = ["ext", "codec", "crf", "preset"];

/// Accepted values of `ext` for videos.
const VIDEOS: [&str; 5] = ["mp4", "mov", "mkv", "webm", "gif"];

/// Options of all kinds that use a network.
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

/// Option `timestep_method`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    #[default]
    Auto,
    Direct,
    Recursive,
}

impl ModelOptions {
    /// Removes the fields called [`MODEL`] from `options` and validates them.
    pub(crate) fn take(options: &mut Map<String, Value>) -> Result<Self> {
        let taken: Self = parse(take_fields(options, &MODEL))?;
        taken.scale()?;
        taken.choice()?;
        taken.precision()?;
        Ok(taken)
    }

    /// Converts to the interpolator options of the `rife` crate.
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

    /// Parses `scale`, 1 by default.
    fn scale(&self) -> Result<Scale> {
        let wanted = self.scale.unwrap_or(1.0);
        let found = Scale::ALL
            .into_iter()
            .find(|scale| f64::from(scale.factor()) == wanted);
        let accepted = "0.25, 0.5, 1, 2, 4";
        found.ok_or_else(|| choice_error("scale", &wanted.to_string(), accepted))
    }

    /// Parses `precision`; an error if this processor does not support it.
    fn precision(&self) -> Result<Precision> {
        let Some(name) = &self.precision else {
            return Ok(Precision::default());
        };
        let here = Precision::available();
        let names: Vec<_> = here.iter().map(|precision| precision.name()).collect();
        let found = here.iter().find(|precision| precision.name() == name);
        found
            .copied()
            .ok_or_else(|| choice_error("precision", name, &names.join(", ")))
    }

    /// Resolves `model`: the default, or the name of a downloaded model; never a path.
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

/// Options of container and encoder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EncodeOptions {
    pub(crate) ext: Option<String>,
    codec: Option<CodecName>,
    pub(crate) crf: Option<u32>,
    pub(crate) preset: Option<String>,
}

/// Option `codec`.
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
    /// Removes the fields called [`ENCODE`] from `options` and validates them; `more` are extensions accepted in addition to
    /// [`VIDEOS`].
    pub(crate) fn take(options: &mut Map<String, Value>, more: &[&str]) -> Result<Self> {
        let taken: Self = parse(take_fields(options, &ENCODE))?;
        let known = VIDEOS;
        let extension = taken.extension();
        if !known.contains(&extension) && !more.contains(&extension) {
            return Err(choice_error(
                "ext",
                extension,
                &[&known, more].concat().join(", "),
            ));
        }
        if taken.ext.is_some() {
            taken.check_codec()?;
        }
        check_crf(taken.crf, 63)?;
        check_preset(taken.preset.as_deref())?;
        Ok(taken)
    }

    /// Returns an error if the container (`ext`, by default mp4) does not support the codec.
    pub(crate) fn check_codec(&self) -> Result<()> {
        let (Some(codec), extension) = (self.codec(), self.extension()) else {
            return Ok(());
        };
        if codecs(extension).contains(&codec) {
            return Ok(());
        }
        let supported = codec_names(extension).join(", ");
        let accepted = if supported.is_empty() {
            "pictures, without a codec".into()
        } else {
            supported
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

    /// Returns the extension of the result, by default `mp4`.
    pub(crate) fn extension(&self) -> &str {
        self.ext.as_deref().unwrap_or("mp4")
    }

    /// Returns the requested codec.
    pub(crate) fn codec(&self) -> Option<Codec> {
        let name = self.codec?;
        CODECS
            .iter()
            .find(|(known, ..)| *known == name)
            .map(|(_, _, codec)| *codec)
    }
}

/// Codecs with their names in the API and their values in the media crate.
const CODECS: [(CodecName, &str, Codec); 7] = [
    (CodecName::H264, "h264", Codec::H264),
    (CodecName::H265, "h265", Codec::H265),
    (CodecName::Av1, "av1", Codec::Av1),
    (CodecName::Vp9, "vp9", Codec::Vp9),
    (CodecName::Prores, "prores", Codec::ProRes),
    (CodecName::Ffv1, "ffv1", Codec::Ffv1),
    (CodecName::Gif, "gif", Codec::Gif),
];

/// Returns the codecs that a container supports, by its extension; none for pictures.
fn codecs(extension: &str) -> Vec<Codec> {
    let container = Container::of(Path::new(&format!("a.{extension}")));
    container.map_or_else(|_| Vec::new(), |container| container.codecs().collect())
}

/// Returns the API's names of the codecs that a container supports, by its extension.
fn codec_names(extension: &str) -> Vec<&'static str> {
    let supported = codecs(extension);
    let known = CODECS.iter().filter(|(.., codec)| supported.contains(codec));
    known.map(|(_, name, _)| *name).collect()
}

/// Returns a JSON object with the names of the supported codecs for each extension.
pub(crate) fn containers() -> Value {
    let all = VIDEOS.iter().chain(&["webp", "png"]);
    Value::Object(
        all.map(|extension| ((*extension).to_owned(), codec_names(extension).into()))
            .collect(),
    )
}

/// Returns the error for a value of option `field` that is not in the list `accepted`.
fn choice_error(field: &str, value: &str, accepted: &str) -> ApiError {
    let pairs = [("value", value.into()), ("accepted", accepted.into())];
    ApiError::option(field, Reason::OptionChoice, pairs)
}

/// Frame rate in frames per second, above 0 and up to 1000: a JSON number or a string such as `"60000/1001"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate(pub(crate) Ratio<i64>);

impl<'de> Deserialize<'de> for Rate {
    /// Parses a number or a string; an error states the accepted values.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = plain_text(Value::deserialize(deserializer)?);
        let wrong =
            || D::Error::custom("a rate is above 0 and up to 1000, such as 60, 59.94 or \"60000/1001\"");
        time::parse_rate(&text).map(Self).ok_or_else(wrong)
    }
}

/// Factor of the frame rate, 1 to 256: a JSON number or a string such as `"7/3"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor(pub(crate) Ratio<i64>);

impl<'de> Deserialize<'de> for Factor {
    /// Parses a number or a string; an error states the accepted values.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = plain_text(Value::deserialize(deserializer)?);
        let wrong = || D::Error::custom("a factor is from 1 to 256, such as 2, 2.5 or \"7/3\"");
        time::parse_factor(&text).map(Self).ok_or_else(wrong)
    }
}

/// Timestep from 0 to 1: a JSON number or a string such as `"1/3"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fraction(pub(crate) Ratio<i64>);

impl<'de> Deserialize<'de> for Fraction {
    /// Parses a number or a string; an error states the accepted values.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = plain_text(Value::deserialize(deserializer)?);
        let value = time::parse_decimal(&text).or_else(|| time::parse_fraction(&text));
        let inside = value.filter(|value| (Ratio::from(0)..=Ratio::from(1)).contains(value));
        inside
            .map(Self)
            .ok_or_else(|| D::Error::custom("a time is from 0 to 1, such as 0.5 or \"1/3\""))
    }
}

/// Width and height in pixels, 16 to 16384 each: a string such as `1280x720`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) [u32; 2]);

impl<'de> Deserialize<'de> for Size {
    /// Parses `WIDTHxHEIGHT`; an error states the accepted values.
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

/// Returns a JSON string without quotes, and any other value as JSON text.
fn plain_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Option `fit`: how pictures of another size or shape are adapted.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fit {
    #[default]
    Pad,
    Crop,
    Stretch,
}

impl From<Fit> for rife::media::Fit {
    /// Converts to the media crate's type.
    fn from(fit: Fit) -> Self {
        match fit {
            Fit::Pad => Self::Pad,
            Fit::Crop => Self::Crop,
            Fit::Stretch => Self::Stretch,
        }
    }
}

/// Removes the fields called `names` from `options` and returns them.
fn take_fields(options: &mut Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let taken = names.iter().filter_map(|name| options.remove_entry(*name));
    taken.collect()
}

/// Deserializes `options`; an error names the wrong field and what it accepts.
pub(crate) fn parse<T: DeserializeOwned>(options: Map<String, Value>) -> Result<T> {
    let given = options.clone();
    serde_path_to_error::deserialize(Value::Object(options)).map_err(|error| {
        let field = error.path().to_string();
        let unknown = error.inner().to_string().starts_with("unknown field");
        option_error(&field, given.get(&field).filter(|_| !unknown))
    })
}

/// Type of an option's value, for error messages.
enum OptionType {
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

/// Returns the type of the option called `field`.
fn option_type(field: &str) -> Option<OptionType> {
    Some(match field {
        "passes" | "crf" => OptionType::Whole,
        "factor" => OptionType::Factor,
        "scale" | "cut_threshold" | "min_psnr" | "max_bias" | "max_shift" => OptionType::Number,
        "tta" | "ensemble" | "slow_motion" | "stretch_audio" | "deinterlace" | "inverse_telecine"
        | "allow_interlaced" | "video_only" | "montage" | "confidence" | "force" => OptionType::Flag,
        "model" | "precision" | "ext" | "preset" => OptionType::Text,
        "fps" => OptionType::Rate,
        "timestep" => OptionType::Time,
        "size" => OptionType::Size,
        "timestep_method" => OptionType::OneOf("auto, direct, recursive"),
        "codec" => OptionType::OneOf("h264, h265, av1, vp9, prores, ffv1, gif"),
        "cut_fill" => OptionType::OneOf("repeat, blend"),
        "duplicates" => OptionType::OneOf("smooth, keep"),
        "mask_static" => OptionType::OneOf("auto, off"),
        "fit" => OptionType::OneOf("pad, crop, stretch"),
        "memory" => OptionType::OneOf("memory, disk"),
        "sound" => OptionType::OneOf("crossfade, silence, drop"),
        "profile" => OptionType::OneOf("web, latentsync, archive"),
        _ => return None,
    })
}

/// Returns the error for a wrong `value` of option `field`; `None` for an unknown option.
fn option_error(field: &str, value: Option<&Value>) -> ApiError {
    let Some(value) = value else {
        return ApiError::option(field, Reason::OptionUnknown, []);
    };
    let shown = Value::from(abbreviated(value));
    let reason = match option_type(field) {
        Some(OptionType::OneOf(accepted)) => return choice_error(field, &abbreviated(value), accepted),
        Some(OptionType::Whole) => Reason::OptionWhole,
        Some(OptionType::Number) => Reason::OptionNumber,
        Some(OptionType::Flag) => Reason::OptionFlag,
        Some(OptionType::Text) => Reason::OptionText,
        Some(OptionType::Factor) => Reason::OptionFactor,
        Some(OptionType::Rate) => Reason::OptionRate,
        Some(OptionType::Time) => Reason::OptionTime,
        Some(OptionType::Size) => Reason::OptionSize,
        None => Reason::OptionForm,
    };
    ApiError::option(field, reason, [("value", shown)])
}

/// Returns a value as JSON text, cut to 60 characters.
fn abbreviated(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}

/// Returns an error if `crf` is above `max`.
pub(crate) fn check_crf(crf: Option<u32>, max: u32) -> Result<()> {
    match crf {
        Some(crf) => check_range("crf", crf, 0, max),
        None => Ok(()),
    }
}

/// Returns an error unless `preset` is 1 to 20 lowercase letters and digits, since it is passed to an encoder.
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

/// Returns an error that names option `field` unless `value` is from `from` to `to`.
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
