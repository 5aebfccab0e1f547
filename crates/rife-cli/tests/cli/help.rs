//! Help texts: every example in them runs.

use super::support::{Place, RANDOM, ffmpeg, has_default_network};

const COMMANDS: [&str; 15] = [
    "video",
    "live",
    "join",
    "verify",
    "report",
    "image",
    "info",
    "devices",
    "models",
    "convert",
    "benchmark",
    "sample",
    "serve",
    "config",
    "completions",
];

#[test]
fn help_is_no_failure_and_no_arguments_are() {
    let place = Place::new();
    let help = place.rife(&["--help"]).ok();
    assert!(help.contains("Exit codes:") && help.contains("130"));
    assert!(place.rife(&["--version"]).ok().starts_with("rife "));
    place.rife(&[]).failed(2);
    for command in COMMANDS {
        assert!(help.contains(command));
        assert!(place.rife(&[command, "--help"]).ok().contains("Examples:"));
        let lines = place.rife(&[command, "-h"]).ok().lines().count();
        // The options of `benchmark` are its subject.
        assert!(
            lines <= 56 || command == "benchmark",
            "{command} -h: {lines} lines"
        );
    }
}

/// Returns the examples in the help of `command` without their comments; those that need a network connection or a player
/// or do not end are left out.
fn examples(place: &Place, command: &[&str]) -> Vec<String> {
    let help = place.rife(&[command, &["--help"]].concat()).ok();
    let lines = help
        .lines()
        .filter(|line| line.starts_with("  rife "))
        .map(str::trim);
    let lines = lines.map(|line| line.split("   ").next().unwrap_or_default().to_owned());
    lines
        .filter(|line| !line.contains("pull") && !line.contains('|') && !line.contains("--watch"))
        .collect()
}

fn prepare(place: &Place) {
    for name in ["clip.mp4", "clip.mkv", "a.mp4", "b.mp4", "c.mp4"] {
        place.clip(name, 3);
    }
    for index in 0..5 {
        place.picture(&format!("frames/{index}.png"), 2.0 * index as f32);
    }
    for (index, name) in ["frame_00", "frame_01_gt", "frame_02"].iter().enumerate() {
        place.picture(&format!("ucf101/1/{name}.png"), index as f32);
    }
    place.picture("dis_pictures/1.png", 1.0);
    std::fs::create_dir(place.path("clips")).unwrap();
    place.y4m("clips/a.y4m", 8);
    place.picture("a.png", 0.0);
    place.picture("b.png", 2.0);
    place.clip("truth_30fps.mp4", 6);
    place.clip("result_2X_30fps.mp4", 6);
    let version = rife::nets::Version::DEFAULT;
    let weights = rife::nets::deterministic::weights(version);
    let training = |key: &str| key.starts_with("block_tea");
    assert!(weights.keys().all(|key| !training(key)));
    rife::nets::checkpoint::save_pkl(&place.path("flownet.pkl"), &weights).unwrap();
}

/// Runs every example of the commands, each in turn, and checks that there are at least `least`.
fn run_examples(commands: &[&[&str]], least: usize) {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    prepare(&place);
    let mut count = 0;
    for command in commands {
        for example in examples(&place, command) {
            let mut args: Vec<_> = example.split_whitespace().skip(1).collect();
            let runs_a_network = [
                "video",
                "join",
                "report",
                "image",
                "chain",
                "info",
                "benchmark",
                "sample",
            ]
            .contains(&args[0]);
            if runs_a_network && !has_default_network() && !example.contains("--random") {
                args.extend(RANDOM);
            }
            match args[0] {
                "clip.mp4" | "video" | "join" | "report" | "image" | "chain" | "sample" => args.push("-y"),
                "reencode" if !args.contains(&"--check") => args.push("-y"),
                "benchmark" => {
                    // The example's size and count are for measuring, not for trying.
                    let smaller = |arg: &mut &str| match *arg {
                        "1280x768" => *arg = "128x128",
                        "7" => *arg = "1",
                        _ => {}
                    };
                    args.iter_mut().for_each(smaller);
                    if args.contains(&"--steps") {
                        args.extend(["--factor", "2"]);
                    }
                }
                _ => {}
            }
            if args.contains(&"sample.mp4") && args[0] == "sample" {
                args.extend(["--size", "128x64", "--seconds", "1"]);
            }
            place.rife(&args).ok();
            count += 1;
        }
    }
    assert!(count >= least, "only {count} examples were found");
}

#[test]
fn every_example_with_videos_runs() {
    run_examples(&[&[], &["video"], &["join"], &["verify"], &["info"]], 13);
}

#[test]
fn every_example_with_pictures_and_clips_runs() {
    run_examples(&[&["report"], &["image"], &["chain"], &["reencode"]], 14);
}

#[test]
fn every_example_with_networks_and_measurements_runs() {
    run_examples(&[&["models"], &["convert"], &["benchmark"], &["sample"]], 17);
}
