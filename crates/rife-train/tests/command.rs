//! The binary: clips in, weights out.

use std::path::Path;
use std::process::{Command, Output};

fn rife_train(arguments: &[&str], folder: &Path) -> Output {
    let program = env!("CARGO_BIN_EXE_rife-train");
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// A clip of ffmpeg's own, or nothing where there is no ffmpeg.
fn clip(path: &Path) -> bool {
    let source = "testsrc2=size=320x256:rate=25:duration=0.6";
    let arguments = [
        "-nostdin", "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p",
    ];
    Command::new("ffmpeg")
        .args(arguments)
        .arg(path)
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn a_clip_becomes_weights() {
    let folder = tempfile::tempdir().unwrap();
    let clips = folder.path().join("clips");
    std::fs::create_dir(&clips).unwrap();
    if !clip(&clips.join("moving.mp4")) || !clip(&clips.join("kept.mp4")) {
        println!("skipped: no ffmpeg");
        return;
    }
    let recipe = include_str!("../../../recipes/default.toml");
    let stages = recipe.lines().find(|line| line.starts_with("stages")).unwrap();
    let held_out = recipe.lines().find(|line| line.starts_with("held_out")).unwrap();
    let recipe = recipe
        .replace(stages, "stages = [[2, 64, 1]]")
        .replace(held_out, "held_out = [\"kept\"]");
    let recipe = recipe.replace("windows_per_clip = 52", "windows_per_clip = 4");
    std::fs::write(folder.path().join("recipe.toml"), recipe).unwrap();

    let arguments = [
        "--clips",
        "clips",
        "--recipe",
        "recipe.toml",
        "--out",
        "run",
        "--report",
        "1",
    ];
    let output = rife_train(&arguments, folder.path());
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{text}{errors}");
    assert!(
        text.contains("4 windows\n") && text.contains("4 windows (held out)"),
        "{text}"
    );
    assert!(
        text.contains("step 2 loss") && text.contains("step 2 PSNR"),
        "{text}"
    );
    let weights = rife_train::weights_file::read(&folder.path().join("run/weights.f16.safetensors")).unwrap();
    assert_eq!(
        rife_nets::Version::recognise(&weights).unwrap(),
        rife_nets::Version::DEFAULT
    );

    let again = rife_train(&arguments, folder.path());
    assert!(!again.status.success(), "a run is not overwritten");
    assert!(String::from_utf8_lossy(&again.stderr).contains("--resume"));
    let done = rife_train(&[&arguments[..], &["--resume"]].concat(), folder.path());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = |arguments: &[&str]| {
        let output = rife_train(arguments, folder.path());
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(error(&["--out", "run", "--recipe", "none.toml"]).contains("none.toml"));
    std::fs::write(
        folder.path().join("r.toml"),
        include_str!("../../../recipes/default.toml"),
    )
    .unwrap();
    assert!(error(&["--out", "run", "--recipe", "r.toml"]).contains("--clips"));
    assert!(error(&["--out", "run", "--recipe", "r.toml", "--clips", "nowhere"]).contains("nowhere"));
    assert!(error(&["--out", "run", "--recipe", "r.toml", "--resume"]).contains("resume"));
}
