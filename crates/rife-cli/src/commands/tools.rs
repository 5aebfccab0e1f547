//! `rife config`, `rife completions` and `rife man`: settings and where they come from, shell completions, manual pages.

use clap::{Arg, Command, CommandFactory};
use rife::{Error, Result};
use serde_json::json;

use super::shown;
use crate::args::{Cli, CompletionsArgs, ConfigArgs, ManArgs};
use crate::output;
use crate::settings::{self, Config, Setting};
use crate::spelling;

/// Name of the program.
const PROGRAM: &str = "rife";

/// Returns a variable of the environment.
fn env(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// Prints the settings of a command, or what is set of all commands.
pub(crate) fn config(args: &ConfigArgs) -> Result<()> {
    let program = Cli::command();
    let file = settings::file(env);
    let config = match &file {
        Some((path, named)) => Config::read(path, *named, &program)?,
        None => Config::default(),
    };
    let commands: Vec<&Command> = match &args.command {
        Some(name) => vec![
            program
                .find_subcommand(name)
                .ok_or_else(|| no_command(&program, name))?,
        ],
        None => program.get_subcommands().collect(),
    };
    let mut rows = Vec::new();
    for command in commands {
        let set = settings::of_command(&program, command, &config, env)?;
        for arg in settings::options(&program, command) {
            let setting = set.iter().find(|setting| Some(&*setting.name) == arg.get_long());
            // Options of all commands are listed once, with those of one command.
            let shown = args.command.is_some() || (setting.is_some() && !arg.is_global_set());
            if shown {
                rows.push(row(command, arg, setting));
            }
        }
    }
    let path = file.as_ref().map(|(path, _)| path.display().to_string());
    let exists = file.as_ref().is_some_and(|(path, _)| path.is_file());
    if args.json {
        return output::line(&json!({"file": path, "exists": exists, "options": rows}).to_string());
    }
    output::line(&match &file {
        Some((path, _)) if exists => format!("file: {}", shown(path)),
        Some((path, _)) => format!("file: {} (does not exist)", shown(path)),
        None => "file: none".to_owned(),
    })?;
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        output::line(&output::one_line(&format!(
            "{:<10} {:<20} {:<16} {}",
            text("command"),
            text("option"),
            text("value"),
            text("from")
        )))?;
    }
    Ok(())
}

/// Describes an option of a command: its value and where it comes from.
fn row(command: &Command, arg: &Arg, setting: Option<&Setting>) -> serde_json::Value {
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    let (value, from) = match setting {
        Some(setting) => (Some(setting.values.join(", ")), setting.origin.to_string()),
        None if defaults.is_empty() => (None, format!("default ({})", settings::variable(arg))),
        None => (
            Some(defaults.join(", ")),
            format!("default ({})", settings::variable(arg)),
        ),
    };
    json!({"command": command.get_name(), "option": arg.get_long(), "value": value, "from": from})
}

/// Makes the error for an unknown command.
fn no_command(program: &Command, name: &str) -> Error {
    let near = spelling::nearest_of(program.get_subcommands().map(Command::get_name), name);
    let near = near.map_or(String::new(), |near| format!("; {near} is one"));
    Error::Usage(format!("there is no command {}{near}", output::one_line(name)))
}

/// Prints a shell's completions.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), PROGRAM, &mut text);
    output::line(String::from_utf8_lossy(&text).trim_end())
}

/// Writes a manual page for the program and for each command.
pub(crate) fn man(args: &ManArgs) -> Result<()> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let mut program = Cli::command();
    program.build();
    let mut pages = vec![(PROGRAM.to_owned(), program.clone())];
    for command in program
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let name = format!("{PROGRAM}-{}", command.get_name());
        pages.push((name.clone(), command.clone().name(name)));
    }
    for (name, command) in pages {
        let path = folder.join(format!("{name}.1"));
        let mut page = Vec::new();
        let io = |error| Error::io("write", &path, error);
        clap_mangen::Man::new(command).render(&mut page).map_err(io)?;
        std::fs::write(&path, page).map_err(io)?;
    }
    Ok(())
}
