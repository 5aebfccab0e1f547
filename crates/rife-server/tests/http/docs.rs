//! Runs the examples in docs/server.md exactly as printed.

use std::process::Command;

use super::support::{Server, can_run, clip};

/// Returns the first code block in `language` of docs/server.md.
fn example(language: &str) -> String {
    let text = include_str!("../../../../docs/server.md");
    let begin = format!("```{language}\n");
    let from = text.find(&begin).unwrap() + begin.len();
    let to = text[from..].find("```").unwrap();
    text[from..from + to].to_owned()
}

/// Runs an example in a folder with a clip of 25 frames a second, and checks that its result has 50.
fn check(program: &str, arguments: &[&str], language: &str) {
    if !can_run() || Command::new(program).arg("--version").output().is_err() {
        return println!("skipped: {program} is not here");
    }
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.mp4"), clip(10, "96x64")).unwrap();
    let ran = Command::new(program)
        .args(arguments)
        .arg(example(language))
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
    if Command::new("curl").arg("--version").output().is_err() {
        return println!("skipped: curl is not here");
    }
    check("sh", &["-eu", "-c"], "sh");
}

#[test]
fn the_example_in_python_makes_50_of_25() {
    check("python3", &["-c"], "python");
}
