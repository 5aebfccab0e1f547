//! The program `rife-train`: command line, files written, errors.

use std::path::Path;
use std::process::{Command, Output};

use rife_testing::Need;

fn rife_train(arguments: &[&str], folder: &Path) -> Output {
    let program = env!("CARGO_BIN_EXE_rife-train");
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Writes a test clip with ffmpeg; returns whether it could.
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
    if !rife_testing::ffmpeg() {
        return;
    }
    assert!(clip(&clips.join("moving.mp4")) && clip(&clips.join("kept.mp4")));
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
        text.contains("moving.mp4: 4 windows from 15 frames")
            && text.contains("kept.mp4: 4 windows (held out)"),
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

/// Writes recipe.toml: the default recipe with 4 steps, crops and windows of 64 pixels and batches of 2; `more` is
/// appended to its `[data]` table.
fn small_recipe(folder: &Path, held_out: &str, more: &str) {
    let mut recipe: toml::Table = include_str!("../../../recipes/default.toml").parse().unwrap();
    let tables: toml::Table = format!(
        "[data]\nsize = 64\nwindows_per_clip = 8\nmost_frames = 40\nheld_out = [\"{held_out}\"]\n{more}\n\
         [optimizer]\nstages = [[4, 64, 2]]"
    )
    .parse()
    .unwrap();
    for (name, table) in tables {
        let values = table.as_table().unwrap().clone();
        recipe[&name].as_table_mut().unwrap().extend(values);
    }
    std::fs::write(folder.join("recipe.toml"), recipe.to_string()).unwrap();
}

fn metadata(path: &Path) -> std::collections::HashMap<String, String> {
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    header.metadata().clone().unwrap()
}

fn run_ok(arguments: &[&str], folder: &Path) -> String {
    let output = rife_train(arguments, folder);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Returns the two smallest clips of the shared training set; `None` if it is absent.
fn real_clips() -> Option<Vec<std::path::PathBuf>> {
    let folder = rife_testing::shared().join("train/clips");
    let entries = std::fs::read_dir(&folder).into_iter().flatten();
    let mut clips: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    clips.sort_by_key(|clip| (std::fs::metadata(clip).unwrap().len(), clip.clone()));
    clips.truncate(2);
    let found = clips.len() == 2;
    Need::Clips
        .is_met(found, format!("no training clips in {}", folder.display()))
        .then_some(clips)
}

#[test]
fn real_clips_train_to_the_same_bits_twice_and_leave_a_report() {
    let Some(clips) = real_clips() else {
        return;
    };
    if !rife_testing::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("clips")).unwrap();
    for clip in &clips {
        std::fs::copy(clip, path.join("clips").join(clip.file_name().unwrap())).unwrap();
    }
    std::fs::write(path.join("clips/notes.txt"), "no clip").unwrap();
    small_recipe(path, &clips[1].file_stem().unwrap().to_string_lossy(), "");
    let arguments = |out, loaders| {
        [
            "--clips",
            "clips",
            "--recipe",
            "recipe.toml",
            "--out",
            out,
            "--report",
            "2",
            "--validate",
            "2",
            "--loaders",
            loaders,
        ]
    };
    let text = run_ok(&arguments("one", "1"), path);
    assert!(
        text.contains("notes.txt: 0 windows") && text.contains("left out"),
        "{text}"
    );
    assert!(
        text.contains("step 4 loss") && text.contains("wait") && text.contains("step 4 PSNR"),
        "{text}"
    );
    run_ok(&arguments("two", "3"), path);
    for name in [
        "weights.safetensors",
        "best.weights.safetensors",
        "corpus/windows.npy",
    ] {
        if name.ends_with("npy") {
            let [one, two] = ["one", "two"].map(|run| std::fs::read(path.join(run).join(name)).unwrap());
            assert!(one == two, "{name} differs");
            continue;
        }
        let [one, two] =
            ["one", "two"].map(|run| rife_train::weights_file::read(&path.join(run).join(name)).unwrap());
        assert!(one == two, "{name} differs between one and three loaders");
    }

    let kept = metadata(&path.join("one/checkpoint.safetensors"));
    assert!(
        kept["command"].contains("--clips clips --recipe recipe.toml --out one"),
        "{kept:?}"
    );
    assert!(kept["trainer"].starts_with("rife-train "));
    let other = metadata(&path.join("two/weights.f16.safetensors"));
    assert_eq!(
        (kept["data_sha256"].len(), &kept["data_sha256"]),
        (64, &other["data_sha256"])
    );

    let report = std::fs::read_to_string(path.join("one/report.html")).unwrap();
    for part in [
        "<svg",
        "<polyline",
        "laplacian",
        "PSNR on held-out",
        "Learning rate",
        "data:image/png;base64",
        &kept["data_sha256"],
    ] {
        assert!(report.contains(part), "{part} is missing in the report");
    }
    let history = std::fs::read_to_string(path.join("one/history.jsonl")).unwrap();
    assert_eq!(
        history.lines().count(),
        4,
        "two readings and two validations: {history}"
    );
}

#[test]
fn folders_of_frames_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut list = String::new();
    for run in 0..20u32 {
        let frames = path.join(format!("sep/sequences/00001/{run:04}"));
        std::fs::create_dir_all(&frames).unwrap();
        for i in 1..=7u32 {
            let image = image::RgbImage::from_fn(80, 64, |x, y| {
                image::Rgb([(x * 7 + y * run + i * 9) as u8, y as u8, 90])
            });
            image.save(frames.join(format!("im{i}.png"))).unwrap();
        }
        list += &format!("00001/{run:04}\n");
    }
    std::fs::write(path.join("sep/sep_trainlist.txt"), list + "00009/0001\n").unwrap();
    small_recipe(path, "none", "[sampling]\nany = 1.0\noverlay = 0.5\nstill = 0.2");
    let arguments = [
        "--frames",
        "sep",
        "--recipe",
        "recipe.toml",
        "--out",
        "run",
        "--report",
        "1",
    ];
    let text = run_ok(&arguments, path);
    assert!(text.contains("19 folders of frames, 1 more held out"), "{text}");
    assert!(text.contains("left out") && text.contains("00009/0001"), "{text}");
    assert!(text.contains("step 4 PSNR adjacent"), "{text}");
    let again = run_ok(&[&arguments[..], &["--resume"]].concat(), path);
    assert!(again.contains("steps 4 to 4"), "{again}");
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
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    for (kind, accepted) in [
        ("--clips", "video files"),
        ("--frames", "sequences/*/*"),
        ("--corpus", "windows.npy"),
    ] {
        let text = error(&["--out", "run", "--recipe", "r.toml", kind, "empty"]);
        assert!(
            text.contains(accepted) && text.contains("empty"),
            "{kind}: {text}"
        );
    }
}
