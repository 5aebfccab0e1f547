//! `rife chain`: numbers and times of frames, clips of different formats, audio during the transitions.

use std::path::Path;
use std::process::Command;

use rife::media::{Input, SourceSpec, open_source};

use super::support::{Place, RANDOM, ffmpeg, probe};

fn chain<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["chain"][..], args, &RANDOM].concat()
}

/// Runs ffmpeg in the test's folder with arguments separated by spaces.
fn make(place: &Place, args: &str, name: &str) {
    let args = args.split(' ');
    let status = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(args)
        .arg(place.path(name))
        .status();
    assert!(status.unwrap().success(), "{name}");
}

/// Returns the mean luma of each frame.
fn brightness(path: &Path) -> Vec<f64> {
    let mut source = open_source(&SourceSpec::new(Input::File(path.to_owned()))).unwrap();
    let tags = source.info().tags;
    let mut means = Vec::new();
    while let Some(frame) = source.next_frame().unwrap() {
        let image = frame.to_rgb(&tags);
        means.push(image.data.iter().map(|v| f64::from(*v)).sum::<f64>() / image.data.len() as f64);
    }
    means
}

/// Returns the loudness (RMS) of the audio per hundredth of a second.
fn loudness(path: &Path) -> Vec<f64> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:a:0", "-ac", "1", "-ar", "48000", "-f", "f32le", "-"])
        .output();
    let bytes = output.unwrap().stdout;
    let samples: Vec<f64> = bytes
        .chunks_exact(4)
        .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
        .collect();
    let rms = |piece: &[f64]| (piece.iter().map(|v| v * v).sum::<f64>() / piece.len() as f64).sqrt();
    samples.chunks(480).map(rms).collect()
}

#[test]
fn no_frame_is_shown_twice_and_every_clip_keeps_its_frames() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    for (name, frames) in [("a.mp4", 5), ("b.mp4", 4), ("c.mp4", 6)] {
        // Every frame is brighter than the one before, so that a doubled one would be seen.
        let source = "color=black:size=96x64:rate=25,format=gray,geq=lum='40+12*N'";
        make(
            &place,
            &format!("-f lavfi -i {source} -frames:v {frames} -pix_fmt yuv420p -crf 1"),
            name,
        );
    }
    let done = place.rife(&chain(&[
        "a.mp4", "b.mp4", "c.mp4", "--passes", "2", "-o", "out.mkv", "--codec", "ffv1", "--json",
    ]));
    let done = done.json().pop().unwrap();
    assert_eq!(
        (done["frames_out"].as_u64(), done["made"].as_u64()),
        (Some(5 + 3 + 4 + 3 + 6), Some(6))
    );
    assert_eq!(done["starts_s"], serde_json::json!([0.0, 0.32, 0.6]));
    let (frames, duration, sound) = probe(&place.path("out.mkv"));
    assert_eq!((frames, sound), (21, 0));
    assert!((duration - 21.0 / 25.0).abs() < 0.002, "{duration}");
    let (all, a, b) = (
        brightness(&place.path("out.mkv")),
        brightness(&place.path("a.mp4")),
        brightness(&place.path("b.mp4")),
    );
    assert_eq!(all[..5], a[..], "the first clip's own frames");
    assert_eq!(all[8..12], b[..], "the second clip's own frames, all of them");
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
    assert_eq!(
        place.names().iter().filter(|name| name.starts_with('.')).count(),
        0
    );
}

#[test]
fn clips_that_share_a_picture_are_joined_at_it() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let source = "-f lavfi -i testsrc2=size=96x64:rate=25";
    make(
        &place,
        &format!("{source} -vf trim=end_frame=4 -c:v ffv1 -pix_fmt yuv420p"),
        "a.mkv",
    );
    make(
        &place,
        &format!("{source} -vf trim=start_frame=3:end_frame=8 -c:v ffv1 -pix_fmt yuv420p"),
        "b.mkv",
    );
    let done = place
        .rife(&chain(&[
            "a.mkv", "b.mkv", "-o", "out.mkv", "--codec", "ffv1", "--json",
        ]))
        .json();
    let done = done.last().unwrap();
    assert_eq!(
        (done["frames_out"].as_u64(), done["made"].as_u64()),
        (Some(8), Some(0))
    );
}

#[test]
fn sizes_rates_shapes_codecs_and_sounds_go_together() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let video = |size: &str, rate: &str| format!("-f lavfi -i testsrc2=size={size}:rate={rate}");
    let sine = |rate: u32| format!("-f lavfi -i sine=frequency=440:sample_rate={rate},volume=6");
    make(
        &place,
        &format!(
            "{} {} -t 0.6 -pix_fmt yuv420p -c:a aac",
            video("128x96", "25"),
            sine(48000)
        ),
        "a.mp4",
    );
    // Half the rate, anamorphic, ten bits, another codec and sound; then no sound, NTSC, portrait.
    make(
        &place,
        &format!(
            "{} {} -t 0.8 -vf setsar=2 -pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none -c:a flac",
            video("64x96", "25/2"),
            sine(44100)
        ),
        "b.mkv",
    );
    make(
        &place,
        &format!("{} -t 0.5 -c:v libvpx-vp9", video("72x128", "30000/1001")),
        "c.webm",
    );
    let ran = place
        .rife(&chain(&[
            "a.mp4", "b.mkv", "c.webm", "--passes", "3", "-o", "out.mp4", "--json",
        ]))
        .json();
    let done = ran.last().unwrap();
    // 15 + 7 + 20 + 7 + 13 (15 of 29.97 are 0.5005 s).
    assert_eq!(done["frames_out"], 62, "{done}");
    let (frames, duration, sound) = probe(&place.path("out.mp4"));
    assert_eq!((frames, sound), (62, 1));
    assert!((duration - 62.0 / 25.0).abs() < 0.03, "{duration}");
    let clips = ran[0]["clips"].to_string();
    for word in ["25/2", "12.500 fps", "29.970 fps", "scaled whole", "frames made"] {
        assert!(clips.contains(word) || word == "25/2", "{word}: {clips}");
    }
    let loud = loudness(&place.path("out.mp4"));
    let mean = |from: f64, to: f64| {
        let piece = &loud[(from * 100.0) as usize..(to * 100.0) as usize];
        piece.iter().sum::<f64>() / piece.len() as f64
    };
    // Audio until 0.6 s, transition until 0.88, audio until 1.68, fade-out until 1.96, silence.
    let level = mean(0.1, 0.5);
    assert!(level > 0.2, "{level}");
    assert!(
        mean(0.62, 0.86) > 0.5 * level,
        "the transition is heard: {loud:?}"
    );
    assert!((mean(1.0, 1.6) - level).abs() < 0.15 * level);
    assert!(mean(1.7, 1.78) > mean(1.86, 1.94) && mean(1.86, 1.94) > 0.0);
    assert!(mean(2.1, 2.4) < 0.02 * level, "the third clip is silent");
    // Without the crossfade, the transition is silent.
    place
        .rife(&chain(&[
            "a.mp4",
            "b.mkv",
            "--passes",
            "3",
            "-o",
            "quiet.mp4",
            "--sound",
            "silence",
        ]))
        .ok();
    let quiet = loudness(&place.path("quiet.mp4"));
    assert!(quiet[64..84].iter().all(|v| *v < 0.02 * level), "{quiet:?}");
    place
        .rife(&chain(&[
            "a.mp4", "b.mkv", "-o", "mute.gif", "--size", "64x48", "--fit", "crop",
        ]))
        .ok();
    assert_eq!(probe(&place.path("mute.gif")).0, 15 + 3 + 20);
}

#[test]
fn what_does_not_go_together_is_refused() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("a.mp4", 3);
    make(
        &place,
        "-f lavfi -i testsrc2=size=96x64:rate=25 -frames:v 3 -pix_fmt yuv420p10le -color_trc smpte2084 -color_primaries bt2020 -colorspace bt2020nc -c:v libx265 -x265-params log-level=none",
        "hdr.mp4",
    );
    let error = place
        .rife(&chain(&["a.mp4", "hdr.mp4", "-o", "out.mp4"]))
        .failed(3);
    assert!(
        error.contains("smpte2084") && error.contains("not mixed"),
        "{error}"
    );
    place.rife(&chain(&["a.mp4"])).failed(2);
    place.rife(&chain(&["a.mp4", "a.mp4", "--passes", "7"])).failed(2);
    place
        .rife(&chain(&["a.mp4", "missing.mp4", "-o", "out.mp4"]))
        .failed(3);
    std::fs::write(place.path("text.mp4"), "no video").unwrap();
    let error = place
        .rife(&chain(&["a.mp4", "text.mp4", "-o", "out.mp4"]))
        .failed(3);
    assert!(error.contains("text.mp4"), "{error}");
    place.clip("out.mp4", 3);
    assert!(
        place
            .rife(&chain(&["a.mp4", "a.mp4", "-o", "out.mp4"]))
            .failed(4)
            .contains("exists")
    );
    place
        .rife(&chain(&["a.mp4", "out.mp4", "-o", "out.mp4", "-y"]))
        .failed(4);
    assert_eq!(probe(&place.path("out.mp4")).0, 3, "an input is not written over");
    assert_eq!(place.names(), ["a.mp4", "hdr.mp4", "out.mp4", "text.mp4"]);
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn killed_it_goes_on_to_the_same_bytes() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("a.mp4", 6);
    place.clip("b.mp4", 5);
    let args = chain(&[
        "a.mp4",
        "b.mp4",
        "a.mp4",
        "-o",
        "out.mp4",
        "--segment-frames",
        "8",
        "--json",
    ]);
    place.rife(&args).ok();
    let whole = std::fs::read(place.path("out.mp4")).unwrap();
    std::fs::remove_file(place.path("out.mp4")).unwrap();
    assert!(
        super::resume::killed(&place, &args, 11),
        "it is over before it is killed"
    );
    let other = [&args[..], &["--passes", "3"]].concat();
    let error = place.rife(&other).failed(4);
    assert!(error.contains("passes was 2 and is 3"), "{error}");
    let other = [&args[..], &["--fps", "30", "--size", "64x48", "--fit", "crop"]].concat();
    let error = place.rife(&other).failed(4);
    for said in [
        "fps was the first clip's and is 30",
        "size was the first clip's and is 64x48",
        "fit was pad and is crop",
    ] {
        assert!(error.contains(said), "{error}");
    }
    let done = place.rife(&args).json().pop().unwrap();
    assert!(done["resumed"].as_u64() >= Some(8), "{done}");
    assert!(std::fs::read(place.path("out.mp4")).unwrap() == whole);
    assert_eq!(place.names(), ["a.mp4", "b.mp4", "out.mp4"]);
}

#[test]
fn the_sound_of_many_clips_stays_beside_their_frames() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let sine = "-f lavfi -i sine=frequency=440:sample_rate=48000,volume=6";
    let brighter = "color=black:size=64x48:rate=25,format=gray,geq=lum='40+40*N'";
    make(
        &place,
        &format!("-f lavfi -i {brighter} {sine} -t 0.12 -pix_fmt yuv420p -c:a flac"),
        "a.mkv",
    );
    // More clips than one ffmpeg puts together; the last one is silent.
    make(
        &place,
        &format!("-f lavfi -i {brighter} -frames:v 3 -pix_fmt yuv420p"),
        "silent.mkv",
    );
    let mut args = vec!["a.mkv"; 17];
    args.extend(["silent.mkv", "--passes", "1", "-o", "out.mkv"]);
    place.rife(&chain(&args)).ok();
    let (frames, _, sound) = probe(&place.path("out.mkv"));
    assert_eq!((frames, sound), (18 * 3 + 17, 1));
    let loud = loudness(&place.path("out.mkv"));
    // 17 clips of 0.12 s, 16 transitions of 0.04 s, one more that fades out, silence.
    let end = 17 * 12 + 16 * 4;
    assert!(loud[..end].iter().all(|v| *v > 0.1), "{loud:?}");
    assert!(loud[end + 6..].iter().all(|v| *v < 0.01), "{loud:?}");
    assert!((loud.len() as i64 - 71 * 4).abs() <= 2, "{}", loud.len());
}

#[test]
fn light_and_primaries_stay_what_they_are() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let source = "-f lavfi -i color=0x30a050:size=64x48:rate=25 -frames:v 2 -c:v ffv1";
    let tagged = |format: &str, matrix: &str, primaries: &str, transfer: &str| {
        format!(
            "{source} -vf scale=out_color_matrix={matrix}:out_range=tv -pix_fmt {format} -color_range tv -colorspace {matrix} -color_primaries {primaries} -color_trc {transfer}"
        )
    };
    make(&place, &tagged("yuv444p", "bt709", "bt709", "bt709"), "a.mkv");
    make(
        &place,
        &tagged("yuv444p", "smpte170m", "smpte170m", "smpte170m"),
        "b.mkv",
    );
    let ran = place.rife(&chain(&[
        "a.mkv", "b.mkv", "-o", "out.mkv", "--codec", "ffv1", "--json",
    ]));
    assert!(ran.json()[0]["clips"].to_string().contains("primaries converted"));
    // What SMPTE 170M's green is by BT.709's primaries: a little less red (from the chromaticities, in linear light).
    let means = brightness(&place.path("out.mkv"));
    let (a, b) = (means[0], *means.last().unwrap());
    assert!(a != b && (a - b).abs() < 0.03, "{means:?}");
    // PQ of both stays PQ.
    for name in ["pq.mkv", "pq2.mkv"] {
        make(
            &place,
            &tagged("yuv420p10le", "bt2020nc", "bt2020", "smpte2084"),
            name,
        );
    }
    place
        .rife(&chain(&["pq.mkv", "pq2.mkv", "-o", "pq.mp4", "--codec", "h265"]))
        .ok();
    let media = rife::media::probe(&place.path("pq.mp4"), &rife::media::Limits::default()).unwrap();
    let (_, video) = media.main_video().unwrap();
    assert_eq!(video.color.transfer, rife::media::Transfer::Smpte2084);
    assert_eq!(video.pixel_format, "yuv420p10le");
}
