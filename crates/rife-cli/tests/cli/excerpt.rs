//! `--start` and `--end`: the frames, times and audio of a part of a clip.

use std::path::Path;
use std::process::Command;

use super::support::{Place, RANDOM, ffmpeg, frame_hashes, probe};

/// Seconds between two clicks of [`clicks`].
const PERIOD: f64 = 1.07;

/// Writes a clip of 8 s at 25 frames per second with a key frame every 2 s, and a click of 20 ms every [`PERIOD`].
fn clicks(place: &Place, name: &str) {
    let sound =
        "aevalsrc=exprs=if(lt(mod(t\\,1.07)\\,0.02)\\,0.8*sin(2*PI*1000*t)\\,0):sample_rate=48000:duration=8";
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=64x48:rate=25:duration=8",
        ])
        .args([
            "-f", "lavfi", "-i", sound, "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac",
        ])
        .arg(place.path(name))
        .status();
    assert!(status.unwrap().success());
}

/// Times in seconds at which the audio becomes loud.
fn onsets(path: &Path) -> Vec<f64> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args([
            "-af",
            "aresample=async=1:first_pts=0",
            "-ac",
            "1",
            "-ar",
            "8000",
            "-f",
            "s16le",
            "-",
        ])
        .output();
    let bytes = output.unwrap().stdout;
    let samples: Vec<_> = bytes
        .chunks(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut found: Vec<f64> = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let time = index as f64 / 8000.0;
        if sample.unsigned_abs() > 6000 && found.last().is_none_or(|last| time - last > 0.5) {
            found.push(time);
        }
    }
    found
}

/// Arguments of a job that copies the frames of `clip` losslessly.
fn copy<'a>(clip: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let job = ["video", clip, "-o", output, "--factor", "1", "--codec", "ffv1"];
    // Neighbours outside the part have no influence.
    let plain = [
        "--duplicates",
        "keep",
        "--cut-threshold",
        "0",
        "--mask-static",
        "off",
    ];
    [&job[..], &plain, more, &RANDOM].concat()
}

#[test]
fn a_part_has_its_frames_and_its_sound_in_place() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let (middle, frames_of) = (
        &["--start", "3.5", "--end", "00:00:06"][..],
        &["--start", "100f", "--end", "150f"][..],
    );
    let (head, tail) = (&["--end", "25f"][..], &["--start", "0:05.2", "--end", "99"][..]);
    // The second has times in milliseconds, the third is decoded from its start.
    for (clip, parts) in [
        (
            "clip.mp4",
            &[(middle, 88, 62), (head, 0, 25), (tail, 130, 70)][..],
        ),
        ("clip.mkv", &[(middle, 88, 62), (frames_of, 100, 50)]),
        ("clip.ts", &[(middle, 88, 62)]),
    ] {
        clicks(&place, clip);
        place.rife(&copy(clip, "whole.mkv", &["--overwrite"])).ok();
        let whole = frame_hashes(&place.path("whole.mkv"));
        assert_eq!(whole.len(), 200, "{clip}");
        for &(more, first, count) in parts {
            let _ = std::fs::remove_file(place.path("part.mkv"));
            let ran = place.rife(&copy(clip, "part.mkv", &[more, &["--manifest"]].concat()));
            assert!(!ran.err.contains("warning"), "{clip} {more:?}: {}", ran.err);
            ran.ok();
            let part = frame_hashes(&place.path("part.mkv"));
            let start = part[0].0;
            let got: Vec<_> = part.iter().map(|(_, hash)| hash).collect();
            let wanted: Vec<_> = whole[first..first + count].iter().map(|(_, hash)| hash).collect();
            assert_eq!(got, wanted, "{clip} {more:?}");
            for (index, (time, _)) in part.iter().enumerate() {
                let wanted = start + index as f64 / 25.0;
                assert!(
                    (time - wanted).abs() < 0.0011,
                    "{clip} {more:?}: frame {index} at {time}"
                );
            }
            // The first click may be cut off.
            let offset = first as f64 / 25.0;
            for onset in onsets(&place.path("part.mkv"))
                .into_iter()
                .filter(|onset| *onset > 0.1)
            {
                let source = onset + offset - start;
                let click = (source / PERIOD).round() * PERIOD;
                assert!(
                    (source - click).abs() < 0.02,
                    "{clip} {more:?}: a click at {source} s"
                );
            }
            let (_, length, sound) = probe(&place.path("part.mkv"));
            assert!(
                sound == 1 && (length - count as f64 / 25.0).abs() < 0.05,
                "{clip} {more:?}: {length} s"
            );
            place.rife(&["verify", "part.mkv"]).ok();
            std::fs::remove_file(place.path("part.mkv.rife.json")).unwrap();
        }
    }
}

#[test]
fn a_part_is_interpolated_and_named_after_its_ends() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    clicks(&place, "clip.mp4");
    let args = [
        "video",
        "clip.mp4",
        "--start",
        "4",
        "--end",
        "130f",
        "--slow-motion",
        "--stretch-audio",
    ];
    place.rife(&[&args[..], &RANDOM].concat()).ok();
    let output = place.path("clip_4s-f130_2X_25fps.mp4");
    let (count, length, sound) = probe(&output);
    assert_eq!((count, sound), (60, 1));
    assert!((length - 2.4).abs() < 0.06, "{length}");
    let clicks = onsets(&output);
    // The click at 4.28 s; a frame of the source lasts 0.08 s here, and stretching smears the click.
    assert!(
        clicks.iter().any(|onset| (onset - 0.56).abs() < 0.06),
        "{clicks:?}"
    );
}

#[test]
fn a_part_of_a_variable_rate_keeps_its_times() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let filter = "testsrc2=size=64x48:rate=25:duration=4,setts='if(lt(N,50),N,50+3*(N-50))/25/TB'"
        .replace("setts", "setpts");
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            &filter,
            "-fps_mode",
            "passthrough",
        ])
        .args(["-c:v", "ffv1", "-pix_fmt", "yuv420p"])
        .arg(place.path("clip.mkv"))
        .status();
    assert!(status.unwrap().success());
    place.rife(&copy("clip.mkv", "whole.mkv", &[])).ok();
    let whole = frame_hashes(&place.path("whole.mkv"));
    // Frame 60 is shown from 3.2 s on.
    for (more, range) in [
        (["--start", "40f", "--end", "60f"], 40..60),
        (["--start", "3.1", "--end", "3.6"], 60..64),
    ] {
        place
            .rife(&copy(
                "clip.mkv",
                "part.mkv",
                &[&more[..], &["--overwrite"]].concat(),
            ))
            .ok();
        let part = frame_hashes(&place.path("part.mkv"));
        let wanted = &whole[range];
        assert_eq!(part.len(), wanted.len(), "{more:?}");
        for (found, source) in part.iter().zip(wanted) {
            assert_eq!(found.1, source.1, "{more:?}");
            assert!(
                (found.0 - (source.0 - wanted[0].0)).abs() < 0.0011,
                "{more:?}: {found:?}"
            );
        }
    }
}

#[test]
fn pictures_and_streams_have_parts_too() {
    let place = Place::new();
    place.y4m("clip.y4m", 12);
    let job = [
        "video", "clip.y4m", "-o", "part.y4m", "--factor", "1", "--start", "0.2", "--end", "9f",
    ];
    let ran = place.rife(&[&job[..], &RANDOM].concat());
    assert!(ran.err.contains("frames from 4"), "{}", ran.err);
    ran.ok();
    for index in 0..6 {
        place.picture(&format!("pictures/{index}.png"), index as f32);
    }
    let job = [
        "video", "pictures", "-o", "part/", "--factor", "1", "--start", "2f", "--end", "5f",
    ];
    place.rife(&[&job[..], &RANDOM].concat()).ok();
    let same = |made: &str, source: &str| {
        let read = |name| image::open(place.path(name)).unwrap().to_rgb8();
        read(made) == read(source)
    };
    for (made, source) in [
        ("part/0000000.png", "pictures/2.png"),
        ("part/0000002.png", "pictures/4.png"),
    ] {
        assert!(same(made, source), "{made}");
    }
    assert_eq!(super::support::names(&place.path("part")).len(), 3);
}

#[test]
fn ends_outside_the_clip_are_refused_in_words() {
    let place = Place::new();
    place.y4m("clip.y4m", 12);
    for (more, words) in [
        (
            &["--start", "5"][..],
            "the start is 5 s, outside the accepted before the clip's end, 0.480 s",
        ),
        (
            &["--start", "12f"],
            "the start is frame 12, outside the accepted before the clip's end, 0.480 s",
        ),
        (
            &["--start", "0.2", "--end", "0.1"],
            "the end is 0.1 s, outside the accepted after the start, 0.2 s",
        ),
        (
            &["--start", "4f", "--end", "4f"],
            "the end is frame 4, outside the accepted after the start, frame 4",
        ),
        (
            &["--end", "0"],
            "the end is 0 s, outside the accepted after the start, frame 0",
        ),
        (&["--start", "1h"], "a position is seconds such as 62.5"),
        (&["--end", "-1"], ""),
    ] {
        let ran = place.rife(&[&["video", "clip.y4m", "-o", "out.y4m"][..], more, &RANDOM].concat());
        assert_ne!(ran.code, 0, "{more:?}");
        assert!(ran.err.contains(words), "{more:?}: {}", ran.err);
    }
    assert_eq!(place.names(), ["clip.y4m"]);
}
