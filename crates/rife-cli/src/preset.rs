//! Preset files (`--preset-file FILE`): JSON with options of a kind of job, as the page and `GET /presets` of `rife serve` export
//! them. They are inserted as arguments, unless the command line has the option itself.

use std::ffi::OsString;
use std::path::Path;

use rife::options::{
    ChainOptions, ImageOptions, ModelOptions, Opt, OptionSet, ReencodeOptions, VideoOptions,
};
use rife::{Error, Result};
use serde_json::{Map, Value};

use crate::args::long;
use crate::output;

/// The option that names the file.
const OPTION: &str = "--preset-file";
/// Maximum size of a preset file in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Options that set the number of frames: one on the command line replaces all of the preset's.
const RATE: [&str; 3] = ["factor", "exp", "fps"];

/// Replaces `--preset-file FILE` in arguments, whose second is the command, by the options in the file; returns others as they
/// are.
///
/// # Errors
/// [`Error::Usage`] for a file that is not a preset, is of another kind of job, or has an option that there is not; an I/O
/// error.
pub(crate) fn expand(args: Vec<OsString>) -> Result<Vec<OsString>> {
    let Some((at, count, path)) = find(&args)? else {
        return Ok(args);
    };
    let preset = read(Path::new(&path))?;
    let command = args.get(1).map(|command| command.to_string_lossy().into_owned());
    let mut rest = args.clone();
    rest.drain(at..at + count);
    let inserted = arguments(&preset, command.as_deref().unwrap_or_default(), &rest);
    let inserted = inserted.map_err(|text| Error::Usage(format!("{}: {text}", path.to_string_lossy())))?;
    rest.splice(at..at, inserted.into_iter().map(OsString::from));
    Ok(rest)
}

/// Returns position, number of arguments and value of the option.
fn find(args: &[OsString]) -> Result<Option<(usize, usize, OsString)>> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let mut found = args[..end].iter().enumerate().filter_map(|(at, arg)| {
        if arg == OPTION {
            return Some((at, 2, args.get(at + 1).cloned()));
        }
        let value = arg.to_str()?.strip_prefix(OPTION)?.strip_prefix('=')?;
        Some((at, 1, Some(value.into())))
    });
    let (first, second) = (found.next(), found.next());
    match (first, second) {
        (_, Some(_)) => Err(Error::Usage(format!("{OPTION} can be given once"))),
        (Some((.., None)), _) => Err(Error::Usage(format!("{OPTION} needs the name of a file"))),
        (Some((at, count, Some(path))), None) => Ok(Some((at, count, path))),
        (None, None) => Ok(None),
    }
}

/// Reads a preset file.
fn read(path: &Path) -> Result<Value> {
    let text = rife_files::read_regular(path, MAX_BYTES).map_err(|error| Error::io("read", path, error))?;
    let wrong = |error| Error::Usage(format!("{}: this is not JSON: {error}", path.display()));
    serde_json::from_slice(&text).map_err(wrong)
}

/// Returns the options of a kind of job that `command` runs; `None` for another command.
fn table(command: &str) -> Option<(&'static str, Vec<&'static Opt>)> {
    let model = ModelOptions::TABLE.iter();
    Some(match command {
        "video" => ("video", VideoOptions::table().collect()),
        "image" => ("images", ImageOptions::TABLE.iter().chain(model).collect()),
        "chain" => ("chain", ChainOptions::TABLE.iter().chain(model).collect()),
        "reencode" => ("reencode", ReencodeOptions::TABLE.iter().collect()),
        _ => return None,
    })
}

/// Converts a preset to arguments of `command`, without options that `given` has.
fn arguments(preset: &Value, command: &str, given: &[OsString]) -> std::result::Result<Vec<String>, String> {
    let (kind, options) = table(command)
        .ok_or_else(|| format!("`rife {command}` takes no preset; video, image, chain and reencode do"))?;
    let empty = Map::new();
    let fields = match preset {
        Value::Object(fields) => fields,
        _ => return Err("a preset is an object with kind and options".into()),
    };
    match fields.get("kind").and_then(Value::as_str) {
        Some(found) if found == kind => {}
        Some(found) => {
            return Err(format!(
                "the preset is of kind {found}; `rife {command}` takes kind {kind}"
            ));
        }
        None => return Err("the preset has no kind".into()),
    }
    let values = match fields.get("options") {
        Some(Value::Object(values)) => values,
        None | Some(Value::Null) => &empty,
        Some(_) => return Err("the preset's options are no object".into()),
    };
    let mut found = Vec::new();
    for (name, value) in values {
        let named = |opt: &&&Opt| opt.http.is_some_and(|http| http.name == name);
        let opt = options.iter().find(named);
        let opt = opt.ok_or_else(|| format!("there is no option {name} for this kind of job"))?;
        if !opt.on_command_line {
            output::note(&format!(
                "rife: {name} of the preset is left out: it has no effect here"
            ));
        } else if !replaced(opt, &options, given) {
            found.extend(argument(opt, name, value)?);
        }
    }
    Ok(found)
}

/// Reports whether the command line has the option, or one that excludes it.
fn replaced(opt: &Opt, options: &[&'static Opt], given: &[OsString]) -> bool {
    let has = |opt: &Opt| {
        let names = [Some(long(opt)), opt.alias.map(str::to_owned)];
        names.into_iter().flatten().any(|name| {
            given
                .iter()
                .filter_map(|arg| arg.to_str()?.strip_prefix("--"))
                .any(|arg| arg.split('=').next() == Some(name.as_str()))
        })
    };
    let rivals = options.iter().filter(|other| {
        let rate = RATE.contains(&opt.name) && RATE.contains(&other.name);
        rate || opt.conflicts.contains(&other.name) || other.conflicts.contains(&opt.name)
    });
    has(opt) || rivals.into_iter().any(|other| has(other))
}

/// Converts an option's value to an argument; `None` for a switch that is off, and for null.
fn argument(opt: &Opt, name: &str, value: &Value) -> std::result::Result<Option<String>, String> {
    let long = long(opt);
    Ok(match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(format!("--{long}")),
        Value::Number(number) => Some(format!("--{long}={number}")),
        Value::String(text) => Some(format!("--{long}={text}")),
        _ => {
            return Err(format!(
                "{name} is {value}; it is a number, a text, true or false"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inserted(preset: &Value, command: &str, given: &str) -> std::result::Result<String, String> {
        let given: Vec<OsString> = given.split_whitespace().map(OsString::from).collect();
        arguments(preset, command, &given).map(|found| found.join(" "))
    }

    #[test]
    fn options_become_arguments_unless_the_command_line_has_them() {
        let preset = json!({"kind": "video", "options": {"passes": 2, "ext": "mkv", "slow_motion": true, "tta": false, "cut_threshold": 0.3}});
        let all = "--cut-threshold=0.3 --exp=2 --ext=mkv --slow-motion";
        let sorted = |text: String| {
            let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
            words.sort_unstable();
            words.join(" ")
        };
        assert_eq!(
            inserted(&preset, "video", "rife video a.mp4").map(sorted),
            Ok(all.into())
        );
        for (given, gone) in [
            ("--ext mp4", "--ext=mkv"),
            ("--fps=60", "--exp=2"),
            ("--passes 1", "--exp=2"),
            ("--cuts x", "--cut-threshold=0.3"),
        ] {
            let left = inserted(&preset, "video", given).unwrap();
            assert!(
                !left.contains(gone) && left.split(' ').count() == 3,
                "{given}: {left}"
            );
        }
    }

    #[test]
    fn what_is_no_preset_is_refused() {
        for (preset, command, said) in [
            (json!([]), "video", "a preset is an object"),
            (json!({"options": {}}), "video", "has no kind"),
            (
                json!({"kind": "chain"}),
                "video",
                "of kind chain; `rife video` takes kind video",
            ),
            (
                json!({"kind": "video", "options": {"factory": 2}}),
                "video",
                "no option factory",
            ),
            (
                json!({"kind": "video", "options": {"factor": [2]}}),
                "video",
                "factor is [2]",
            ),
            (json!({"kind": "video"}), "serve", "takes no preset"),
        ] {
            let error = inserted(&preset, command, "").unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
