//! Audio sync over ten minutes of variable frame rate, and exact times of all frames.

use std::path::Path;
use std::process::Command;

use super::support::{Place, RANDOM, ffmpeg};

const SECONDS: f64 = 600.0;
/// The time base of Matroska in seconds.
const TICK: f64 = 0.001;

/// Writes a clip of two frames a second, each up to 150 ms too early or too late, and a tone.
fn clip(path: &Path) {
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=32x32:rate=2:duration=600",
        ])
        .args(["-f", "lavfi", "-i", "sine=duration=600:sample_rate=16000"])
        .args([
            "-vf",
            "settb=1/1000,setpts='round(500*N+150*sin(N*N))'",
            "-fps_mode",
            "passthrough",
        ])
        .args(["-enc_time_base", "1/1000", "-c:v", "ffv1", "-c:a", "flac"])
        .arg(path)
        .status();
    assert!(status.unwrap().success());
}

/// Returns the start times of a stream's packets in order, as reported by ffprobe.
fn times(path: &Path, stream: &str) -> Vec<f64> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            "packet=pts_time",
            "-of",
            "csv=p=0",
        ])
        .arg(path)
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let mut times: Vec<f64> = text
        .lines()
        .map(|line| line.trim_end_matches(',').parse().unwrap())
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Returns the maximum difference of corresponding times.
fn drift(a: impl IntoIterator<Item = f64>, b: impl IntoIterator<Item = f64>) -> f64 {
    a.into_iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

#[test]
fn ten_minutes_of_a_variable_rate_stay_beside_their_sound() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    clip(&place.path("in.mkv"));
    let source = times(&place.path("in.mkv"), "v");
    let steps: Vec<f64> = source.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (least, most) = (
        steps.iter().copied().fold(9.0, f64::min),
        steps.iter().copied().fold(0.0, f64::max),
    );
    assert!(
        source.len() == 1200 && least < 0.25 && most > 0.75,
        "{least} to {most} s a frame"
    );

    let run = |out: &str, rate: [&str; 2]| {
        let more = ["--duplicates", "keep", "--codec", "ffv1", "-q"];
        place
            .rife(&[&["video", "in.mkv", "-o", out][..], &rate, &more, &RANDOM].concat())
            .ok();
        let sound = drift(times(&place.path("in.mkv"), "a"), times(&place.path(out), "a"));
        (times(&place.path(out), "v"), sound)
    };
    let (made, sound) = run("double.mkv", ["--factor", "2"]);
    let own = drift(made.iter().copied().step_by(2), source.iter().copied());
    let middles = source.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    let between = drift(made.iter().copied().skip(1).step_by(2), middles);
    println!("double: source frames off by {own:.4} s, made ones by {between:.4} s, sound by {sound:.4} s");
    assert!(made.len() >= 2 * source.len() - 1 && own <= TICK && between <= TICK && sound <= TICK);

    let (made, sound) = run("constant.mkv", ["--fps", "5"]);
    let grid = drift(
        made.iter().copied(),
        (0..made.len()).map(|i| source[0] + i as f64 * 0.2),
    );
    println!(
        "constant: {} frames off by {grid:.4} s, sound by {sound:.4} s",
        made.len()
    );
    assert!((made.len() as f64 * 0.2 - SECONDS).abs() < 0.5 && grid <= TICK && sound <= TICK);
}
