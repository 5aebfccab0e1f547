//! `rife verify`: checks of unchanged, damaged and replaced results.

use std::fs;

use super::support::{Place, RANDOM, ffmpeg};

fn make(place: &Place, input: &str, output: &str, more: &[&str]) {
    let args = [&["video", input, "-o", output, "--manifest"], &RANDOM[..], more].concat();
    place.rife(&args).ok();
}

#[test]
fn results_are_what_their_manifests_say() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 13);
    for (output, more) in [
        ("out.mp4", &[][..]),
        ("out.mkv", &["--fps", "60"]),
        ("out.webm", &["--video-only"]),
        (
            "slow.mov",
            &["--slow-motion", "--stretch-audio", "--codec", "prores"],
        ),
        ("out.y4m", &[]),
        ("out.avi", &[]),
        ("out.ts", &[]),
    ] {
        make(&place, "clip.mp4", output, more);
        let checks = place.rife(&["verify", output, "--json"]).json().remove(0);
        assert_eq!(checks["manifest"], true);
        let named = |name: &str| {
            let list = checks["checks"].as_array().unwrap();
            list.iter()
                .find(|check| check["name"] == name)
                .map(|check| check["verdict"].clone())
        };
        for name in [
            "content (SHA-256)",
            "frames",
            "order",
            "duration",
            "size",
            "format and colour",
            "input (SHA-256)",
            "program",
        ] {
            assert_eq!(named(name), Some("ok".into()), "{output}: {name}: {checks}");
        }
        let silent = more.contains(&"--video-only") || output.ends_with("y4m");
        assert_eq!(named("sound in sync"), (!silent).then(|| "ok".into()), "{output}");
        assert_eq!(
            named("weights (SHA-256)"),
            Some("?".into()),
            "random weights are nowhere"
        );
    }
}

#[test]
fn damage_and_strange_inputs_are_found() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 10);
    make(&place, "clip.mp4", "out.mkv", &[]);
    let whole = fs::read(place.path("out.mkv")).unwrap();

    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    fs::write(place.path("out.mkv"), &flipped).unwrap();
    let ran = place.rife(&["verify", "out.mkv"]);
    assert!(ran.out.contains("WRONG content"), "{}", ran.out);
    assert!(ran.failed(1).contains("not what it should be: content"));

    fs::write(place.path("out.mkv"), &whole[..whole.len() * 2 / 3]).unwrap();
    let ran = place.rife(&["verify", "out.mkv"]);
    assert!(ran.out.contains("WRONG frames"), "{}", ran.out);
    ran.failed(1);

    fs::write(place.path("out.mkv"), b"").unwrap();
    let ran = place.rife(&["verify", "out.mkv"]);
    assert!(ran.out.contains("WRONG pictures"), "{}", ran.out);
    ran.failed(1);

    fs::write(place.path("out.mkv"), &whole).unwrap();
    place.rife(&["verify", "out.mkv"]).ok();
    fs::remove_file(place.path("clip.mp4")).unwrap();
    assert!(place.rife(&["verify", "out.mkv"]).ok().contains("not at hand"));
    place.clip("clip.mp4", 9);
    let ran = place.rife(&["verify", "out.mkv"]);
    assert!(ran.out.contains("WRONG input"), "{}", ran.out);
    ran.failed(1);
}

#[test]
fn sound_that_was_moved_is_found() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 25);
    make(&place, "clip.mp4", "out.mkv", &[]);
    let moved = std::process::Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-i",
            "out.mkv",
            "-itsoffset",
            "0.08",
            "-i",
            "out.mkv",
        ])
        .args(["-map", "0:v", "-map", "1:a", "-c", "copy", "moved.mkv"])
        .current_dir(place.path(""))
        .status();
    assert!(moved.unwrap().success());
    let ran = place.rife(&["verify", "moved.mkv", "--manifest", "out.mkv.rife.json"]);
    assert!(ran.out.contains("WRONG sound in sync"), "{}", ran.out);
    ran.failed(1);
}

/// The AAC encoder has a priming of 128 ms at 8 kHz; MP4 tells players to skip it, Matroska cannot.
#[test]
fn priming_that_mp4_hides_is_no_drift_in_matroska() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 25);
    let args = [
        "-v", "error", "-i", "clip.mp4", "-c:v", "copy", "-ar", "8000", "low.mp4",
    ];
    let status = std::process::Command::new("ffmpeg")
        .args(args)
        .current_dir(place.path(""))
        .status();
    assert!(status.unwrap().success());
    make(&place, "low.mp4", "out.mkv", &[]);
    let output = place.rife(&["verify", "out.mkv"]).ok();
    assert!(output.contains("ok    sound in sync"), "{output}");
    make(&place, "low.mp4", "out.mp4", &[]);
    place.rife(&["verify", "out.mp4"]).ok();
}

#[test]
fn without_a_manifest_the_file_is_checked_by_itself() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 10);
    let said = place.rife(&["verify", "clip.mp4"]).ok();
    assert!(
        said.contains("no manifest") && said.contains("ok    frames             10"),
        "{said}"
    );
    place.rife(&["verify", "absent.mp4"]).failed(3);
    fs::write(place.path("clip.mp4.rife.json"), "{}").unwrap();
    assert!(
        place
            .rife(&["verify", "clip.mp4"])
            .failed(3)
            .contains("is no manifest")
    );
}

#[test]
fn a_resumed_result_has_the_manifest_of_an_uninterrupted_one() {
    if !ffmpeg() || cfg!(not(all(unix, debug_assertions))) {
        return;
    }
    let place = Place::new();
    place.y4m("in.y4m", 10);
    let more = ["--segment-frames", "8", "--quiet"];
    make(&place, "in.y4m", "out.mp4", &more);
    let manifest = fs::read(place.path("out.mp4.rife.json")).unwrap();
    fs::remove_file(place.path("out.mp4")).unwrap();
    fs::remove_file(place.path("out.mp4.rife.json")).unwrap();
    let args = [
        &["video", "in.y4m", "-o", "out.mp4", "--manifest"],
        &RANDOM[..],
        &more,
    ]
    .concat();
    let killed = place
        .command(&args)
        .env("RIFE_TEST_KILL_AT_WRITE", "9")
        .output()
        .unwrap();
    assert_eq!(killed.status.code(), None);
    place.rife(&args).ok();
    assert_eq!(fs::read(place.path("out.mp4.rife.json")).unwrap(), manifest);
}

#[test]
fn a_manifest_with_impossible_times_is_refused() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 3);
    make(&place, "clip.mp4", "out.mkv", &[]);
    let path = place.path("out.mkv.rife.json");
    let whole: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let (least, most) = (i64::MIN, i64::MAX);
    for (name, wrong) in [
        ("time_base", [1, least]),
        ("time_base", [1, 0]),
        ("duration", [least, 1]),
        ("duration", [most, most - 2]),
        ("duration", [most, 1]),
    ] {
        let mut manifest = whole.clone();
        manifest[name] = serde_json::json!(wrong);
        fs::write(&path, manifest.to_string()).unwrap();
        let said = place.rife(&["verify", "out.mkv"]).failed(3);
        let value = format!("{}/{}", wrong[0], wrong[1]);
        assert!(said.contains(&value) && said.contains("accepted"), "{said}");
    }
}
