//! Quality reports, confidences, and the fallback for frames with a low confidence.

use std::fs;

use rife_testing::Need;

use super::support::{Place, RANDOM, ffmpeg, has_default_network};

#[test]
fn a_report_measures_the_clip_itself() {
    let place = Place::new();
    place.y4m("clip.y4m", 9);
    let network = if has_default_network() { &[][..] } else { &RANDOM };
    let args = [&["report", "clip.y4m", "--worst", "2"], network].concat();
    let names = place.rife(&args).ok();
    assert_eq!(names, "clip_report.html\nclip_report.json\n");
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path("clip_report.json")).unwrap()).unwrap();
    let frames: Vec<_> = report["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["frame"].as_u64().unwrap())
        .collect();
    assert_eq!(frames, [1, 3, 5, 7]);
    let psnr = |way: &str| report["means"][way]["psnr"].as_f64().unwrap();
    assert!(
        psnr("blend") > psnr("hold"),
        "waves that move are nearer to their mixture"
    );
    if has_default_network() {
        assert!(psnr("network") > psnr("hold") + 10.0, "{}", report["means"]);
    }
    assert_eq!(report["worst"].as_array().unwrap().len(), 2);
    let page = fs::read_to_string(place.path("clip_report.html")).unwrap();
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 6);
    assert!(page.contains("<svg") && page.contains("prefers-color-scheme:dark"));
    assert!(
        !page.contains("http") && !page.contains("<script"),
        "nothing is fetched or run"
    );

    assert!(place.rife(&args).failed(4).contains("exists already"));
    place
        .rife(&[&args[..], &["-y", "--samples", "2", "--json"]].concat())
        .ok();
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path("clip_report.json")).unwrap()).unwrap();
    assert_eq!(report["frames"].as_array().unwrap().len(), 2);
    place.y4m("short.y4m", 2);
    assert!(
        place
            .rife(&[&["report", "short.y4m"], network].concat())
            .failed(3)
            .contains("three frames")
    );
}

/// Writes a clip of random pixels, in which no network can estimate motion.
fn noise(place: &Place, frames: usize) {
    let mut bytes = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444\n".to_vec();
    let mut state = 1_u32;
    for _ in 0..frames {
        bytes.extend(b"FRAME\n");
        bytes.extend((0..3 * 64 * 48).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }));
    }
    fs::write(place.path("noise.y4m"), bytes).unwrap();
}

#[test]
fn frames_that_are_not_trusted_are_replaced() {
    let place = Place::new();
    noise(&place, 3);
    place.y4m("clip.y4m", 3);
    let run = |input: &str, output: &str, more: &[&str]| {
        let args = [
            &["video", input, "-o", output, "--cut-threshold", "0", "-y"],
            more,
            &RANDOM[..],
        ]
        .concat();
        place.rife(&args).ok();
        fs::read(place.path(output)).unwrap()
    };
    let held = run(
        "noise.y4m",
        "held.y4m",
        &["--fallback", "hold", "--confidence", "c.json"],
    );
    let list: Vec<serde_json::Value> =
        serde_json::from_slice(&fs::read(place.path("c.json")).unwrap()).unwrap();
    assert_eq!(list.len(), 2);
    let value = |entry: &serde_json::Value, key: &str| entry[key].as_f64().unwrap();
    assert!((value(&list[0], "time") - 0.02).abs() < 1e-9 && (value(&list[1], "time") - 0.06).abs() < 1e-9);
    assert!(
        list.iter()
            .all(|entry| value(entry, "confidence") < 0.3 && entry["replaced"] == true)
    );
    let frame = |bytes: &[u8], index: usize| {
        let size = 3 * 64 * 48 + 6;
        let start = bytes.len() - size * (6 - index);
        bytes[start + 6..start + size].to_vec()
    };
    assert_eq!(frame(&held, 1), frame(&held, 0), "held");
    let blended = run("noise.y4m", "blended.y4m", &["--fallback", "blend"]);
    let [a, b, c] = [0, 1, 2].map(|index| frame(&blended, index));
    let mixed = a
        .iter()
        .zip(&b)
        .zip(&c)
        .all(|((a, b), c)| (i32::from(*a) + i32::from(*c) - 2 * i32::from(*b)).abs() <= 3);
    assert!(mixed, "blended");
    // Nothing is replaced where nothing is asked for, or where all is trusted.
    let plain = run("noise.y4m", "plain.y4m", &[]);
    let trusted = run(
        "noise.y4m",
        "trusted.y4m",
        &["--fallback", "hold", "--fallback-below", "0"],
    );
    assert!(plain == trusted && plain != held);
    place
        .rife(&[
            "video",
            "clip.y4m",
            "-o",
            "x.y4m",
            "--fallback",
            "hold",
            "--fallback-below",
            "2",
        ])
        .failed(2);
}

#[test]
fn a_report_of_a_real_clip_is_made_of_its_own_frames() {
    if !ffmpeg() || !Need::Weights.is_met(has_default_network(), "no network is built in") {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 12);
    place.rife(&["report", "clip.mp4", "-o", "page.html"]).ok();
    assert_eq!(place.names(), ["clip.mp4", "page.html", "page.json"]);
    // With a result the same report is made of its input.
    place
        .rife(&["video", "clip.mp4", "-o", "out.mp4", "--report", "with.html"])
        .ok();
    let figures = |name| fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(figures("with.json"), figures("page.json"));
    assert_eq!(super::support::probe(&place.path("out.mp4")).0, 24);
    place
        .rife(&[
            "video", "clip.mp4", "clip.mp4", "-o", "all/", "--report", "x.html",
        ])
        .failed(2);
    // Standard input cannot be read twice.
    place.y4m("clip.y4m", 3);
    let clip = fs::File::open(place.path("clip.y4m")).unwrap();
    let mut command = place.command(&["video", "-", "-o", "out.y4m", "--report", "x.html"]);
    let ran = command.stdin(clip).output().unwrap();
    let said = super::support::Ran::from(ran).failed(2);
    assert!(said.contains("standard input"), "{said}");
    assert!(!place.path("out.y4m").exists());
}
