//! English singular and plural forms of counts in messages.

/// Formats a count with its noun, `1 frame` or `2 frames`; `noun` is a singular whose plural adds an s.
pub fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_is_singular() {
        let said = [0, 1, 2, 21].map(|count| super::counted(count, "frame"));
        assert_eq!(said, ["0 frames", "1 frame", "2 frames", "21 frames"]);
    }
}
