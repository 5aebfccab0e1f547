//! Variable frame rate: pauses, last frames, and rates above what players show.

use std::process::Command;

use super::support::{Place, RANDOM, ffmpeg, frame_hashes, names, probe};

fn video<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["video"][..], args, &RANDOM].concat()
}

/// A clip of ffmpeg's `source`, its times as they come out of that.
fn make(place: &Place, name: &str, source: &str) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", source])
        .args([
            "-fps_mode",
            "passthrough",
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
        ])
        .arg(place.path(name))
        .status();
    assert!(status.unwrap().success(), "{source}");
}

/// A square that moves in bursts of five frames at 60 a second, with pauses of `pause` seconds between; with `repeat` each
/// burst begins with the last picture of the one before.
fn bursts(pause: f64, repeat: bool) -> String {
    // As multiples of 1/60 s.
    let ticks = (pause * 60.0).round();
    let step = if repeat { "n-floor(n/5)" } else { "n" };
    format!(
        "color=gray:size=64x48:rate=60:duration=0.333[g];color=white:size=8x8:rate=60:duration=0.333[w];\
         [g][w]overlay=x='2*({step})':y=20,setpts=N+{ticks}*floor(N/5)"
    )
}

#[test]
fn the_picture_before_a_pause_stays_until_the_next_one() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    for (pause, repeat) in [(4.0, false), (4.0, true), (0.25, false), (0.25, true)] {
        let name = format!("{pause}-{repeat}.mp4");
        make(&place, &name, &bursts(pause, repeat));
        for more in [
            &["--factor", "2"][..],
            &["--fps", "30"],
            &["--factor", "3", "--duplicates", "keep"],
        ] {
            let out = ["out.mkv", "-y", "--codec", "ffv1"];
            place
                .rife(&video(&[&[name.as_str(), "-o"][..], &out, more].concat()))
                .ok();
            let frames = frame_hashes(&place.path("out.mkv"));
            let begins = |burst: f64| burst * (5.0 / 60.0 + pause);
            for burst in [1.0, 2.0, 3.0] {
                // From the last frame of a burst to the first of the next.
                let (from, to) = (begins(burst) - pause - 0.0177, begins(burst) - 0.002);
                let resting: Vec<&str> = frames
                    .iter()
                    .filter(|(at, _)| *at > from && *at < to)
                    .map(|(_, sum)| sum.as_str())
                    .collect();
                let differ = resting.windows(2).filter(|pair| pair[0] != pair[1]).count();
                assert_eq!(
                    differ,
                    0,
                    "{name} {more:?}: {} frames at {from:.2} to {to:.2} s",
                    resting.len()
                );
                if more[0] == "--fps" {
                    let expected = ((pause + 0.0137) * 30.0).floor() as usize;
                    assert!(resting.len() >= expected, "{} of {expected}", resting.len());
                }
            }
        }
    }
}

#[test]
fn a_clip_that_ends_in_a_pause_is_as_long_as_before() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let source = "testsrc2=size=64x48:rate=25:duration=0.8,setpts=(N+250*gte(N\\,19))/25/TB";
    make(&place, "in.mp4", source);
    let expected = 10.8;
    let commands: [(&str, Vec<&str>, f64); 5] = [
        ("twice.mp4", video(&["in.mp4", "-o", "twice.mp4"]), 1.0),
        (
            "thirty.mp4",
            video(&["in.mp4", "-o", "thirty.mp4", "--fps", "30"]),
            1.0,
        ),
        (
            "slow.mp4",
            video(&["in.mp4", "-o", "slow.mp4", "--slow-motion"]),
            2.0,
        ),
        ("coded.mp4", vec!["reencode", "in.mp4", "-o", "coded.mp4"], 1.0),
        (
            "chain.mp4",
            [
                &["chain", "in.mp4", "in.mp4", "-o", "chain.mp4", "--fps", "25"][..],
                &RANDOM,
            ]
            .concat(),
            2.0,
        ),
    ];
    for (name, args, times) in commands {
        place.rife(&args).ok();
        let (_, seconds, _) = probe(&place.path(name));
        assert!(
            (seconds - expected * times).abs() < 1.2,
            "{name} lasts {seconds} s of {expected} s {times} times"
        );
    }
    place
        .rife(&video(&["in.mp4", "-o", "thirty.y4m", "--fps", "30"]))
        .ok();
    let bytes = std::fs::read(place.path("thirty.y4m")).unwrap();
    assert_eq!(
        bytes.windows(6).filter(|window| window == b"FRAME\n").count(),
        324
    );
    place
        .rife(&video(&["in.mp4", "-o", "thirty/", "--png", "--fps", "30"]))
        .ok();
    assert_eq!(names(&place.path("thirty")).len(), 324);
}

#[test]
fn the_last_frame_of_a_variable_rate_is_shown_until_the_source_ends() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    // The mean interval is many times the last one, and then many times shorter.
    for (name, source) in [
        ("pause.mp4", "setpts=(N+250*gte(N\\,18))/25/TB"),
        ("burst.mp4", "setpts=(N-8*gte(N\\,10)*(N-10)/10)/25/TB"),
    ] {
        make(
            &place,
            name,
            &format!("testsrc2=size=64x48:rate=25:duration=0.8,{source}"),
        );
        let (frames, expected, _) = probe(&place.path(name));
        for out in ["out.mp4", "out.mov", "out.mkv", "out.webm"] {
            place
                .rife(&video(&[name, "-o", out, "-y", "--segment-frames", "8"]))
                .ok();
            let (made, seconds, _) = probe(&place.path(out));
            assert!(made >= 2 * frames - 1, "{name} {out}: {made} of {frames}");
            assert!(
                (seconds - expected).abs() < 0.0015,
                "{name} {out} lasts {seconds} s of {expected} s"
            );
        }
    }
}

#[test]
fn a_gif_is_as_fast_as_players_show_and_the_plan_says_so() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    make(&place, "in.mp4", "testsrc2=size=64x48:rate=30:duration=1");
    for (name, fps, frames) in [("out.gif", 50, 50), ("out.webp", 90, 60)] {
        let events = place.rife(&video(&["in.mp4", "-o", name, "--json"])).json();
        let plan = events.iter().find(|event| event["event"] == "plan").unwrap();
        let notes = plan["notes"].to_string();
        assert_eq!(
            notes.contains(&format!("{fps} fps instead of 60 fps")),
            name == "out.gif",
            "{notes}"
        );
        assert_eq!(plan["output_frames"], frames);
        let done = events.iter().find(|event| event["event"] == "done").unwrap();
        assert_eq!(done["frames_out"], frames, "{done}");
    }
    let times = frame_hashes(&place.path("out.gif"));
    let steps: Vec<f64> = times.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(steps.iter().all(|step| (step - 0.02).abs() < 1e-6), "{steps:?}");
    let plan = place.rife(&video(&["in.mp4", "-o", "fast.webp", "--factor", "4"]));
    assert!(plan.err.contains("90 fps instead of 120 fps"), "{}", plan.err);
}

#[test]
fn a_hostile_rate_is_no_panic() {
    let place = Place::new();
    let path = place.y4m("in.y4m", 4);
    let bytes = std::fs::read(&path).unwrap();
    for rate in [
        "F1:9223372036854775807",
        "F9223372036854775807:9223372036854775806",
    ] {
        let header = format!("YUV4MPEG2 W64 H48 {rate} Ip A1:1 C444\n");
        let frames = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        std::fs::write(&path, [header.as_bytes(), &bytes[frames..]].concat()).unwrap();
        std::fs::write(place.path("cuts.txt"), "2\n0.04\n").unwrap();
        let ran = place.rife(&video(&["in.y4m", "-o", "out.y4m", "-y", "--cuts", "cuts.txt"]));
        assert!(ran.err.contains("25 is assumed"), "{}", ran.err);
        ran.ok();
    }
}
