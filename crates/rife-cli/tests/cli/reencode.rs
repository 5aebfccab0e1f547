//! `rife reencode`: analysis, conversion, and the colour check.

use std::process::Command;

use rife::media::{Limits, Matrix, Primaries, Range, Transfer, probe as examine};

use super::support::{Place, ffmpeg, probe};

fn make(place: &Place, args: &str, name: &str) {
    let args = args.split(' ');
    let status = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(args)
        .arg(place.path(name))
        .status();
    assert!(status.unwrap().success(), "{name}");
}

/// Writes a clip of moving colour bars, in which a wrong matrix is visible.
const BARS: &str = "-f lavfi -i smptebars=size=128x96:rate=30,scroll=horizontal=0.02";
const SOUND: &str = "-f lavfi -i sine=frequency=300:sample_rate=44100";

#[test]
fn a_video_of_another_kind_is_converted_and_then_left_alone() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    // BT.601 in VP9 with Opus.
    make(
        &place,
        &format!(
            "{BARS} {SOUND} -t 0.5 -pix_fmt yuv420p -color_range tv -colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m -c:v libvpx-vp9 -crf 10 -b:v 0 -c:a libopus"
        ),
        "in.webm",
    );
    let ran = place
        .rife(&["reencode", "in.webm", "-o", "out.mp4", "--json"])
        .json();
    assert_eq!(ran[0]["conforms"], false);
    let done = ran.last().unwrap();
    assert_eq!(
        (done["frames"].as_u64(), done["check"]["passed"].as_bool()),
        (Some(15), Some(true)),
        "{done}"
    );
    let media = examine(&place.path("out.mp4"), &Limits::default()).unwrap();
    let (stream, video) = media.main_video().unwrap();
    assert_eq!(
        (stream.codec.as_str(), video.profile.as_deref()),
        ("h264", Some("High"))
    );
    let tags = video.color;
    assert_eq!(
        (tags.matrix, tags.primaries, tags.transfer, tags.range),
        (Matrix::Bt709, Primaries::Bt709, Transfer::Bt709, Range::Limited)
    );
    assert_eq!(media.streams[1].codec, "aac");
    // Now it is of that kind.
    let again = place.rife(&["reencode", "out.mp4", "--json"]).json();
    assert_eq!(again[0]["conforms"], true, "{}", again[0]);
    assert!(again[1]["output"].is_null());
    assert!(place.rife(&["reencode", "out.mp4"]).err.contains("nothing to do"));
    assert_eq!(place.names(), ["in.webm", "out.mp4"]);
    place.rife(&["reencode", "out.mp4", "--force"]).ok();
    assert_eq!(probe(&place.path("out_reencoded.mp4")).0, 15);
    assert!(
        place
            .rife(&["reencode", "out.mp4", "--force"])
            .failed(4)
            .contains("exists")
    );
}

#[test]
fn wrong_colours_are_found() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let tags = "-color_range tv -color_primaries bt709 -color_trc bt709";
    make(
        &place,
        &format!("{BARS} -t 0.4 -pix_fmt yuv420p -colorspace bt709 {tags} -crf 12"),
        "in.mp4",
    );
    place
        .rife(&["reencode", "in.mp4", "-o", "good.mp4", "--force"])
        .ok();
    place.rife(&["reencode", "in.mp4", "--check", "good.mp4"]).ok();
    // The same codes with another matrix's name, another range's, and codes of another brightness.
    let label = |what: &str| {
        format!(
            "-i {} -c copy -bsf:v h264_metadata={what}",
            place.path("good.mp4").display()
        )
    };
    make(&place, &label("matrix_coefficients=6"), "matrix.mp4");
    make(&place, &label("video_full_range_flag=1"), "range.mp4");
    let bright = format!(
        "-i {} -vf eq=brightness=0.02 -crf 12",
        place.path("good.mp4").display()
    );
    make(&place, &bright, "bright.mp4");
    for name in ["matrix.mp4", "range.mp4", "bright.mp4"] {
        let error = place.rife(&["reencode", "in.mp4", "--check", name]).failed(3);
        assert!(
            error.contains("8-bit codes") && error.contains(name),
            "{name}: {error}"
        );
    }
    // A result that fails the check is not kept.
    let error = place
        .rife(&[
            "reencode",
            "in.mp4",
            "-o",
            "no.mp4",
            "--force",
            "--min-psnr",
            "99",
        ])
        .failed(3);
    assert!(error.contains("not kept") && error.contains("PSNR"), "{error}");
    assert_eq!(
        place.names(),
        ["bright.mp4", "good.mp4", "in.mp4", "matrix.mp4", "range.mp4"]
    );
}

#[test]
fn profiles_are_what_they_say() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    // An odd size, full range, 30 frames a second.
    make(
        &place,
        &format!(
            "-f lavfi -i smptebars=size=127x95:rate=30,scroll=horizontal=0.02 {SOUND} -t 1 -pix_fmt yuv444p -color_range pc -c:v ffv1 -c:a flac"
        ),
        "in.mkv",
    );
    let done = place
        .rife(&[
            "reencode",
            "in.mkv",
            "--preset-profile",
            "latentsync",
            "-o",
            "ls.mp4",
            "--json",
        ])
        .json();
    assert_eq!(done.last().unwrap()["frames"], 25);
    let media = examine(&place.path("ls.mp4"), &Limits::default()).unwrap();
    let (_, video) = media.main_video().unwrap();
    assert_eq!(
        (video.width, video.height, video.pixel_format.as_str()),
        (128, 96, "yuv420p")
    );
    assert_eq!(media.streams[1].audio.map(|(_, rate)| rate), Some(16_000));
    let again = place
        .rife(&["reencode", "ls.mp4", "--preset-profile", "latentsync", "--json"])
        .json();
    assert_eq!(again[0]["conforms"], true, "{}", again[0]);
    place
        .rife(&[
            "reencode",
            "in.mkv",
            "--preset-profile",
            "archive",
            "--force",
            "-o",
            "kept.mkv",
        ])
        .ok();
    let check = ["reencode", "in.mkv", "--preset-profile", "archive", "--check"];
    place.rife(&[&check[..], &["kept.mkv"]].concat()).ok();
    let error = place.rife(&[&check[..], &["ls.mp4"]].concat()).failed(3);
    assert!(error.contains("not the same"), "{error}");
    let media = examine(&place.path("kept.mkv"), &Limits::default()).unwrap();
    assert_eq!(media.streams[1].codec, "flac");
    make(
        &place,
        "-f lavfi -i testsrc2=size=96x64:rate=25 -frames:v 3 -pix_fmt yuv420p10le -color_trc arib-std-b67 -color_primaries bt2020 -colorspace bt2020nc -c:v libx265 -x265-params log-level=none",
        "hdr.mp4",
    );
    assert!(
        place
            .rife(&["reencode", "hdr.mp4"])
            .failed(3)
            .contains("tone mapping")
    );
    place
        .rife(&["reencode", "in.mkv", "-o", "in.mkv", "-y", "--force"])
        .failed(4);
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn killed_it_goes_on_to_the_same_bytes() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("in.mp4", 25);
    let args = [
        "reencode",
        "in.mp4",
        "--force",
        "-o",
        "out.mp4",
        "--segment-frames",
        "8",
        "-q",
    ];
    place.rife(&args).ok();
    let whole = std::fs::read(place.path("out.mp4")).unwrap();
    std::fs::remove_file(place.path("out.mp4")).unwrap();
    assert!(
        super::resume::killed(&place, &args, 11),
        "it is over before it is killed"
    );
    place.rife(&args).ok();
    assert!(std::fs::read(place.path("out.mp4")).unwrap() == whole);
    assert_eq!(place.names(), ["in.mp4", "out.mp4"]);
}
