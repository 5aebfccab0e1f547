//! Parsing and validation of job options in JSON, and their JSON schema, from the option tables of the `rife` crate
//! (`rife::options`), which define names, types, ranges and defaults.

use std::path::Path;

use rife::media::{Codec, Container};
use rife::models::{Lock, installed, models_folder};
use rife::options::{
    ChainOptions, EncodeOptions, ImageOptions, Kind, ModelOptions, NamedChoice, Opt, OptionSet, RateOptions,
    ReencodeOptions, Refusal, SceneOptions,
};
use rife::{Device, ModelChoice, Precision};
use serde_json::{Map, Value, json};

use crate::error::{ApiError, Result};
use crate::reason::Reason;
use crate::state::kind;

/// Reader of the options of a request: each table takes its options out; the remaining ones are errors.
#[derive(Debug)]
pub(crate) struct OptionReader {
    /// Options that no table has taken yet.
    options: Map<String, Value>,
    /// Table rows of the options that had a value, except flags that are off.
    taken: Vec<&'static Opt>,
}

impl OptionReader {
    /// Creates a reader of all `options`.
    pub(crate) fn new(options: Map<String, Value>) -> Self {
        Self {
            options,
            taken: Vec::new(),
        }
    }

    /// Reports whether option `name` is given and has not been taken.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// Takes and parses the options of a table; missing and null ones get their defaults.
    ///
    /// # Errors
    /// A value of another type or out of range.
    pub(crate) fn take<T: OptionSet>(&mut self) -> Result<T> {
        let mut taken = T::default();
        for opt in T::TABLE {
            let Some(http) = opt.http else { continue };
            let strict = matches!(
                (http.kind, http.default),
                (Kind::Flag, _) | (Kind::Choice(_), Some(_))
            );
            let json = self.options.remove(http.name);
            let json = json.filter(|json| strict || !json.is_null());
            let read = match (&json, http.default) {
                (Some(json), _) => http.kind.read(json),
                (None, Some(default)) => http.kind.parse(default),
                (None, None) => continue,
            };
            let set = read.and_then(|value| taken.set(opt.name, &value));
            set.map_err(|refusal| refusal_error(http.name, json.as_ref().unwrap_or(&Value::Null), refusal))?;
            if json.is_some_and(|json| json != false) {
                self.taken.push(opt);
            }
        }
        Ok(taken)
    }

    /// Takes and parses the options of the network. The name of a downloaded model is replaced by its path; a client's text is
    /// never used as a path.
    ///
    /// # Errors
    /// Those of [`OptionReader::take`]; a model that was not downloaded; a precision or device that this machine does not have.
    pub(crate) fn model(&mut self) -> Result<ModelOptions> {
        let mut model: ModelOptions = self.take()?;
        let here = Precision::available();
        if !here.contains(&model.precision) {
            let names: Vec<_> = here.into_iter().map(Precision::name).collect();
            return Err(choice_error(
                "precision",
                model.precision.name(),
                &names.join(", "),
            ));
        }
        if model.device.check().is_err() {
            let names: Vec<_> = Device::available()
                .into_iter()
                .map(|(known, _)| known.to_string())
                .collect();
            return Err(choice_error(
                "device",
                &model.device.to_string(),
                &names.join(", "),
            ));
        }
        if matches!(ModelChoice::parse(&model.model), ModelChoice::Named(_)) {
            let unknown = || {
                ApiError::option(
                    "model",
                    Reason::OptionModel,
                    [("value", model.model.clone().into())],
                )
            };
            model.model = downloaded_model(&model.model).ok_or_else(unknown)?;
        }
        Ok(model)
    }

    /// Checks that no option is left, and that the taken ones can be combined.
    ///
    /// # Errors
    /// Unknown options, options that exclude each other, options without another one that they require.
    pub(crate) fn finish(self) -> Result<()> {
        if let Some((name, _)) = self.options.iter().next() {
            return Err(ApiError::option(name, Reason::OptionUnknown, []));
        }
        let taken = |name: &str| self.taken.iter().find(|opt| opt.name == name);
        for opt in &self.taken {
            if let Some(other) = opt.conflicts.iter().find_map(|other| taken(other)) {
                return Err(pair_error(opt, Reason::OptionEither, http_name(other)));
            }
            if let Some(other) = opt.requires.filter(|other| taken(other).is_none()) {
                return Err(pair_error(opt, Reason::OptionWith, other));
            }
        }
        Ok(())
    }
}

/// Returns the name of an option in the API.
fn http_name(opt: &Opt) -> &'static str {
    opt.http.map_or(opt.name, |http| http.name)
}

/// Returns the error of an option that conflicts with or requires the option `other`.
fn pair_error(opt: &Opt, reason: Reason, other: &str) -> ApiError {
    ApiError::option(http_name(opt), reason, [("other", other.into())])
}

/// Returns the path of the downloaded model called `name`, if there is one.
fn downloaded_model(name: &str) -> Option<String> {
    let folder = models_folder().ok()?;
    let known = Lock::read(&folder).is_ok_and(|lock| lock.models.contains_key(name));
    let path = known.then(|| installed(&folder, name).ok()).flatten()?;
    Some(path.display().to_string())
}

/// Returns the error for a `value` of option `field` that the option's type refuses.
fn refusal_error(field: &str, value: &Value, refusal: Refusal) -> ApiError {
    let shown = || Value::from(abbreviated(value));
    let reason = match refusal {
        Refusal::OneOf(names) => return choice_error(field, &abbreviated(value), &names.join(", ")),
        Refusal::Range { from, to } => {
            return range_error(field, abbreviated(value), from.to_string(), to.to_string());
        }
        Refusal::Word => return ApiError::option(field, Reason::OptionPreset, []),
        Refusal::Whole => Reason::OptionWhole,
        Refusal::Number => Reason::OptionNumber,
        Refusal::Flag => Reason::OptionFlag,
        Refusal::Text => Reason::OptionText,
        Refusal::Factor => Reason::OptionFactor,
        Refusal::Rate => Reason::OptionRate,
        Refusal::Time => Reason::OptionTime,
        Refusal::Position => Reason::OptionPosition,
        Refusal::Size => Reason::OptionSize,
        Refusal::Bytes | Refusal::Extension | Refusal::Other(_) => Reason::OptionForm,
    };
    ApiError::option(field, reason, [("value", shown())])
}

/// Returns the error for a value of option `field` that is not in the list `accepted`.
fn choice_error(field: &str, value: &str, accepted: &str) -> ApiError {
    let pairs = [("value", value.into()), ("accepted", accepted.into())];
    ApiError::option(field, Reason::OptionChoice, pairs)
}

/// Returns the error for a value of option `field` that is not in `from` to `to`.
fn range_error(field: &str, value: String, from: String, to: String) -> ApiError {
    let pairs = [("value", value.into()), ("from", from.into()), ("to", to.into())];
    ApiError::option(field, Reason::OptionRange, pairs)
}

/// Returns a value as JSON text, cut to 60 characters.
fn abbreviated(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
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
    Err(range_error(
        field,
        value.to_string(),
        from.to_string(),
        to.to_string(),
    ))
}

/// Returns an error if the container with this extension does not support the requested codec.
pub(crate) fn check_codec(extension: &str, codec: Option<Codec>) -> Result<()> {
    let Some(codec) = codec.filter(|codec| !codecs(extension).contains(codec)) else {
        return Ok(());
    };
    let supported = codec_names(extension).join(", ");
    let accepted = if supported.is_empty() {
        "pictures, without a codec".into()
    } else {
        supported
    };
    Err(ApiError::option(
        "codec",
        Reason::CodecContainer,
        [
            ("ext", extension.into()),
            ("value", codec.option_name().into()),
            ("accepted", accepted.into()),
        ],
    ))
}

/// Returns the codecs that a container supports, by its extension; none for pictures.
fn codecs(extension: &str) -> Vec<Codec> {
    let container = Container::of(Path::new(&format!("a.{extension}")));
    container.map_or_else(|_| Vec::new(), |container| container.codecs().collect())
}

/// Returns the names of the codecs that a container supports, by its extension, in the order of the help text.
fn codec_names(extension: &str) -> Vec<&'static str> {
    let supported = codecs(extension);
    let known = Codec::VALUES.iter().filter(|codec| supported.contains(codec));
    known.map(|codec| codec.option_name()).collect()
}

/// Returns a JSON object with the names of the supported codecs for each file extension.
pub(crate) fn containers() -> Value {
    let ext = ImageOptions::TABLE.iter().find(|opt| opt.name == "ext");
    let Some(Kind::Choice(extensions)) = ext.map(|opt| opt.kind) else {
        return Value::Null;
    };
    let all = extensions.iter().map(|known| known.name);
    Value::Object(
        all.map(|name| (name.to_owned(), codec_names(name).into()))
            .collect(),
    )
}

/// Returns the table rows of all options of a kind of job in the API.
pub(crate) fn table(kind: kind::Kind) -> Vec<&'static Opt> {
    let tables: &[&[Opt]] = match kind {
        kind::Kind::Video => &[
            ModelOptions::TABLE,
            EncodeOptions::TABLE,
            RateOptions::TABLE,
            SceneOptions::TABLE,
        ],
        kind::Kind::Images => &[ModelOptions::TABLE, ImageOptions::TABLE],
        kind::Kind::Chain => &[ModelOptions::TABLE, ChainOptions::TABLE],
        kind::Kind::Reencode => &[ReencodeOptions::TABLE],
        kind::Kind::Report => &[ModelOptions::TABLE],
    };
    let rows = tables.iter().flat_map(|table| table.iter());
    rows.filter(|opt| opt.http.is_some()).collect()
}

/// Returns the `properties` of the JSON schema of a job kind's options.
pub(crate) fn schema(kind: kind::Kind) -> Value {
    let rows = table(kind).into_iter().filter_map(|opt| Some((opt, opt.http?)));
    let properties = rows.map(|(opt, http)| {
        let mut schema = type_schema(http.kind);
        schema["description"] = opt.help_in_http().into();
        (http.name.to_owned(), schema)
    });
    Value::Object(properties.collect())
}

/// Returns the JSON schema of an option type.
fn type_schema(kind: Kind) -> Value {
    let or_text = |number: Value| json!({"anyOf": [number, {"type": "string"}]});
    match kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Whole(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
        Kind::Number(from, to) => json!({"type": "number", "minimum": from, "maximum": to}),
        Kind::Scale => json!({"type": "number", "minimum": 0.25, "maximum": 4}),
        Kind::Factor => or_text(json!({"type": "number", "minimum": 1, "maximum": 256})),
        Kind::Rate => or_text(json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1000})),
        Kind::Time => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Kind::Position => or_text(json!({"type": "number", "minimum": 0})),
        Kind::Size => json!({"type": "string", "pattern": "^[0-9]+x[0-9]+$"}),
        Kind::Word => json!({"type": "string", "pattern": "^[a-z0-9]{1,20}$"}),
        Kind::Choice(names) => {
            json!({"type": "string", "enum": names.iter().map(|known| known.name).collect::<Vec<_>>()})
        }
        Kind::Text | Kind::Extension | Kind::Bytes | Kind::Path => json!({"type": "string"}),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::state::kind::Kind as Job;

    #[test]
    fn refusals_have_the_words_of_the_library() {
        let (from, to) = (0.0, 63.0);
        for (refusal, reason) in [
            (Refusal::Whole, Reason::OptionWhole),
            (Refusal::Number, Reason::OptionNumber),
            (Refusal::Flag, Reason::OptionFlag),
            (Refusal::Text, Reason::OptionText),
            (Refusal::OneOf(vec!["a", "b"]), Reason::OptionChoice),
            (Refusal::Range { from, to }, Reason::OptionRange),
            (Refusal::Factor, Reason::OptionFactor),
            (Refusal::Rate, Reason::OptionRate),
            (Refusal::Time, Reason::OptionTime),
            (Refusal::Position, Reason::OptionPosition),
            (Refusal::Size, Reason::OptionSize),
        ] {
            let said = refusal_error("crf", &json!(64), refusal.clone());
            assert_eq!(said.message(), format!("crf is 64; {refusal}"));
            assert!(reason.sentence().starts_with("{field} is {value}; "));
        }
        let said = refusal_error("preset", &json!("-vf"), Refusal::Word);
        assert_eq!(said.message(), Refusal::Word.to_string());
    }

    /// Returns the strings between single quotes in `text`.
    fn quoted(text: &str) -> Vec<&str> {
        text.split('\'').skip(1).step_by(2).collect()
    }

    /// Returns the text in `row` after `name: `, up to the end of the number, word or brackets.
    fn of<'a>(row: &'a str, name: &str) -> Option<&'a str> {
        let rest = row.split_once(&format!(" {name}: "))?.1;
        let mut depth = 0;
        let end = rest.find(|c| {
            depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
            depth == 0 && matches!(c, ',' | '}')
        })?;
        Some(rest[..end].trim().trim_matches('\''))
    }

    /// Returns the field rows of a tab in options.js: those of the function `kind` and of the lists that it spreads; the second
    /// item is the arguments of the list's function.
    fn rows(kind: &str) -> Vec<(&'static str, &'static str)> {
        const PAGE: &str = include_str!("../../web/options.js");
        let start = [format!("const {kind} = "), format!("const {kind} =\n")];
        let start = start.iter().find_map(|text| PAGE.find(text.as_str()));
        let body = PAGE[start.unwrap_or_else(|| panic!("no {kind}"))..]
            .split_once("\n];")
            .unwrap()
            .0;
        let mut found = Vec::new();
        for line in body.lines().map(str::trim) {
            if line.starts_with("{ name: ") {
                found.push((line, ""));
            } else if let Some(spread) = line.strip_prefix("...") {
                let (name, given) = spread
                    .split_once('(')
                    .unwrap_or((spread.trim_end_matches(','), ""));
                found.extend(rows(name).into_iter().map(|(row, _)| (row, given)));
            }
        }
        found
    }

    /// Returns the choices of a field row.
    fn choices(row: &str, given: &'static str) -> Vec<String> {
        let text = of(row, "choices").unwrap_or_default();
        if let Some(passes) = text.strip_prefix("passes(") {
            let last: u32 = passes.split(',').next().unwrap().parse().unwrap();
            return (1..=last).map(|n| n.to_string()).collect();
        }
        let values = match text {
            _ if text.starts_with("types.map") => quoted(given),
            _ if text.starts_with("named(") => quoted(text).into_iter().step_by(2).collect(),
            _ => quoted(text),
        };
        values
            .into_iter()
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Fields whose choices the page loads from the server.
    const FILLED: [&str; 4] = ["model", "device", "precision", "codec"];

    #[test]
    fn the_page_has_the_fields_of_the_tables() {
        for kind in Job::ALL {
            let rows: Vec<_> = rows(kind.name())
                .into_iter()
                .filter(|(row, _)| !row.contains("local: true"))
                .collect();
            let known = table(kind);
            let on_page = known.iter().filter(|opt| opt.on_page);
            let wanted: BTreeSet<_> = on_page.map(|opt| http_name(opt)).collect();
            let found: BTreeSet<_> = rows.iter().filter_map(|(row, _)| of(row, "name")).collect();
            assert_eq!(found, wanted, "{}", kind.name());
            for (row, given) in rows {
                let name = of(row, "name").unwrap();
                let http = known
                    .iter()
                    .find(|opt| http_name(opt) == name)
                    .unwrap()
                    .http
                    .unwrap();
                let choices = choices(row, given);
                let number = |name| of(row, name).map(|text| text.parse::<f64>().unwrap());
                let range = number("min").zip(number("max"));
                match http.kind {
                    Kind::Flag => assert!(row.contains("kind: 'check'"), "{row}"),
                    Kind::Choice(names) if !FILLED.contains(&name) => {
                        let names: BTreeSet<_> = names.iter().map(|known| known.name).collect();
                        let shown: BTreeSet<_> = choices.iter().map(String::as_str).collect();
                        // A tab may leave containers out: chains are no GIFs there.
                        let right = shown == names || name == "ext" && shown.is_subset(&names);
                        assert!(right, "{shown:?} of {names:?}: {row}");
                    }
                    Kind::Whole(from, to) if choices.is_empty() => {
                        assert_eq!(range, Some((from as f64, to as f64)), "{row}");
                    }
                    Kind::Whole(_, to) => assert_eq!(choices.len() as u64, to, "{row}"),
                    Kind::Number(from, to) => assert_eq!(range, Some((from, to)), "{row}"),
                    Kind::Factor => assert_eq!(range, Some((1.0, 256.0)), "{row}"),
                    _ => {}
                }
                let value = of(row, "value").filter(|value| !value.starts_with("types"));
                if let Some(default) = http.default {
                    assert!(value.is_none_or(|value| value == default), "{row}: {default}");
                }
            }
        }
    }

    /// Returns the options in the tables of docs/api.md between two headings: the words in backticks in first columns.
    fn documented(from: &str, to: &str) -> BTreeSet<&'static str> {
        const DOCS: &str = include_str!("../../../../docs/api.md");
        let text = DOCS.split_once(from).unwrap_or_else(|| panic!("no {from}")).1;
        let text = text.split_once(to).unwrap_or_else(|| panic!("no {to}")).0;
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        let names = rows.flat_map(|row| {
            row.split('|')
                .nth(1)
                .unwrap_or_default()
                .split('`')
                .skip(1)
                .step_by(2)
        });
        names.collect()
    }

    #[test]
    fn the_document_for_people_has_the_options_of_the_tables() {
        let encoding = "\nOptions of encoding";
        let of_network = documented("Options that every kind with a network has", encoding);
        let of_encoding = documented(encoding, "\n`video`, one input");
        for (kind, from, to) in [
            (Job::Video, "\n`video`, one input", "\n`images`, "),
            (Job::Images, "\n`images`, ", "\n`chain`, "),
            (Job::Chain, "\n`chain`, ", "\n`reencode`, "),
            (Job::Reencode, "\n`reencode`, ", "\n`report`, "),
            (Job::Report, "\n`report`, ", "\n### Plans"),
        ] {
            let mut found = documented(from, to);
            if kind != Job::Reencode {
                found.extend(&of_network);
            }
            if matches!(kind, Job::Video | Job::Images | Job::Chain) {
                found.extend(&of_encoding);
            }
            let wanted: BTreeSet<_> = table(kind).into_iter().map(http_name).collect();
            found.retain(|name| kind != Job::Images || *name != "preset");
            assert_eq!(found, wanted, "{}", kind.name());
        }
    }
}
