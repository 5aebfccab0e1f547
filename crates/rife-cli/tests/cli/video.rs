//! `rife video`: counts, durations, streams, rates, cuts, formats.

use std::process::Stdio;

use serde_json::Value;

use super::support::{Place, RANDOM, ffmpeg, names, probe};

fn video<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["video"][..], args, &RANDOM].concat()
}

/// Counts the frames of a Y4M file.
fn y4m_frames(bytes: &[u8]) -> usize {
    bytes.windows(6).filter(|window| window == b"FRAME\n").count()
}

#[test]
fn a_clip_gets_twice_the_frames_and_keeps_duration_and_sound() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let clip = place.clip("clip.mp4", 6);
    let events = place.rife(&video(&["clip.mp4", "--json"])).json();
    let output = place.path("clip_2X_50fps.mp4");
    let ((_, before, _), (frames, after, sound)) = (probe(&clip), probe(&output));
    assert_eq!((frames, sound), (12, 1));
    assert!(
        (before - after).abs() <= 1.0 / 50.0,
        "{before} s became {after} s"
    );
    let event = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
    assert_eq!(event("plan")["output_frames"], 12);
    assert!(
        event("plan")["streams"]
            .as_array()
            .is_some_and(|streams| streams.len() == 2)
    );
    assert_eq!(
        (&event("done")["frames_in"], &event("done")["made"]),
        (&Value::from(6), &Value::from(5))
    );
    assert_eq!(event("progress")["total"], 12);
    assert_eq!(place.names(), ["clip.mp4", "clip_2X_50fps.mp4"]);
}

#[test]
fn the_plan_and_the_summary_are_told_to_people() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 3);
    let ran = place.rife(&video(&[
        "clip.mp4", "-o", "out.mkv", "--exp", "2", "--fp16", "-v",
    ]));
    for words in [
        "rule:",
        "4*(N-1)+1",
        "model:",
        "about",
        "frames from 3 (6 made)",
        "--fp16 is ignored",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    assert_eq!(ran.ok(), "", "standard output is for programs");
    let short = place.rife(&video(&["clip.mp4", "-o", "short.mkv"]));
    let begins: Vec<_> = short
        .err
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        begins,
        ["in", "out", "model", "needs", "short.mkv"],
        "{}",
        short.err
    );
    assert!(
        short.err.lines().all(|line| line.chars().count() <= 100),
        "{}",
        short.err
    );
    // The short form is the same job.
    place
        .rife(&[&["clip.mp4", "same.mkv", "-q"][..], &RANDOM].concat())
        .ok();
    let [short, same] = ["short.mkv", "same.mkv"].map(|name| std::fs::read(place.path(name)).unwrap());
    assert!(short == same);
    let quiet = place.rife(&video(&["clip.mp4", "-o", "quiet.mkv", "--quiet"]));
    assert_eq!((quiet.err.as_str(), quiet.code), ("", 0));
}

#[test]
fn target_rates_and_slow_motion() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 5);
    place
        .rife(&video(&["clip.mp4", "-o", "sixty.mp4", "--fps", "60"]))
        .ok();
    let (frames, seconds, _) = probe(&place.path("sixty.mp4"));
    assert!(
        frames == 12 && (seconds - 0.2).abs() <= 1.0 / 60.0,
        "{frames} frames, {seconds} s"
    );
    place
        .rife(&video(&[
            "clip.mp4",
            "-o",
            "slow.mp4",
            "--factor",
            "4",
            "--slow-motion",
        ]))
        .ok();
    let (frames, seconds, sound) = probe(&place.path("slow.mp4"));
    assert!(
        frames == 20 && sound == 0 && (seconds - 0.8).abs() <= 1.0 / 25.0,
        "{frames} frames, {seconds} s"
    );
    place
        .rife(&video(&[
            "clip.mp4",
            "-o",
            "loud.mp4",
            "--slow-motion",
            "--stretch-audio",
        ]))
        .ok();
    let (frames, seconds, sound) = probe(&place.path("loud.mp4"));
    assert!(
        frames == 10 && sound == 1 && (seconds - 0.4).abs() <= 0.06,
        "{frames} frames, {seconds} s"
    );
}

#[test]
fn y4m_needs_no_ffmpeg_and_pipes_through() {
    let place = Place::new();
    place.y4m("in.y4m", 4);
    let without = |args: &[&str], input: Option<&str>| {
        let mut command = place.command(args);
        command
            .env("RIFE_FFMPEG", "/nonexistent")
            .env("RIFE_FFPROBE", "/nonexistent")
            .env("PATH", "");
        if let Some(input) = input {
            command.stdin(Stdio::from(std::fs::File::open(place.path(input)).unwrap()));
        }
        command.output().unwrap()
    };
    let to_file = without(&video(&["in.y4m", "-o", "out.y4m"]), None);
    assert!(
        to_file.status.success(),
        "{}",
        String::from_utf8_lossy(&to_file.stderr)
    );
    let written = std::fs::read(place.path("out.y4m")).unwrap();
    assert_eq!(y4m_frames(&written), 8);
    let piped = without(&video(&["-", "-o", "-"]), Some("in.y4m"));
    assert!(
        piped.status.success(),
        "{}",
        String::from_utf8_lossy(&piped.stderr)
    );
    assert!(piped.stdout == written, "a pipe gives what a file gives");
    let again = without(&video(&["in.y4m", "-o", "again.y4m"]), None);
    assert!(
        again.status.success() && std::fs::read(place.path("again.y4m")).unwrap() == written,
        "it is repeatable"
    );
}

#[test]
fn source_frames_pass_unchanged() {
    let place = Place::new();
    let input = std::fs::read(place.y4m("in.y4m", 3)).unwrap();
    place.rife(&video(&["in.y4m", "-o", "out.y4m"])).ok();
    let output = std::fs::read(place.path("out.y4m")).unwrap();
    let frames = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let starts: Vec<_> = (0..bytes.len() - 6)
            .filter(|&i| &bytes[i..i + 6] == b"FRAME\n")
            .collect();
        starts
            .iter()
            .map(|&start| bytes[start + 6..start + 6 + 3 * 64 * 48].to_vec())
            .collect()
    };
    let (before, after) = (frames(&input), frames(&output));
    assert_eq!(after.len(), 6);
    for (index, frame) in before.iter().enumerate() {
        assert!(*frame == after[2 * index], "frame {index} changed");
    }
    assert!(
        after[1] != before[0] && after[3] != before[1],
        "frames are made, not repeated"
    );
    assert!(after[5] == before[2], "the last frame is held");
}

#[test]
fn cuts_are_never_morphed() {
    let place = Place::new();
    let mut bytes = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444\n".to_vec();
    for level in [40_u8, 40, 200, 200] {
        bytes.extend(b"FRAME\n");
        let noise = |i: usize| level.wrapping_add((i * usize::from(level) * 31 % 41) as u8);
        bytes.extend((0..3 * 64 * 48).map(noise));
    }
    std::fs::write(place.path("cut.y4m"), bytes).unwrap();
    let done = |args: &[&str]| {
        let events = place
            .rife(&video(&[&["cut.y4m", "--json"], args].concat()))
            .json();
        events.into_iter().find(|event| event["event"] == "done").unwrap()
    };
    let repeated = done(&["-o", "a.y4m"]);
    assert_eq!(
        (&repeated["cuts"], &repeated["made"]),
        (&Value::from(1), &Value::from(0)),
        "equal frames are repeated"
    );
    let morphed = done(&["-o", "b.y4m", "--cut-threshold", "0", "--duplicates", "keep"]);
    assert_eq!(
        (&morphed["cuts"], &morphed["made"]),
        (&Value::from(0), &Value::from(1))
    );
    done(&["-o", "c.y4m", "--cut-fill", "blend"]);
    let [a, c] = ["a.y4m", "c.y4m"].map(|name| std::fs::read(place.path(name)).unwrap());
    assert!(a != c && a.len() == c.len());
}

/// Writes a clip of a static logo before a moving texture.
fn logo(place: &Place, name: &str, inside: impl Fn(usize) -> bool) {
    let shade = |x: usize, y: usize| ((x * 7919) ^ (y * 104_729)).wrapping_mul(2_654_435_761) as u8;
    let mut bytes = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444\n".to_vec();
    for time in 0..40 {
        bytes.extend(b"FRAME\n");
        let moved = |i: usize| if inside(i) { 0 } else { 3 * time };
        bytes.extend((0..3 * 64 * 48).map(|i| shade(i % 64 + moved(i % (64 * 48)), i / 64)));
    }
    std::fs::write(place.path(name), bytes).unwrap();
}

#[test]
fn overlays_that_do_not_move_stay_still() {
    let place = Place::new();
    let inside = |i: usize| (20..40).contains(&(i % 64)) && (16..30).contains(&(i / 64));
    logo(&place, "logo.y4m", inside);
    let made = |how: &str| {
        let out = format!("{how}.y4m");
        let args = [
            "logo.y4m",
            "-o",
            &out,
            "--mask-static",
            how,
            "--cut-threshold",
            "0",
        ];
        place.rife(&video(&args)).ok();
        std::fs::read(place.path(&out)).unwrap()
    };
    let frame = 6 + 3 * 64 * 48;
    // The largest change of the logo in the last frame that was made, from the source frame before it.
    let change = |bytes: &[u8]| {
        let [source, made] = [3, 2].map(|back| &bytes[bytes.len() - back * frame + 6..][..64 * 48]);
        let inner = (0..64 * 48).filter(|i| inside(*i));
        inner.map(|i| source[i].abs_diff(made[i])).max().unwrap()
    };
    let (auto, off) = (made("auto"), made("off"));
    assert!(
        change(&off) > 40,
        "the network alone bends it by {}",
        change(&off)
    );
    assert!(
        change(&auto) <= 1,
        "it is taken from the source, but for {}",
        change(&auto)
    );
}

/// Writes a clip of soft bars, a frame for each of `steps`, moved by four pixels per step.
fn steps(place: &Place, name: &str, steps: &[usize]) {
    let mut bytes = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444\n".to_vec();
    for step in steps {
        bytes.extend(b"FRAME\n");
        let wave = |i: usize| ((i % 64 + 4 * step) as f32 * 0.3).sin();
        bytes.extend((0..3 * 64 * 48).map(|i| (128.0 + 90.0 * wave(i % (64 * 48))) as u8));
    }
    std::fs::write(place.path(name), bytes).unwrap();
}

#[test]
fn repeated_frames_are_smoothed_kept_or_reported() {
    let place = Place::new();
    steps(&place, "in.y4m", &[0, 1, 2, 2, 3, 4, 5]);
    let run = |rule: &str| {
        let args = video(&["in.y4m", "-o", "out.y4m", "-y", "--json", "--duplicates", rule]);
        place.rife(&args).json().pop().unwrap()
    };
    let report = run("report");
    assert_eq!(
        (&report["event"], &report["held"]),
        (&Value::from("duplicates"), &Value::from(1))
    );
    assert_eq!(report["stretches"][0]["frames"], Value::from(vec![2, 3]));
    assert!(!place.path("out.y4m").exists(), "a report writes nothing");
    for (rule, held) in [("smooth", 1), ("keep", 0)] {
        let done = run(rule);
        assert_eq!(
            (&done["held"], &done["frames_out"]),
            (&Value::from(held), &Value::from(14)),
            "{rule}"
        );
    }
    let said = place
        .rife(&video(&["in.y4m", "-o", "out.y4m", "--duplicates", "report"]))
        .ok();
    assert!(
        said.contains("7 frames, 0 cuts, 1 frame only repeating"),
        "{said}"
    );
}

#[test]
fn cuts_are_written_and_read() {
    let place = Place::new();
    steps(&place, "in.y4m", &[0, 1, 2, 3, 4, 5, 6, 7]);
    std::fs::write(place.path("cuts.txt"), "# mine\n3\n0.24 # frame 6\n").unwrap();
    let args = |rest: &[&'static str]| video(&[&["in.y4m", "-o", "out.y4m", "-y", "--json"], rest].concat());
    let done = place
        .rife(&args(&["--cuts", "cuts.txt", "--cuts-out", "found.txt"]))
        .json()
        .pop()
        .unwrap();
    assert_eq!((&done["cuts"], &done["made"]), (&Value::from(2), &Value::from(5)));
    let found = std::fs::read_to_string(place.path("found.txt")).unwrap();
    let lines: Vec<_> = found.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("3 # 0.120000 s") && lines[1].starts_with("6 # 0.24"),
        "{found}"
    );
    let again = place.rife(&args(&["--cuts", "found.txt"])).json().pop().unwrap();
    assert_eq!(again["cuts"], 2);
    std::fs::write(place.path("bad.txt"), "3\nsoon\n").unwrap();
    let bad = place.rife(&video(&["in.y4m", "-o", "bad.y4m", "--cuts", "bad.txt"]));
    assert!(
        bad.code == 2 && bad.err.contains("line 2") && bad.err.contains("\"soon\""),
        "{}",
        bad.err
    );
    let taken = place.rife(&video(&["in.y4m", "-o", "other.y4m", "--cuts-out", "found.txt"]));
    assert!(
        taken.code == 4 && !place.path("other.y4m").exists(),
        "{}",
        taken.err
    );
}

#[test]
fn pictures_in_and_out_as_the_original_takes_them() {
    let place = Place::new();
    for index in 0..3 {
        place.picture(&format!("shots/{index}.png"), 2.0 * index as f32);
    }
    place.rife(&video(&["--img", "shots", "--exp", "1"])).ok();
    let expected: Vec<_> = (0..6).map(|index| format!("{index:07}.png")).collect();
    assert_eq!(names(&place.path("vid_out")), expected);
    place
        .rife(&video(&["shots/*.png", "-o", "out.y4m", "--montage"]))
        .ok();
    let montage = std::fs::read(place.path("out.y4m")).unwrap();
    assert!(montage.starts_with(b"YUV4MPEG2 W64 H48") && y4m_frames(&montage) == 6);
}

#[test]
fn networks_of_the_middle_recurse_and_say_so() {
    let place = Place::new();
    place.y4m("in.y4m", 2);
    let args = [
        "video",
        "in.y4m",
        "-o",
        "out.y4m",
        "--factor",
        "4",
        "--random-weights",
        "--model-version",
        "rife",
    ];
    let ran = place.rife(&[&args[..], &["-v"]].concat());
    assert!(ran.err.contains("knows only the middle"), "{}", ran.err);
    ran.ok();
    let direct = place.rife(&[&args[..], &["-y", "--timestep-method", "direct"]].concat());
    assert!(direct.failed(5).contains("0.5"));
}

#[test]
fn a_result_is_in_its_source_s_container_and_losses_are_told_before() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let clip = place.clip("clip.mp4", 3);
    let make = |name: &str, words: &str| {
        let status = std::process::Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(&clip)
            .args(words.split_whitespace())
            .arg(place.path(name))
            .status();
        assert!(status.unwrap().success(), "{words}");
    };
    make("film.mkv", "-c copy");
    make(
        "clear.webm",
        "-vf format=yuva420p,colorchannelmixer=aa=0.5 -c:v libvpx-vp9 -an",
    );
    make(
        "clear.mov",
        "-vf format=yuva444p10le,colorchannelmixer=aa=0.5 -c:v prores_ks -c:a pcm_s16le",
    );
    make("tv.ts", "-c:v mpeg2video -c:a mp2");
    for (input, output) in [
        ("film.mkv", "film_2X_50fps.mkv"),
        ("clear.webm", "clear_2X_50fps.webm"),
        ("clear.mov", "clear_2X_50fps.mov"),
        ("tv.ts", "tv_2X_50fps.ts"),
    ] {
        let events = place.rife(&video(&[input, "--json"])).json();
        assert_eq!(events[0]["losses"], Value::Array(Vec::new()), "{input}");
        assert!(place.path(output).is_file(), "{output}: {:?}", place.names());
    }
    place.rife(&video(&["film.mkv", "--ext", "mp4"])).ok();
    assert!(place.path("film_2X_50fps.mp4").is_file());
    let ran = place
        .rife(&[&["info", "clear.mov", "--ext", "mp4"][..], &RANDOM].concat())
        .ok();
    assert!(ran.contains("alpha is dropped: H.264 holds none"), "{ran}");
    // What cannot be encoded is refused with the plan, before a frame is made.
    let refused = place.rife(
        &[
            &["info", "clip.mp4", "--codec", "vp9", "--preset", "slow"][..],
            &RANDOM,
        ]
        .concat(),
    );
    assert!(
        refused.code != 0 && refused.err.contains("the preset of libvpx-vp9 is `slow`"),
        "{}",
        refused.err
    );
}

#[test]
fn a_file_in_a_pipe_is_refused_with_a_way_out() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 3);
    let mut command = place.command(&video(&["-", "-o", "out.mkv"]));
    command.stdin(Stdio::from(std::fs::File::open(place.path("clip.mp4")).unwrap()));
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && error.contains("A pipe carries Y4M only"),
        "{error}"
    );
    assert!(
        error.contains("yuv4mpegpipe") && !place.path("out.mkv").exists(),
        "{error}"
    );
}

#[test]
fn info_says_what_would_be_done_and_does_nothing() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 5);
    let text = place.rife(&[&["info", "clip.mp4"][..], &RANDOM].concat()).ok();
    for words in ["h264", "aac", "96x64", "rule:", "about", "MB"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let objects = place
        .rife(&[&["info", "clip.mp4", "--fps", "60", "--json"][..], &RANDOM].concat())
        .json();
    assert_eq!(objects[0]["plan"]["output_frames"], 12);
    assert_eq!(objects[0]["media"]["streams"].as_array().map(Vec::len), Some(2));
    let description = &objects[0]["media"]["streams"][0]["description"];
    assert!(
        description
            .as_str()
            .is_some_and(|text| text.starts_with("96x64 yuv420p")),
        "{description}"
    );
    assert!(objects[0].get("layers").is_none());
    let plan = place
        .rife(&[&["info", "clip.mp4", "--plan", "--json"][..], &RANDOM].concat())
        .json();
    let layers = plan[0]["layers"].as_array().unwrap();
    assert!(layers.len() > 20, "{}", layers.len());
    for layer in layers {
        assert!(layer["ms"].as_f64() > Some(0.0), "{layer}");
        assert!(!layer["kernel"].as_str().unwrap().is_empty(), "{layer}");
    }
    assert_eq!(place.names(), ["clip.mp4"]);
}
