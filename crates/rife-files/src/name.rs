//! File names derived from another file's name, within the 255 bytes of file systems, and names as safe text for terminals.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Maximum length in bytes of a name that is not shortened: with prefix and suffix it has at most 255.
const LONGEST: usize = 225;
/// Number of bytes of a longer name that are kept before its hash.
const KEPT: usize = 200;

/// Returns the path in the folder of `path` whose name is `prefix`, the file name of `path`, and `suffix`. A name of more
/// than 225 bytes is shortened to its first 200 and a hash of the full name, so that different names stay different.
/// `prefix` and `suffix` have at most 30 bytes together.
pub fn beside(path: &Path, prefix: &str, suffix: &str) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(shortened(path.file_name().unwrap_or_default()));
    name.push(suffix);
    path.with_file_name(name)
}

/// Returns the path in the folder of `path` whose name is the file name of `path` without extension, and `end`. A name that
/// would exceed 225 bytes is shortened and given a hash, as in [`beside`].
pub fn with_stem(path: &Path, end: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default();
    let mut name = match stem.len() + end.len() {
        0..=LONGEST => stem.to_owned(),
        _ => cut(stem, KEPT - 40),
    };
    name.push(end);
    path.with_file_name(name)
}

/// Returns a path as text for terminals and messages, with control characters replaced by U+FFFD (see [`one_line`]).
pub fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}

/// Replaces control characters (newlines included) and bidirectional control characters by U+FFFD, since file names and
/// metadata tags could forge terminal output with them.
pub fn one_line(text: &str) -> String {
    let forges = |c: char| {
        c.is_control()
            || matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(forges, "\u{FFFD}")
}

/// Returns a name of up to [`LONGEST`] bytes unchanged, a longer one shortened to [`KEPT`] bytes and a hash.
fn shortened(name: &OsStr) -> OsString {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    cut(name, KEPT)
}

/// Returns up to `kept` bytes of a name (whole characters), `~`, and a 64-bit hash of the full name.
fn cut(name: &OsStr, kept: usize) -> OsString {
    let text = name.to_string_lossy();
    let end = (0..=kept.min(text.len()))
        .rev()
        .find(|&i| text.is_char_boundary(i))
        .unwrap_or(0);
    format!("{}~{:016x}", &text[..end], fnv1a(name.as_encoded_bytes())).into()
}

/// Computes the 64-bit FNV-1a hash, which is the same in every version of this program.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_a_file_system_takes_has_a_name_beside_it() {
        let suffix = ".rife-shard-10000-of-10000";
        for length in [1, 225, 226, 255] {
            for letter in ["a", "é", "語"] {
                let name = letter.repeat((length / letter.len()).max(1));
                let path = Path::new("/x").join(&name);
                let found = beside(&path, ".", suffix);
                let found = found.file_name().unwrap().to_str().unwrap();
                assert!(found.len() <= 255 && found.ends_with(suffix), "{length}: {found}");
                assert_eq!(name.len() <= 225, found == format!(".{name}{suffix}"));
            }
        }
        let [a, b] = ["1", "2"].map(|end| beside(Path::new(&("a".repeat(250) + end)), "", ".part"));
        assert_ne!(a, b);
        let [a, b] = ["1", "2"].map(|end| {
            with_stem(
                Path::new(&format!("{}{end}.mp4", "ä".repeat(124))),
                "_2X_50fps.mkv",
            )
        });
        assert!(a != b && a.as_os_str().len() <= 225, "{}", a.display());
        assert_eq!(
            with_stem(Path::new("x/a.b.mp4"), "_2X.mkv"),
            Path::new("x/a.b_2X.mkv")
        );
    }

    #[test]
    fn names_forge_no_lines() {
        let name = "a\nrife: done\u{202e}4pm\u{2028}\u{1b}[2J\r.mp4";
        let said = shown(Path::new(name));
        assert_eq!(
            said,
            "a\u{fffd}rife: done\u{fffd}4pm\u{fffd}\u{fffd}[2J\u{fffd}.mp4"
        );
        assert_eq!(one_line("Ünïcode 名前 👩‍👩‍👧.mp4"), "Ünïcode 名前 👩‍👩‍👧.mp4");
    }
}
