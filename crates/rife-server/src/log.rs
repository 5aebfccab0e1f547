//! The log: a line each on standard error, with nothing in it that could pass for another line or move a terminal.

use std::io::Write;

use crate::clock;

/// Writes one line.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{} {}", clock::text(clock::now()), plain(text));
}

/// `text` with control characters escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_cannot_forge_a_line() {
        assert_eq!(super::plain("a\nb\x1b[2J\u{202e}c"), "a\\nb\\u{1b}[2J\\u{202e}c");
    }
}
