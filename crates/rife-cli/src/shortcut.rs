//! The short form `rife IN [OUT] [OPTIONS]`, which is `rife video IN [-o OUT] [OPTIONS]`; `-i IN` names the input, too.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::CommandFactory;

use crate::args::Cli;

/// Inserts the command `video`, and `-o` before the output, into arguments of the short form; returns others as they are.
pub(crate) fn with_command(args: Vec<OsString>) -> Vec<OsString> {
    let flag = args.get(1).is_some_and(|arg| arg == "-i");
    let at = if flag { 2 } else { 1 };
    let Some(input) = args.get(at).filter(|input| flag || is_input(input)) else {
        return args;
    };
    let rest = &args[at + 1..];
    let is_file = |arg: &OsString| arg == "-" || !arg.as_encoded_bytes().starts_with(b"-");
    let named = rest.iter().any(|arg| {
        let bytes = arg.as_encoded_bytes();
        bytes.starts_with(b"-o") || bytes.starts_with(b"--output")
    });
    let files = rest.iter().take_while(|arg| is_file(arg)).count();
    let mut found = vec![args[0].clone(), "video".into(), input.clone()];
    if files == 1 && !named {
        found.push("-o".into());
    }
    found.extend_from_slice(rest);
    found
}

/// Reports whether the first argument is an input: neither a command nor an option, and a file or something like one.
fn is_input(arg: &OsStr) -> bool {
    let bytes = arg.as_encoded_bytes();
    let is_option = bytes.starts_with(b"-") && arg != "-";
    let is_command = arg == "help" || Cli::command().find_subcommand(arg).is_some();
    let is_path = arg == "-" || bytes.iter().any(|byte| b"./\\*".contains(byte)) || Path::new(arg).exists();
    !is_option && !is_command && is_path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_inserted_where_the_first_argument_is_an_input() {
        let cases = [
            ("in.mp4", "video in.mp4"),
            ("in.mp4 out.mkv --fps 60", "video in.mp4 -o out.mkv --fps 60"),
            ("in.mp4 --fps 60 -o out.mkv", "video in.mp4 --fps 60 -o out.mkv"),
            ("-i in.mp4 out.mkv", "video in.mp4 -o out.mkv"),
            ("- -", "video - -o -"),
            ("a.mp4 b.mp4 -o out/", "video a.mp4 b.mp4 -o out/"),
            ("a.mp4 b.mp4 c.mp4", "video a.mp4 b.mp4 c.mp4"),
            ("video in.mp4 out.mp4", "video in.mp4 out.mp4"),
            ("export a.pkl b.onnx", "export a.pkl b.onnx"),
            ("vidoe in.mp4", "vidoe in.mp4"),
            ("--help", "--help"),
            ("-q video in.mp4", "-q video in.mp4"),
            ("", ""),
        ];
        for (given, wanted) in cases {
            let args = std::iter::once("rife").chain(given.split_whitespace());
            let found = with_command(args.map(OsString::from).collect());
            let wanted: Vec<_> = std::iter::once("rife").chain(wanted.split_whitespace()).collect();
            assert_eq!(found, wanted, "{given}");
        }
    }
}
