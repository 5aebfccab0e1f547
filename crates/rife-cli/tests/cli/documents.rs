//! The pages of the project: their shell examples run as printed, the options that docs/migrating.md names are accepted, and
//! links between pages lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{Place, Ran, ffmpeg, has_default_network};

/// Words of commands that are not run here, and why. Each has to be on some page.
const LEFT_OUT: [(&str, &str); 13] = [
    ("make ", "the project's own checks"),
    ("cargo install", "builds for minutes"),
    ("pip install", "builds for minutes; `make python-test`"),
    (
        "rife serve",
        "does not end; rife-server's tests run the examples of docs/server.md and docs/api.md",
    ),
    ("--device gpu", "needs a GPU with this name"),
    ("--device all", "needs a GPU"),
    ("--device auto", "measures every device"),
    ("lpips", "needs PyTorch"),
    ("python tools/baselines.py", "needs OpenCV"),
    ("vspipe ", "needs VapourSynth; `make vapoursynth-test`"),
    ("sbatch", "needs a cluster"),
    ("--shard auto", "needs a cluster"),
    (
        "rife live",
        "needs a camera or a stream; the tests of live streams run it",
    ),
];

/// Pages whose examples other tests run.
const ELSEWHERE: [&str; 2] = ["docs/server.md", "docs/api.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the names and texts of all pages.
fn pages() -> Vec<(String, String)> {
    let mut names: Vec<String> = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
        .map(str::to_owned)
        .into();
    for folder in ["docs", "docs/adding"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.extend(
            files
                .filter(|name| name.ends_with(".md"))
                .map(|name| format!("{folder}/{name}")),
        );
    }
    names.sort();
    let read = |name: String| {
        let text = std::fs::read_to_string(root().join(&name)).unwrap();
        (name, text)
    };
    names.into_iter().map(read).collect()
}

/// Returns the commands of the blocks of code in `sh` of a page, those that are continued on further lines joined.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut inside, mut open) = (false, String::new());
    for line in page.lines() {
        match (inside, line.trim()) {
            (false, "```sh") => inside = true,
            (true, "```") => inside = false,
            (true, text) if text.ends_with('\\') => open += text.trim_end_matches('\\'),
            (true, text) if !text.is_empty() && !text.starts_with('#') => {
                found.push(std::mem::take(&mut open) + text);
            }
            _ => {}
        }
    }
    found
}

/// Makes the files that the examples name.
fn prepare(place: &Place) {
    for name in [
        "clip.mp4",
        "in.mp4",
        "a.mp4",
        "b.mp4",
        "c.mp4",
        "season/1.mp4",
        "season/2.mp4",
    ] {
        std::fs::create_dir_all(place.path("season")).unwrap();
        place.clip(name, 3);
    }
    std::fs::rename(place.clip("clip.mkv", 3), place.path("clip.mov")).unwrap();
    for (index, name) in [
        "a.png",
        "b.png",
        "c.png",
        "frames/0.png",
        "frames/1.png",
        "frames/2.png",
    ]
    .iter()
    .enumerate()
    {
        place.picture(name, index as f32);
    }
    for folder in ["path/to/triplets", "ucf101"] {
        for (index, name) in ["frame_00", "frame_01_gt", "frame_02"].iter().enumerate() {
            place.picture(&format!("{folder}/1/{name}.png"), index as f32);
        }
    }
    place.picture("dis_pictures/1.png", 1.0);
    std::fs::create_dir(place.path("clips")).unwrap();
    place.y4m("clips/a.y4m", 8);
    place.rife(&["convert", "default", "other.safetensors"]).ok();
    let weights = rife::nets::deterministic::weights(rife::nets::Version::DEFAULT);
    std::fs::create_dir(place.path("train_log")).unwrap();
    rife::nets::checkpoint::save_pkl(&place.path("train_log/flownet.pkl"), &weights).unwrap();
}

/// Runs a line of shell with the program of this build on the search path.
fn shell(place: &Place, line: &str) -> Ran {
    let program = Path::new(env!("CARGO_BIN_EXE_rife"));
    let before = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{before}", program.parent().unwrap().display());
    Command::new("sh")
        .args(["-eu", "-c", line])
        .current_dir(place.path(""))
        .env("PATH", path)
        .env("RIFE_MODELS_DIR", place.path("models"))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
        .into()
}

#[cfg(unix)]
#[test]
fn shell_examples_of_every_page_run() {
    if !ffmpeg() || !has_default_network() {
        return;
    }
    let prepared = Place::new();
    prepare(&prepared);
    let (mut ran, mut left_out) = (0, BTreeSet::new());
    for (name, text) in pages() {
        let mut commands = commands(&text);
        if ELSEWHERE.contains(&name.as_str()) {
            continue;
        }
        commands.retain(|command| {
            let reason = LEFT_OUT.iter().find(|(words, _)| command.contains(words));
            left_out.extend(reason.map(|(words, _)| *words));
            reason.is_none()
        });
        if commands.is_empty() {
            continue;
        }
        let place = Place::new();
        let copied = Command::new("cp")
            .arg("-R")
            .arg(prepared.path("."))
            .arg(place.path(""))
            .status();
        assert!(copied.unwrap().success());
        for command in commands {
            let said = shell(&place, &command);
            assert_eq!(said.code, 0, "{name}: {command}\n{}{}", said.out, said.err);
            ran += 1;
        }
    }
    assert!(ran >= 18, "only {ran} examples were found");
    let stale: Vec<_> = LEFT_OUT
        .iter()
        .filter(|(words, _)| !left_out.contains(words))
        .collect();
    assert!(stale.is_empty(), "on no page: {stale:?}");
}

/// Returns the texts between backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Returns the rows of the tables below a heading, as cells.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &'a str| line.trim_matches('|').split(" | ").map(str::trim).collect();
    lines.skip(1).map(cells).collect()
}

/// Every option of `rife` in the tables is accepted with its value: commands run as printed, options alone plan a job with a clip
/// or, where the program of the table works on pictures, run with two pictures.
#[cfg(unix)]
#[test]
fn options_in_the_page_on_migrating_are_accepted() {
    if !ffmpeg() || !has_default_network() {
        return;
    }
    let page = std::fs::read_to_string(root().join("docs/migrating.md")).unwrap();
    let place = Place::new();
    prepare(&place);
    let mut tried = BTreeSet::new();
    for heading in ["inference_video.py", "rife-ncnn-vulkan", "vs-rife", "Flowframes"] {
        for cells in rows(&page, heading) {
            let (other, ours) = (cells[0], cells[1]);
            let same = if ours.contains("the same") {
                code(other)
            } else {
                Vec::new()
            };
            for example in code(ours).into_iter().chain(same) {
                let line = line_of(example, tried.len());
                if let Some(line) = line.filter(|_| tried.insert(example)) {
                    let found = shell(&place, &line);
                    assert_eq!(found.code, 0, "{example} as {line}\n{}{}", found.out, found.err);
                }
            }
        }
    }
    assert!(tried.len() >= 25, "only {tried:?}");
}

/// Returns a command for what a table says, with outputs that differ by `number`; `None` where it names something that is not
/// here, or is no option.
fn line_of(example: &str, number: usize) -> Option<String> {
    // Files, networks and GPUs that are not here, and programs that do not end.
    let absent = [
        "PATH",
        "MODEL",
        "FILE",
        "FOLDER",
        "rife-v4.6",
        "4.25",
        "vspipe",
        "serve",
        "gpu",
    ];
    if absent.iter().any(|word| example.contains(word)) {
        return None;
    }
    let pictures = format!("rife image a.png b.png {example} -o out_{number}.png");
    let video = |more: &str| format!("rife info in.mp4 {example} {more}");
    let words = match example.split([' ', '=']).next()? {
        "rife" => format!("{example} --overwrite"),
        "-o" | "--ext" | "--png" | "--skip" => format!("rife video in.mp4 {example} --overwrite"),
        "--timestep" | "--ratio" => pictures,
        "--stretch-audio" => video("--slow-motion"),
        "--ensemble" => video("--random-weights --model-version 4.6"),
        word if word.starts_with("--") => video(""),
        _ => return None,
    };
    Some(words)
}

/// Returns the anchor that a heading has on GitHub.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, text) in &pages {
        let folder = Path::new(name).parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            count += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => root().join(name),
                file => root().join(folder).join(file),
            };
            let there = path.exists()
                && (fragment.is_empty() || {
                    let target = std::fs::read_to_string(&path).unwrap_or_default();
                    let mut headings = target.lines().filter(|line| line.starts_with('#'));
                    headings.any(|heading| anchor(heading) == fragment)
                });
            if !there {
                wrong.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 60, "only {count} links were found");
}
