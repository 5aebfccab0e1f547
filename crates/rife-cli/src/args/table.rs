//! Command-line arguments (clap) derived from the library's option tables: names, help, ranges, defaults and conflicts.

use clap::builder::{PathBufValueParser, PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use rife::options::{Kind, Opt, OptionSet, Value};

/// An option struct of the library as arguments of a command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table<T>(pub(crate) T);

/// Hidden aliases, the spellings of the original scripts: name in the table, alias.
const HIDDEN: [(&str, &str); 2] = [("video_only", "no-audio"), ("uhd", "uhd")];

/// Options with another name on the command line: name in the table, name on the command line.
const SPELLED: [(&str, &str); 1] = [("uhd", "UHD")];

/// Options that the short help (`-h`) lists, by their names in the table.
const COMMON: [&str; 16] = [
    "factor",
    "fps",
    "slow_motion",
    "codec",
    "crf",
    "model",
    "scale",
    "device",
    "exp",
    "timestep",
    "size",
    "fit",
    "passes",
    "preset_profile",
    "duplicates",
    "threads",
];

/// Iterates over the options that the command line has.
fn rows<T: OptionSet>() -> impl Iterator<Item = &'static Opt> {
    T::TABLE.iter().filter(|opt| opt.on_command_line)
}

/// Returns an option's name on the command line, without leading hyphens.
pub(crate) fn long(opt: &Opt) -> String {
    let spelled = SPELLED.iter().find(|(name, _)| *name == opt.name);
    spelled.map_or_else(|| opt.name.replace('_', "-"), |(_, long)| (*long).to_owned())
}

/// Returns an option's help text, with names of other options as on the command line.
fn help<T: OptionSet>(opt: &Opt) -> String {
    rows::<T>().fold(opt.help().to_owned(), |text, other| {
        text.replace(&format!("`{}`", other.name), &format!("--{}", long(other)))
    })
}

/// Makes the clap argument of an option.
fn argument<T: OptionSet>(opt: &'static Opt) -> Arg {
    let mut arg = Arg::new(opt.name)
        .long(long(opt))
        .help(help::<T>(opt))
        .hide_short_help(!COMMON.contains(&opt.name))
        .conflicts_with_all(opt.conflicts);
    if opt.kind == Kind::Flag {
        arg = arg.action(ArgAction::SetTrue);
    } else {
        arg = arg.value_name(opt.metavar).value_parser(parser::<T>(opt));
    }
    if let Some(default) = opt.default {
        arg = arg.default_value(default);
    }
    if let Some(alias) = opt.alias {
        arg = arg.visible_alias(alias);
    }
    if let Some(other) = opt.requires {
        arg = arg.requires(other);
    }
    if !T::HEADING.is_empty() {
        arg = arg.help_heading(T::HEADING);
    }
    let hidden = HIDDEN.iter().filter(|(name, _)| *name == opt.name);
    hidden.fold(arg, |arg, (_, alias)| arg.alias(*alias))
}

/// Makes the clap parser of an option's value, which checks the kind and the field's type.
fn parser<T: OptionSet>(opt: &'static Opt) -> ValueParser {
    match opt.kind {
        Kind::Path => PathBufValueParser::new().map(Value::Path).into(),
        Kind::Choice(names) => {
            let shown = |name: &rife::options::ChoiceName| match name.help {
                "" => PossibleValue::new(name.name),
                help => PossibleValue::new(name.name).help(help),
            };
            PossibleValuesParser::new(names.iter().map(shown))
                .map(Value::Text)
                .into()
        }
        kind => ValueParser::new(move |text: &str| {
            let value = kind.parse(text)?;
            T::default().set(opt.name, &value).map(|()| value)
        }),
    }
}

impl<T: OptionSet> Args for Table<T> {
    fn augment_args(command: Command) -> Command {
        rows::<T>().fold(command, |command, opt| command.arg(argument::<T>(opt)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: OptionSet> FromArgMatches for Table<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut table = Self(T::default());
        table.update_from_arg_matches(matches)?;
        Ok(table)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for opt in rows::<T>() {
            let value = match opt.kind {
                Kind::Flag => Some(Value::Flag(matches.get_flag(opt.name))),
                _ => matches.get_one::<Value>(opt.name).cloned(),
            };
            if let Some(value) = value {
                let set = self.0.set(opt.name, &value);
                set.map_err(|refusal| clap::Error::raw(ErrorKind::InvalidValue, refusal))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;
    use rife::options::{
        ChainOptions, EncodeOptions, ImageOptions, ModelOptions, RateOptions, ReencodeOptions, SceneOptions,
    };

    use super::*;
    use crate::args::Cli;

    fn longs(command: &Command) -> BTreeSet<String> {
        let own = command.get_arguments().flat_map(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            let names = arg.get_long().into_iter().chain(aliases);
            names.map(|name| format!("--{name}")).collect::<Vec<_>>()
        });
        own.chain(command.get_subcommands().flat_map(longs)).collect()
    }

    /// The names of the options of a table.
    fn listed<T: OptionSet>() -> impl Iterator<Item = String> {
        rows::<T>().map(|opt| format!("--{}", long(opt)))
    }

    #[test]
    fn the_document_has_the_options_of_the_tables_and_none_that_is_not_there() {
        const DOCS: &str = include_str!("../../../../docs/cli.md");
        let words = DOCS.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let is_option = |word: &&str| {
            word.strip_prefix("--")
                .is_some_and(|name| name.starts_with(char::is_alphabetic))
        };
        let written: BTreeSet<_> = words.filter(is_option).map(str::to_owned).collect();
        let tables = listed::<RateOptions>()
            .chain(listed::<SceneOptions>())
            .chain(listed::<EncodeOptions>())
            .chain(listed::<ModelOptions>())
            .chain(listed::<ImageOptions>())
            .chain(listed::<ChainOptions>())
            .chain(listed::<ReencodeOptions>());
        let missing: Vec<_> = tables.filter(|name| !written.contains(name)).collect();
        assert!(missing.is_empty(), "docs/cli.md lacks {missing:?}");
        let known = longs(&Cli::command());
        let unknown: Vec<_> = written.difference(&known).collect();
        assert!(unknown.is_empty(), "docs/cli.md has {unknown:?}");
    }

    #[test]
    fn help_names_options_as_they_are_typed() {
        let mut cli = Cli::command();
        for command in cli.get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            for opt in RateOptions::TABLE.iter().chain(ModelOptions::TABLE) {
                assert!(!help.contains(&format!("`{}`", opt.name)), "{}", opt.name);
            }
        }
        let video = cli.find_subcommand("video").unwrap();
        let fps = video.get_arguments().find(|arg| arg.get_id() == "fps").unwrap();
        assert!(
            fps.get_help()
                .unwrap()
                .to_string()
                .contains("with --slow-motion the rate")
        );
    }
}
