//! Audio and subtitles that cannot be copied as planned do not affect the video.

use std::fs;

use super::resume::job;
#[cfg(all(unix, debug_assertions))]
use super::resume::killed;
use super::support::{Place, ffmpeg, probe};

/// Writes a transport stream whose audio headers are damaged for a while after four seconds.
fn with_damaged_sound(place: &Place, name: &str, sound: &[&str]) {
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=5"])
        .args(["-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000"])
        .args(["-t", "6", "-pix_fmt", "yuv420p", "-c:v", "libx264"])
        .args(sound)
        .arg(place.path(name))
        .status();
    assert!(status.unwrap().success());
    let mut bytes = fs::read(place.path(name)).unwrap();
    let of_sound = |packet: &[u8]| u16::from_be_bytes([packet[1] & 31, packet[2]]) == 0x101;
    let mut packets: Vec<_> = bytes
        .chunks_exact_mut(188)
        .filter(|packet| of_sound(packet))
        .collect();
    let from = packets.len() * 7 / 10;
    for packet in &mut packets[from..from + 4] {
        for (index, byte) in packet[60..].iter_mut().enumerate() {
            *byte = if index % 2 == 0 { 0xf1 } else { 0xff };
        }
    }
    fs::write(place.path(name), bytes).unwrap();
}

#[test]
fn sound_that_cannot_be_copied_to_its_end_is_transcoded_and_costs_no_picture() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let stereo = ["-c:a", "aac", "-ac", "2", "-ar", "44100"];
    for (input, sound, output, more) in [
        ("aac.ts", &["-c:a", "aac"][..], "a.mp4", &[][..]),
        ("aac.ts", &[], "b.mov", &[]),
        ("stereo.ts", &stereo, "c.mp4", &[]),
        // In one piece, where nothing keeps the pictures.
        ("stereo.ts", &[], "d.flv", &[]),
        ("stereo.ts", &[], "e.mp4", &["--no-resume"]),
    ] {
        if !sound.is_empty() {
            with_damaged_sound(&place, input, sound);
        }
        let mut args = job(input, output, &[&["--json"][..], more].concat());
        if more == ["--no-resume"] {
            let segments = args.iter().position(|arg| *arg == "--segment-frames");
            args.drain(segments.unwrap()..segments.unwrap() + 2);
        }
        let lines = place.rife(&args).json();
        let warnings = lines.last().unwrap()["warnings"].to_string();
        assert!(
            warnings.contains("stream 1 audio aac: transcoded with aac (it cannot be copied"),
            "{warnings}"
        );
        let (frames, seconds, sounds) = probe(&place.path(output));
        assert_eq!((frames, sounds), (60, 1), "{output}");
        assert!((5.8..6.3).contains(&seconds), "{seconds}");
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn the_pictures_of_a_job_are_the_same_with_and_without_sound() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 13);
    assert!(killed(&place, &job("clip.mp4", "out.mp4", &[]), 25));
    let lines = place
        .rife(&job("clip.mp4", "out.mp4", &["--video-only", "--json"]))
        .json();
    assert!(lines.last().unwrap()["resumed"].as_u64() >= Some(8), "{lines:?}");
    assert_eq!(probe(&place.path("out.mp4")).2, 0);
}
