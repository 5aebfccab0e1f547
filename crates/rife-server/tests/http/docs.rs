//! Runs the examples in docs/server.md and docs/api.md exactly as printed.

use std::process::Command;

use super::support::{Server, can_run, clip};

const SERVER: &str = include_str!("../../../../docs/server.md");
const API: &str = include_str!("../../../../docs/api.md");

/// Returns the first code block in `language` of a page.
fn example(text: &str, language: &str) -> String {
    let begin = format!("```{language}\n");
    let from = text.find(&begin).unwrap() + begin.len();
    let to = text[from..].find("```").unwrap();
    text[from..from + to].to_owned()
}

/// Runs an example in a folder with a clip of 25 frames a second, and checks that its result has 50.
fn check(program: &str, arguments: &[&str], example: &str) {
    if !can_run() || !rife_testing::program(program) {
        return;
    }
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    for name in ["in.mp4", "clip.mp4"] {
        std::fs::write(folder.path().join(name), clip(10, "96x64")).unwrap();
    }
    let ran = Command::new(program)
        .args(arguments)
        .arg(example)
        .env("RIFE", format!("http://{}", server.address))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{errors}");
    let probed = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=codec_type,avg_frame_rate,nb_read_frames",
        ])
        .args(["-of", "csv=p=0", "out.mp4"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&probed.stdout);
    assert!(found.contains("video,50/1,20"), "{found}{errors}");
    assert!(found.contains("audio"), "{found}");
}

#[test]
fn the_example_in_shell_makes_50_of_25() {
    if rife_testing::program("curl") {
        check("sh", &["-eu", "-c"], &example(SERVER, "sh"));
    }
}

#[test]
fn the_first_job_of_the_api_makes_50_of_25() {
    if rife_testing::program("curl") {
        check("sh", &["-eu", "-c"], &example(API, "sh"));
    }
}

#[test]
fn the_example_in_python_makes_50_of_25() {
    check("python3", &["-c"], &example(SERVER, "python"));
}
