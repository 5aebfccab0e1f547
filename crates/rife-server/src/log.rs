//! Log on standard error: one line per message, with a time stamp, and with control characters escaped so that text of clients
//! can neither forge lines nor control a terminal.

use std::io::Write;

use crate::clock;

/// Writes one line with the current time.
pub(crate) fn line(text: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "{} {}",
        clock::text(clock::now()),
        escape(text)
    );
}

/// Escapes control characters, line separators and bidirectional formatting characters.
pub(crate) fn escape(text: &str) -> String {
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
        assert_eq!(super::escape("a\nb\x1b[2J\u{202e}c"), "a\\nb\\u{1b}[2J\\u{202e}c");
    }
}
