//! Settings: values of options from `RIFE_*` variables and the configuration file, for options that the command line does not
//! give. They become arguments, so that they are checked like these; one that excludes or lacks an option of the command line
//! is left out.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use rife::{Error, Result};
use toml::de::{DeTable, DeValue};

use crate::spelling;

/// Options without a setting: they belong to one run, or are kept elsewhere.
const WITHOUT: [&str; 14] = [
    "preset-file",
    "help",
    "version",
    "output",
    "video",
    "img",
    "watch",
    "shard",
    "skip",
    "against",
    "token",
    "restart",
    "wait",
    "timestep",
];

/// Options that exclude each other without a rule of the parser: the rate by factor and by target.
const RATE: [&str; 3] = ["factor", "exp", "fps"];

/// Maximum size of the configuration file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A variable of the environment, by its name.
    Variable(String),
    /// The configuration file, with the line.
    File(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}, line {line}", rife_files::shown(path)),
        }
    }
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Name of the option, such as `cut-threshold`.
    pub(crate) name: String,
    /// Its values as text; `true` or `false` of a switch.
    pub(crate) values: Vec<String>,
    /// Where they come from.
    pub(crate) origin: Origin,
}

/// Reports whether an option of a command can be set.
pub(crate) fn is_settable(arg: &Arg) -> bool {
    let single = arg.get_num_args().is_none_or(|count| count.max_values() <= 1);
    let known = arg.get_long().is_some_and(|long| !WITHOUT.contains(&long));
    known && single && !arg.is_hide_set() && !arg.is_positional()
}

/// Iterates over the options of a command that can be set, with those of all commands.
pub(crate) fn options<'a>(program: &'a Command, command: &'a Command) -> impl Iterator<Item = &'a Arg> {
    let global = program.get_arguments().filter(|arg| arg.is_global_set());
    command
        .get_arguments()
        .filter(|arg| !arg.is_global_set())
        .chain(global)
        .filter(|arg| is_settable(arg))
}

/// Returns the name of an option's variable: `RIFE_CUT_THRESHOLD`.
pub(crate) fn variable(arg: &Arg) -> String {
    let long = arg.get_long().unwrap_or_default();
    format!("RIFE_{}", long.replace('-', "_").to_ascii_uppercase())
}

/// Returns the path of the configuration file: `RIFE_CONFIG` (empty for none), else `rife/config.toml` in the user's folder of
/// configurations. The flag tells whether it is named, and so has to exist.
pub(crate) fn file(env: impl Fn(&str) -> Option<OsString>) -> Option<(PathBuf, bool)> {
    if let Some(named) = env("RIFE_CONFIG") {
        return (!named.is_empty()).then(|| (named.into(), true));
    }
    let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = match cfg!(windows) {
        true => set("APPDATA"),
        false => set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config"))),
    };
    Some((folder?.join("rife/config.toml"), false))
}

/// The configuration file.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Settings of all commands, then those of one command, by its name.
    entries: Vec<(Option<String>, Setting)>,
}

impl Config {
    /// Reads the file at `path`; empty if it does not exist and need not.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that is no TOML, unknown commands and options, and values of other types; those of reading.
    pub(crate) fn read(path: &Path, named: bool, program: &Command) -> Result<Self> {
        let text = match rife_files::read_regular(path, MAX_BYTES) {
            Ok(text) => text,
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                let path = rife_files::shown(path);
                return Err(Error::Usage(format!(
                    "the configuration {path} cannot be read: {error}"
                )));
            }
        };
        Self::parse(path, &String::from_utf8_lossy(&text), program)
    }

    /// Parses the text of the file at `path`.
    fn parse(path: &Path, text: &str, program: &Command) -> Result<Self> {
        let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let bad = |at: usize, reason: String| {
            Err(Error::Usage(format!(
                "{}, line {}: {reason}",
                rife_files::shown(path),
                line(at)
            )))
        };
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                return bad(at, error.message().to_owned());
            }
        };
        let mut config = Self::default();
        for (key, value) in table.get_ref() {
            let (name, at) = (key.get_ref().replace('_', "-"), key.span().start);
            let DeValue::Table(inner) = value.get_ref() else {
                let known = || {
                    program
                        .get_subcommands()
                        .flat_map(|command| options(program, command))
                };
                if !known().any(|arg| arg.get_long() == Some(&*name)) {
                    return bad(at, unknown(&name, "option", known().filter_map(Arg::get_long)));
                }
                let origin = Origin::File(path.to_owned(), line(at));
                match values(value.get_ref()) {
                    Ok(values) => config.entries.push((None, Setting { name, values, origin })),
                    Err(reason) => return bad(at, format!("{name}: {reason}")),
                }
                continue;
            };
            let Some(command) = program.find_subcommand(&name) else {
                return bad(
                    at,
                    unknown(&name, "command", program.get_subcommands().map(Command::get_name)),
                );
            };
            for (key, value) in inner {
                let (option, at) = (key.get_ref().replace('_', "-"), key.span().start);
                let known = || options(program, command).filter_map(Arg::get_long);
                if !known().any(|long| long == option) {
                    return bad(at, unknown(&option, &format!("option of {name}"), known()));
                }
                let origin = Origin::File(path.to_owned(), line(at));
                match values(value.get_ref()) {
                    Ok(values) => {
                        let setting = Setting {
                            name: option,
                            values,
                            origin,
                        };
                        config.entries.push((Some(name.clone()), setting));
                    }
                    Err(reason) => return bad(at, format!("{option}: {reason}")),
                }
            }
        }
        Ok(config)
    }

    /// Returns the setting of an option of a command.
    fn get(&self, command: &str, option: &str) -> Option<&Setting> {
        let of = |wanted: Option<&str>| {
            let mut entries = self.entries.iter();
            entries.find(|(command, setting)| command.as_deref() == wanted && setting.name == option)
        };
        of(Some(command)).or_else(|| of(None)).map(|(_, setting)| setting)
    }
}

/// Describes an unknown name, with the nearest known one.
fn unknown<'a>(name: &str, what: &str, known: impl Iterator<Item = &'a str>) -> String {
    let name = rife_files::one_line(name);
    match spelling::nearest_of(known, &name) {
        Some(near) => format!("there is no {what} {name}; {near} is one"),
        None => format!("there is no {what} {name}"),
    }
}

/// Converts a value of the file to texts.
fn values(value: &DeValue<'_>) -> std::result::Result<Vec<String>, &'static str> {
    Ok(vec![match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.as_str().replace('_', ""),
        DeValue::Float(number) => number.as_str().replace('_', ""),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Array(items) => {
            let items: std::result::Result<Vec<_>, _> =
                items.iter().map(|item| values(item.get_ref())).collect();
            return items.map(|items| items.concat());
        }
        DeValue::Datetime(_) | DeValue::Table(_) => {
            return Err("a text, a number, true, false, or a list of texts is accepted");
        }
    }])
}

/// Returns the settings of a command, each option's from its variable, else from the file, in the order of the options.
pub(crate) fn of_command(
    program: &Command,
    command: &Command,
    config: &Config,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<Setting>> {
    let (mut variables, mut file) = (Vec::new(), Vec::new());
    for arg in options(program, command) {
        let name = arg.get_long().unwrap_or_default();
        let variable = variable(arg);
        match env(&variable).filter(|value| !value.is_empty()) {
            Some(value) => {
                let value = value
                    .into_string()
                    .map_err(|_| Error::Usage(format!("{variable} is no UTF-8 text")))?;
                let (values, origin) = (vec![value], Origin::Variable(variable));
                variables.push(Setting {
                    name: name.to_owned(),
                    values,
                    origin,
                });
            }
            None => file.extend(config.get(command.get_name(), name).cloned()),
        }
    }
    variables.append(&mut file);
    Ok(variables)
}

/// Returns the arguments that a setting stands for; none for a switch that is off.
fn words(arg: &Arg, setting: &Setting) -> std::result::Result<Vec<OsString>, String> {
    let name = &setting.name;
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match setting.values.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["true" | "1" | "yes" | "on"] => Ok(vec![format!("--{name}").into()]),
            ["false" | "0" | "no" | "off"] => Ok(Vec::new()),
            _ => Err(format!(
                "--{name} is a switch: it is true or false, not {}",
                setting.values.join(", ")
            )),
        };
    }
    let repeatable = matches!(arg.get_action(), ArgAction::Append);
    if setting.values.len() != 1 && !repeatable {
        return Err(format!("--{name} takes one value"));
    }
    Ok(setting
        .values
        .iter()
        .map(|value| format!("--{name}={value}").into())
        .collect())
}

/// Adds the settings to the arguments `given`, which are valid and the first of which is the program's name.
///
/// # Errors
/// [`Error::Usage`] for a setting with an invalid value, and those of reading the file.
pub(crate) fn apply(
    program: &Command,
    given: Vec<OsString>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>> {
    let Ok(matches) = program.clone().try_get_matches_from(&given) else {
        return Ok(given);
    };
    let Some((name, of_command_line)) = matches.subcommand() else {
        return Ok(given);
    };
    let (Some(command), Some(at)) = (
        program.find_subcommand(name),
        given.iter().position(|word| {
            program
                .find_subcommand(word)
                .is_some_and(|found| found.get_name() == name)
        }),
    ) else {
        return Ok(given);
    };
    let config = match file(&env) {
        Some((path, named)) => Config::read(&path, named, program)?,
        None => Config::default(),
    };
    let is_given = |id: &str| {
        let source = of_command_line
            .try_contains_id(id)
            .is_ok()
            .then(|| of_command_line.value_source(id))
            .flatten();
        source == Some(clap::parser::ValueSource::CommandLine)
    };
    let rate_given = RATE.iter().any(|id| is_given(id));
    let mut words_so_far = given;
    let mut rate_set = false;
    for setting in of_command(program, command, &config, &env)? {
        let arg = options(program, command).find(|arg| arg.get_long() == Some(&*setting.name));
        let Some(arg) = arg.filter(|arg| !is_given(arg.get_id().as_str())) else {
            continue;
        };
        let is_rate = RATE.contains(&arg.get_id().as_str());
        if is_rate && (rate_given || rate_set) {
            continue;
        }
        let wrong = |reason: String| Error::Usage(format!("{}: {reason}", setting.origin));
        let mut with = words_so_far.clone();
        with.splice(at + 1..at + 1, words(arg, &setting).map_err(wrong)?);
        match program.clone().try_get_matches_from(&with) {
            Ok(_) => {
                words_so_far = with;
                rate_set |= is_rate;
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ArgumentConflict | ErrorKind::MissingRequiredArgument
                ) => {}
            Err(error) => {
                let text = error.render().to_string();
                let text = text.split("\n\n").next().unwrap_or_default();
                return Err(wrong(
                    text.trim_start_matches("error: ").trim().replace('\n', " "),
                ));
            }
        }
    }
    Ok(words_so_far)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::args::Cli;

    /// Returns the arguments with the settings of a file and of variables.
    fn applied(
        text: &str,
        variables: &[(&str, &str)],
        given: &[&str],
    ) -> std::result::Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let env = |name: &str| match name {
            "RIFE_CONFIG" => Some(path.clone().into_os_string()),
            _ => variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.into()),
        };
        let given = std::iter::once("rife")
            .chain(given.iter().copied())
            .map(OsString::from)
            .collect();
        let words = apply(&Cli::command(), given, env).map_err(|error| error.to_string())?;
        Cli::try_parse_from(&words).unwrap();
        let words: Vec<_> = words.iter().skip(1).map(|word| word.to_str().unwrap()).collect();
        Ok(words.join(" "))
    }

    #[test]
    fn the_command_line_precedes_variables_and_these_the_file() {
        let file = "crf = 20\nfps = 59.94\n[video]\ncodec = \"h265\"\ncut_threshold = 0.3\n";
        let set = |variables: &[_], given: &[&str]| applied(file, variables, given).unwrap();
        let all = set(&[], &["video", "a.mp4"]);
        for part in ["--crf=20", "--fps=59.94", "--codec=h265", "--cut-threshold=0.3"] {
            assert!(all.contains(part), "{all}");
        }
        let over = set(
            &[("RIFE_CRF", "25"), ("RIFE_TTA", "1")],
            &["video", "a.mp4", "--codec", "h264"],
        );
        assert!(
            over.contains("--crf=25") && over.contains("--tta") && !over.contains("h265"),
            "{over}"
        );
        // A factor on the command line excludes the file's rate; a list of cuts the file's threshold.
        let other = set(&[], &["video", "a.mp4", "--factor", "4", "--cuts", "x"]);
        assert!(
            !other.contains("--fps") && !other.contains("--cut-threshold"),
            "{other}"
        );
        let chain = set(&[], &["chain", "a.mp4", "b.mp4", "-o", "c.mp4"]);
        assert!(chain.contains("--crf=20") && !chain.contains("h265"), "{chain}");
        assert_eq!(applied("tta = false", &[], &["video", "a"]).unwrap(), "video a");
    }

    #[test]
    fn mistakes_in_the_file_are_refused_with_their_line() {
        let said = |text: &str| applied(text, &[], &["video", "a.mp4"]).unwrap_err();
        assert!(said("\nfactr = 2").contains("line 2: there is no option factr; factor is one"));
        assert!(said("[vidoe]\nfps = 1").contains("there is no command vidoe; video is one"));
        assert!(said("[chain]\nfactor = 1").contains("line 2: there is no option of chain factor"));
        assert!(said("crf = 99").contains("line 1") && said("crf = 99").contains("from 0 to 63"));
        assert!(said("tta = \"maybe\"").contains("true or false"));
        assert!(said("fps = [1, 2]").contains("takes one value"));
        assert!(said("fps = ").contains("line 1"));
        assert!(said("output = \"x.mp4\"").contains("no option output"));
        let variable = applied("", &[("RIFE_FPS", "fast")], &["video", "a.mp4"]).unwrap_err();
        assert!(
            variable.starts_with("RIFE_FPS: ") && variable.contains("above 0"),
            "{variable}"
        );
    }
}
