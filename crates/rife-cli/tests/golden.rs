//! Decoded outputs of small jobs have the hashes in `golden.txt`: on the portable tier, whose arithmetic is the same on every
//! machine (additions and multiplications in a fixed order, exactly rounded fused ones, no function of a math library), for
//! any number of threads. Only what is decoded is hashed, since encoders of PNG may compress otherwise.
//!
//! A change that is meant to change outputs replaces the lines of `golden.txt` by those that the failing test prints.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

const SIZE: [usize; 2] = [64, 48];

/// A clip in Y4M, whose content moves by a few pixels a frame, by integer arithmetic alone. `planes` are the sizes of Y, U
/// and V, `bits` those of a sample.
fn clip(tag: &str, planes: [[usize; 2]; 3], bits: u32, frames: usize) -> Vec<u8> {
    let wave = |at: usize| at.wrapping_mul(1 << (bits - 8)) % (1 << bits);
    let triangle = |at: usize, half: usize| (at % (2 * half)).abs_diff(half) * 255 / half;
    let [width, height] = SIZE;
    let mut bytes = format!("YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C{tag}\n").into_bytes();
    for frame in 0..frames {
        bytes.extend(b"FRAME\n");
        for (plane, [columns, rows]) in planes.into_iter().enumerate() {
            let step = width / columns;
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y * step, x * step))) {
                let across = triangle(3 * x + 2 * y + 1000 - 6 * frame, 40 + 7 * plane);
                let down = triangle(5 * y + x + 4 * frame + 31 * plane, 55);
                let code = wave((across + down) / 2);
                match bits {
                    8 => bytes.push(code as u8),
                    _ => bytes.extend((code as u16).to_le_bytes()),
                }
            }
        }
    }
    bytes
}

/// Name, output, and arguments after the command.
const JOBS: &[(&str, &str, &[&str])] = &[
    ("default-2x", "a.y4m", &["video", "444.y4m", "-o", "a.y4m"]),
    (
        "default-3x-420",
        "b.y4m",
        &["video", "420.y4m", "-o", "b.y4m", "--factor", "3"],
    ),
    ("default-10-bit", "c.y4m", &["video", "ten.y4m", "-o", "c.y4m"]),
    ("default-pictures", "d", &["video", "444.y4m", "-o", "d/%03d.png"]),
    (
        "default-morph",
        "e.y4m",
        &["image", "d/001.png", "d/005.png", "--exp", "2", "-o", "e.y4m"],
    ),
    (
        "default-tta",
        "f.y4m",
        &["video", "444.y4m", "-o", "f.y4m", "--tta"],
    ),
    (
        "default-half-scale",
        "g.y4m",
        &["video", "444.y4m", "-o", "g.y4m", "--scale", "0.5"],
    ),
    (
        "default-int8",
        "h.y4m",
        &["video", "444.y4m", "-o", "h.y4m", "--precision", "int8"],
    ),
    (
        "random-4.6",
        "i.y4m",
        &[
            "video",
            "444.y4m",
            "-o",
            "i.y4m",
            "--factor",
            "4",
            "--random-weights",
            "--model-version",
            "4.6",
        ],
    ),
    (
        "random-4.25.lite",
        "j.y4m",
        &[
            "video",
            "420.y4m",
            "-o",
            "j.y4m",
            "--random-weights",
            "--model-version",
            "4.25.lite",
        ],
    ),
];

/// The decoded frames of a Y4M file, or the pixels of a folder's PNG files in order.
fn decoded(output: &Path) -> Vec<u8> {
    if output.is_dir() {
        let entries = fs::read_dir(output).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries
            .filter(|path| path.extension().is_some_and(|e| e == "png"))
            .collect();
        files.sort();
        assert!(!files.is_empty());
        return files
            .iter()
            .flat_map(|file| image::open(file).unwrap().into_rgb8().into_raw())
            .collect();
    }
    let bytes = fs::read(output).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    bytes[header..].to_vec()
}

fn hashes(threads: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let full = [SIZE; 3];
    let half = [SIZE, SIZE.map(|side| side / 2), SIZE.map(|side| side / 2)];
    for (name, bytes) in [
        ("444.y4m", clip("444", full, 8, 4)),
        ("420.y4m", clip("420mpeg2", half, 8, 4)),
        ("ten.y4m", clip("420p10", half, 10, 3)),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut lines = String::new();
    for (name, output, arguments) in JOBS {
        let ran = Command::new(env!("CARGO_BIN_EXE_rife"))
            .args(*arguments)
            .args(["--threads", threads])
            .env("RIFE_CPU", "scalar")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        let hash = Sha256::digest(decoded(&folder.path().join(output)));
        for byte in hash.iter().take(16) {
            write!(lines, "{byte:02x}").unwrap();
        }
        writeln!(lines, "  {name}").unwrap();
    }
    lines
}

#[test]
fn decoded_outputs_have_the_committed_hashes_for_any_number_of_threads() {
    let [one, three] = ["1", "3"].map(hashes);
    assert_eq!(one, three, "one thread and three");
    let committed = include_str!("golden.txt");
    assert!(
        one == committed,
        "golden.txt has\n{committed}but the outputs are\n{one}"
    );
}
