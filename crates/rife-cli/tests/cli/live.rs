//! `rife live`: order, times and bounds of a live stream, from real pipes.

use std::io::{BufRead, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{Place, RANDOM, ffmpeg, frame_hashes, probe};

/// Returns the object of the last line of `text` with this event.
fn event(text: &str, name: &str) -> serde_json::Value {
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let found = lines.rev().find(|line| line["event"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Starts ffmpeg, which plays a test picture in real time as Y4M to its standard output.
fn camera(size: &str, rate: u32, seconds: f64) -> Command {
    let mut command = Command::new("ffmpeg");
    let source = format!("testsrc2=size={size}:rate={rate}");
    command
        .args([
            "-v",
            "error",
            "-re",
            "-f",
            "lavfi",
            "-i",
            &source,
            "-t",
            &seconds.to_string(),
        ])
        .args(["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

#[test]
fn a_live_stream_is_the_video_job_with_a_bounded_delay() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let mut camera = camera("96x64", 25, 2.4).spawn().unwrap();
    let args = [
        &["live", "-", "out.mkv", "--codec", "ffv1", "--json"][..],
        &RANDOM,
    ]
    .concat();
    let begin = Instant::now();
    let ran = place
        .command(&args)
        .stdin(camera.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(
        begin.elapsed() > Duration::from_millis(2300),
        "it is paced by the source"
    );
    camera.wait().unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(
        ran.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let (begins, done) = (event(&text, "begins"), event(&text, "done"));
    // 14 frames are seen ahead, and one is needed on each side of a pair.
    let delay = begins["delay_s"].as_f64().unwrap();
    assert!(
        (delay - 0.69).abs() < 1e-3 && begins["frames_ahead"] == 14,
        "{begins}"
    );
    assert_eq!(
        (&done["frames_in"], &done["frames_out"]),
        (&60.into(), &120.into()),
        "{done}"
    );
    let measured = |name: &str| done["delay_s"][name].as_f64().unwrap();
    assert!(
        measured("first") >= delay && measured("median") < delay + 0.1,
        "{done}"
    );
    // The same frames as those of a video job, as long as the machine keeps up.
    if done["late"] == 0 && done["dropped"] == 0 {
        let clip = [
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=96x64:rate=25",
            "-t",
            "2.4",
        ];
        let made = Command::new("ffmpeg")
            .args(clip)
            .args(["-pix_fmt", "yuv420p"])
            .arg(place.path("clip.y4m"))
            .status();
        assert!(made.unwrap().success());
        let job = [
            "video",
            "clip.y4m",
            "-o",
            "job.mkv",
            "--codec",
            "ffv1",
            "--duplicates",
            "keep",
        ];
        place.rife(&[&job[..], &RANDOM].concat()).ok();
        assert_eq!(
            frame_hashes(&place.path("out.mkv")),
            frame_hashes(&place.path("job.mkv"))
        );
    }
}

#[test]
fn a_machine_that_is_too_slow_shows_fewer_new_frames_and_keeps_the_delay() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    // No processor here computes 240 frames a second of this network at this size.
    let mut camera = camera("640x360", 30, 4.0).spawn().unwrap();
    let args = [
        "live",
        "-",
        "-",
        "--json",
        "--factor",
        "8",
        "--random-weights",
        "--model-version",
        "4.26",
        "--threads",
        "1",
    ];
    let ran = place
        .command(&args)
        .stdin(camera.stdout.take().unwrap())
        .output()
        .unwrap();
    camera.wait().unwrap();
    let text = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success(), "{text}");
    let done = event(&text, "done");
    let levels: Vec<_> = event(&text, "begins")["levels"].as_array().unwrap().clone();
    let names: Vec<_> = levels.iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "all frames",
            "scale 0.5",
            "scale 0.25",
            "one frame of 2",
            "one frame of 4",
            "source frames only"
        ]
    );
    let change = event(&text, "level");
    assert!(change["level"].as_u64().unwrap() >= 1, "{text}");
    assert!(done["late"].as_u64().unwrap() > 0, "{done}");
    let frames = done["frames_out"].as_u64().unwrap();
    let dropped = done["dropped"].as_u64().unwrap();
    assert!((8 * (120 - dropped)..=8 * 120).contains(&frames), "{done}");
    let out = String::from_utf8_lossy(&ran.stdout[..64]).into_owned();
    assert!(out.starts_with("YUV4MPEG2 W640 H360 F240:1"), "{out}");
}

#[test]
fn files_are_played_and_raw_frames_and_other_inputs_are_read() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 20);
    let live = ["--cut-threshold", "0", "--json"];
    // A file through ffmpeg, at its own speed, with the shortest delay.
    let begin = Instant::now();
    let text = place
        .rife(
            &[
                &["live", "clip.mp4", "out.mp4", "--fps", "60"][..],
                &live,
                &RANDOM,
            ]
            .concat(),
        )
        .ok();
    assert!(begin.elapsed() > Duration::from_millis(750), "{text}");
    assert_eq!(event(&text, "begins")["frames_ahead"], 4, "{text}");
    let (frames, duration, _) = probe(&place.path("out.mp4"));
    assert!(
        frames == 48 && (duration - 0.8).abs() < 0.02,
        "{frames} {duration}"
    );
    // Raw frames on standard input, until it is closed.
    let args = [
        &["live", "-", "raw.mkv", "--raw", "64x48,yuv420p,50"][..],
        &live,
        &RANDOM,
    ]
    .concat();
    let mut child = place
        .command(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    for frame in 0..6_u8 {
        pipe.write_all(&vec![100 + 10 * frame; 64 * 48 * 3 / 2]).unwrap();
    }
    drop(pipe);
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(probe(&place.path("raw.mkv")).0, 12);

    let said = place.rife(&["live", "rtsp://127.0.0.1:1/x", "a.mkv"]).failed(2);
    assert!(
        said.contains("only read where its protocol, rtsp, is allowed") && said.contains("--protocol"),
        "{said}"
    );
    let said = place
        .rife(&["live", "clip.mp4", "a.mkv", "--slow-motion"])
        .failed(2);
    assert!(said.contains("does not take --slow-motion"), "{said}");
    let said = place
        .rife(&["live", "clip.mp4", "a.mkv", "--delay", "0.1s"])
        .failed(2);
    assert!(said.contains("too short"), "{said}");
    place.rife(&["live", "missing.mp4", "a.mkv"]).failed(3);
    assert!(!place.path("a.mkv").exists());
}

#[cfg(unix)]
#[test]
fn an_interrupted_live_stream_leaves_a_complete_file() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let mut camera = camera("96x64", 25, 60.0).spawn().unwrap();
    let args = [&["live", "-", "out.mkv", "--json"][..], &RANDOM].concat();
    let mut child = place
        .command(&args)
        .stdin(camera.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let shows = |line: &str| line.contains("progress") && !line.contains("\"frames_out\":0,");
    let seen = lines.by_ref().map(Result::unwrap).find(|line| shows(line));
    assert!(seen.is_some(), "it makes progress");
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let text = lines.map(Result::unwrap).collect::<Vec<_>>().join("\n");
    let status = child.wait().unwrap();
    let _ = camera.kill();
    let _ = camera.wait();
    assert_eq!(status.code(), Some(0), "{text}");
    let done = event(&text, "done");
    assert_eq!(done["frames_out"], probe(&place.path("out.mkv")).0, "{done}");
}

/// The seconds at which the picture becomes white and the sound begins, in a file.
fn flash_and_beep(path: &std::path::Path) -> [f64; 2] {
    let run = |words: &[&str]| {
        let ran = Command::new("ffmpeg")
            .args(["-nostdin", "-hide_banner", "-i"])
            .arg(path)
            .args(words)
            .output();
        String::from_utf8_lossy(&ran.unwrap().stderr).into_owned()
    };
    let after = |text: &str, key: &str| -> f64 {
        let found = text
            .split(key)
            .nth(1)
            .unwrap_or_else(|| panic!("no {key} in {text}"));
        found.split_whitespace().next().unwrap().parse().unwrap()
    };
    let black = run(&["-vf", "blackdetect=d=0.1:pix_th=0.2", "-an", "-f", "null", "-"]);
    let silent = run(&["-af", "silencedetect=n=-40dB:d=0.1", "-vn", "-f", "null", "-"]);
    [after(&black, "black_end:"), after(&silent, "silence_end: ")]
}

#[test]
fn sound_stays_in_step_with_the_picture() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .arg("color=black:s=96x64:r=25:d=3,drawbox=c=white:t=fill:enable='gte(t,2)'")
        .args([
            "-f",
            "lavfi",
            "-i",
            "sine=f=1000:r=48000:d=3,volume='gte(t,2)':eval=frame",
        ])
        .args(["-c:v", "libx264", "-c:a", "pcm_s16le"])
        .arg(place.path("clip.mkv"))
        .status();
    assert!(made.unwrap().success());
    let late = Command::new("ffmpeg")
        .args(["-v", "error", "-itsoffset", "0.7", "-i"])
        .arg(place.path("clip.mkv"))
        .arg("-i")
        .arg(place.path("clip.mkv"))
        .args(["-map", "0:v", "-map", "1:a", "-c", "copy"])
        .arg(place.path("late.mkv"))
        .status();
    assert!(late.unwrap().success());
    for (input, output, expected, sound) in [
        ("clip.mkv", "a.mkv", [2.0, 2.0], "copied"),
        ("late.mkv", "b.mkv", [2.7, 2.0], "copied"),
        ("clip.mkv", "c.webm", [2.0, 2.0], "encoded"),
    ] {
        let args = [
            &["live", input, output, "--json", "--cut-threshold", "0"][..],
            &RANDOM,
        ]
        .concat();
        let ran = place.rife(&args);
        assert_eq!(event(&ran.ok(), "done")["sound"], sound, "{output}");
        let found = flash_and_beep(&place.path(output));
        for (found, expected) in found.into_iter().zip(expected) {
            // Half a frame of the source, and the encoder's first block.
            assert!(
                (found - expected).abs() < 0.03,
                "{output}: {found} where {expected} is"
            );
        }
    }
    let args = [
        &["live", "clip.mkv", "d.mkv", "--json", "--no-audio"][..],
        &RANDOM,
    ]
    .concat();
    assert!(event(&place.rife(&args).ok(), "done")["sound"].is_null());
    assert_eq!(probe(&place.path("d.mkv")).2, 0, "no sound");
    let left = place.names();
    assert_eq!(
        left,
        ["a.mkv", "b.mkv", "c.webm", "clip.mkv", "d.mkv", "late.mkv"],
        "nothing else is left"
    );
}
