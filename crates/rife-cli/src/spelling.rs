//! Spelling suggestions for unknown options: the nearest visible option by edit distance (optimal string alignment).

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use crate::args::Cli;

/// Replaces clap's suggestion in an error for an unknown option, which may be a hidden option, by the nearest visible one.
pub(crate) fn suggest(error: &mut clap::Error) {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg).cloned() else {
        return;
    };
    let Some(given) = given.strip_prefix("--") else {
        return;
    };
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    error.remove(ContextKind::SuggestedArg);
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let given = given.split('=').next().unwrap_or_default();
    let mut command = &Cli::command();
    for word in &words {
        match command.find_subcommand(word) {
            Some(found) => command = found,
            None => break,
        }
    }
    if let Some(option) = nearest(command, given) {
        let option = ContextValue::String(format!("--{option}"));
        error.insert(ContextKind::SuggestedArg, option);
    }
}

/// Finds the visible option with the smallest edit distance to `given`: at most a third of its length.
fn nearest(command: &Command, given: &str) -> Option<String> {
    let visible = command.get_arguments().filter(|option| !option.is_hide_set());
    let names = visible
        .filter_map(|option| option.get_long_and_visible_aliases())
        .flatten();
    nearest_of(names, given).map(str::to_owned)
}

/// Finds the name with the smallest edit distance to `given`: at most a third of its length.
pub(crate) fn nearest_of<'a>(names: impl Iterator<Item = &'a str>, given: &str) -> Option<&'a str> {
    let (edits, name) = names.map(|name| (distance(name, given), name)).min()?;
    (edits <= (given.len() / 3).max(1)).then_some(name)
}

/// Computes the edit distance: insertions, deletions, replacements and swaps of neighbouring letters from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let [a, b] = [a, b].map(|text| text.chars().collect::<Vec<_>>());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut edits = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                edits = edits.min(rows[i - 2][j - 2] + 1);
            }
            row.push(edits);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_counted() {
        let pairs = [
            ("fps", "fsp", 1),
            ("skip", "fsp", 3),
            ("factor", "facotr", 1),
            ("crf", "crf", 0),
            ("", "ab", 2),
        ];
        for (a, b, slips) in pairs {
            assert_eq!(distance(a, b), slips, "{a} {b}");
        }
    }

    #[test]
    fn suggestions_are_options_of_the_help() {
        let cli = Cli::command();
        let video = cli.find_subcommand("video").unwrap();
        let found = |given| nearest(video, given);
        assert_eq!(found("fsp").as_deref(), Some("fps"));
        assert_eq!(found("slowmotion").as_deref(), Some("slow-motion"));
        assert_eq!(found("skpi"), None, "a hidden one");
        assert_eq!(found("something-else"), None);
    }
}
