//! Image file lists: the files of a folder or wildcard pattern in natural order, with warnings about missing and duplicate
//! numbers.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use super::has_image_extension;
use crate::{MediaError, Result};

/// Returns the image files of a folder or pattern in natural order. Hidden files and other files are ignored; these,
/// missing and duplicate numbers are reported in `notes`.
pub(super) fn list(path: &Path, notes: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    let (folder, pattern) = if path.is_dir() {
        (path.to_owned(), None)
    } else {
        let folder = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        (
            folder.to_owned(),
            path.file_name().map(|name| name.to_string_lossy().into_owned()),
        )
    };
    let mut files = Vec::new();
    let mut ignored = 0;
    for entry in fs::read_dir(&folder).map_err(|e| MediaError::io("open", path, e))? {
        let file = entry.map_err(|e| MediaError::io("read", &folder, e))?.path();
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if pattern
            .as_ref()
            .is_some_and(|pattern| !matches(pattern.as_bytes(), name.as_bytes()))
        {
            continue;
        }
        if has_image_extension(&file) && file.is_file() && !name.starts_with('.') {
            files.push((name, file));
        } else {
            ignored += 1;
        }
    }
    if ignored > 0 {
        notes.push(format!(
            "{ignored} entries of {} are no images and were left out",
            folder.display()
        ));
    }
    files.sort_by(|a, b| natural_order(&a.0, &b.0));
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    notes.extend(doubles(&names));
    notes.extend(gaps(&names));
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

/// Splits a name such as `frame0012.png` into prefix and number, (`frame`, 12); `None` where the stem does not end in a
/// number.
fn number(name: &str) -> Option<(&str, u64)> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let end = stem.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = stem[..end].rfind(|c: char| !c.is_ascii_digit());
    let start = start.map_or(0, |at| at + stem[at..].chars().next().map_or(1, char::len_utf8));
    // A suffix after the number distinguishes sequences, too; such names are not analysed.
    (end == stem.len()).then_some(())?;
    Some((&stem[..start], stem[start..end].parse().ok()?))
}

/// Returns a note about numbers that two files have, such as `1.png` and `01.png`, or `1.png` and `1.jpg`.
fn doubles(names: &[&str]) -> Option<String> {
    let mut numbers: Vec<_> = names
        .iter()
        .filter_map(|name| number(name).map(|key| (key, *name)))
        .collect();
    numbers.sort();
    let twice: Vec<_> = numbers.windows(2).filter(|pair| pair[0].0 == pair[1].0).collect();
    let [(_, a), (_, b)] = twice.first()? else {
        return None;
    };
    Some(format!(
        "{} there twice, such as in {a} and {b}: each file is a picture of its own",
        numbers_are(twice.len())
    ))
}

/// Formats the start of a note, `1 number is` or `2 numbers are`.
fn numbers_are(count: usize) -> String {
    if count == 1 {
        "1 number is".to_owned()
    } else {
        format!("{count} numbers are")
    }
}

/// Returns a note about missing numbers: steps larger than the smallest step of the sequence.
fn gaps(names: &[&str]) -> Option<String> {
    let numbers: Vec<_> = names
        .iter()
        .filter_map(|name| number(name).map(|key| (key, *name)))
        .collect();
    let steps: Vec<_> = numbers
        .windows(2)
        .filter(|pair| pair[0].0.0 == pair[1].0.0 && pair[1].0.1 > pair[0].0.1)
        .map(|pair| (pair[1].0.1 - pair[0].0.1, pair[0], pair[1]))
        .collect();
    let usual = steps.iter().map(|(step, ..)| *step).min()?;
    let wide: Vec<_> = steps.iter().filter(|(step, ..)| *step > usual).collect();
    let (_, (_, before), (_, after)) = *wide.first()?;
    let missing: u64 = wide.iter().map(|(step, ..)| step.div_ceil(usual) - 1).sum();
    let missing = numbers_are(usize::try_from(missing).unwrap_or(usize::MAX));
    Some(format!(
        "{missing} missing, the first between {before} and {after}: the pictures follow each other as if none was"
    ))
}

/// Reports whether `name` matches `pattern` with the wildcards `*` (any characters) and `?` (one byte).
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((star, from)) => {
                    *from += 1;
                    (p, n) = (*star + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// Compares names in natural order: runs of digits by value, so that `2.png` comes before `10.png`.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (x, y) = (digits(left), digits(right));
        let order = if x.is_empty() || y.is_empty() {
            let (x, y) = (left.chars().next(), right.chars().next());
            match (x, y) {
                (None, None) => return a.cmp(b),
                (None, _) => return Ordering::Less,
                (_, None) => return Ordering::Greater,
                (Some(x), Some(y)) => {
                    left = &left[x.len_utf8()..];
                    right = &right[y.len_utf8()..];
                    x.cmp(&y)
                }
            }
        } else {
            left = &left[x.len()..];
            right = &right[y.len()..];
            let (x, y) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Returns the run of ASCII digits at the start of `text`.
fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_value() {
        let mut names = ["frame10.png", "frame2.png", "frame1.png", "a.png", "frame02.png"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            ["a.png", "frame1.png", "frame02.png", "frame2.png", "frame10.png"]
        );
    }

    #[test]
    fn patterns() {
        assert!(matches(b"*.png", b"a.png") && matches(b"f?_*.png", b"f1_22.png") && matches(b"*", b""));
        assert!(!matches(b"*.png", b"a.jpg") && !matches(b"f?.png", b"f.png"));
    }

    #[test]
    fn missing_and_doubled_numbers_are_told() {
        assert_eq!(gaps(&["a1.png", "a2.png", "b7.png", "b8.png"]), None);
        assert_eq!(
            gaps(&["0.png", "10.png", "20.png"]),
            None,
            "every tenth picture is a sequence"
        );
        let gap = gaps(&["0001.png", "0002.png", "0005.png", "0007.png"]).unwrap();
        assert!(
            gap.starts_with("3 numbers are missing, the first between 0002.png and 0005.png"),
            "{gap}"
        );
        assert_eq!(doubles(&["a1.png", "b1.png", "1_2.png"]), None);
        let double = doubles(&["1.jpg", "01.png", "2.png"]).unwrap();
        assert!(double.contains("01.png and 1.jpg"), "{double}");
        assert!(doubles(&["x1.png", "x1.jpg"]).is_some());
    }
}
