//! Times of real files: containers without presentation times, sound that starts elsewhere than the picture, clocks that
//! start anew, files that were trimmed or cut off. Real ffmpeg on clips that it makes here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use num_rational::Ratio;
use rife_media::probe::StreamKind;
use rife_media::sink::Resume;
use rife_media::timeline::Push;
use rife_media::*;
use rife_testing::Need;

type Folder = tempfile::TempDir;

const PICTURE: &str = "-f lavfi -i testsrc2=s=64x48:r=25:d=2";
const SOUND: &str = "-f lavfi -i sine=440:d=2";

fn folder() -> Folder {
    tempfile::tempdir().unwrap()
}

/// Runs ffmpeg with these words; the output goes to `folder/name`.
fn make(folder: &Folder, name: &str, words: &str) -> PathBuf {
    let path = folder.path().join(name);
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(words.split_whitespace())
        .arg(format!("file:{}", path.display()))
        .status()
        .unwrap();
    assert!(status.success(), "ffmpeg {words}");
    path
}

/// The files' bytes one after the other, of the second and later ones without their first `skip`.
fn joined(folder: &Folder, name: &str, parts: &[PathBuf], skip: usize) -> PathBuf {
    let bytes = parts.iter().enumerate().flat_map(|(number, part)| {
        let bytes = fs::read(part).unwrap();
        bytes[if number == 0 { 0 } else { skip }..].to_vec()
    });
    let path = folder.path().join(name);
    fs::write(&path, bytes.collect::<Vec<u8>>()).unwrap();
    path
}

/// A file among the shared cases; nothing, said aloud, where it is absent.
fn case(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RIFE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join("cases").join(name);
    let found = path.is_file();
    Need::Clips
        .is_met(found, format!("the shared case {name} is not here"))
        .then_some(path)
}

fn open(path: &Path) -> Box<dyn Source> {
    open_source(&SourceSpec::new(Input::File(path.to_owned()))).unwrap()
}

/// What a source is, its frames' times, and its warnings.
fn read(path: &Path) -> (StreamInfo, Vec<Time>, Vec<String>) {
    let mut source = open(path);
    let info = source.info().clone();
    let frames: Vec<Frame> = std::iter::from_fn(|| source.next_frame().unwrap()).collect();
    let times = frames.iter().map(|frame| frame.pts).collect();
    (info, times, source.warnings())
}

/// The picture as it is and everything else beside it, into `output`; in segments or in one piece.
fn pass(input: &Path, output: &Path, in_segments: bool) -> Written {
    let mut source = open(input);
    let info = source.info().clone();
    let mut spec = {
        let mut spec = SinkSpec::new(Output::File(output.to_owned()));
        spec.overwrite = true;
        spec.resume = in_segments.then(|| Resume::new(vec![("the test".into(), "one".into())]));
        spec.preset = Some("ultrafast".into());
        spec
    };
    let container = spec.container().unwrap();
    let media = info.media.clone().unwrap();
    let mut plan = plan_streams(&media, container, Companions::Keep);
    plan.check(&media, container, &spec.cancel).unwrap();
    spec.companions = Some((media, plan));
    let options = TimelineOptions::new(TimelineMode::Factor(1));
    let mut sink = open_sink(&spec, &VideoParams::for_timeline(&info, &options)).unwrap();
    let (format, tags) = (sink.params().format, sink.params().tags);
    let mut timeline = Timeline::new(options).unwrap();
    let mut left: Option<Frame> = None;
    let mut write = |left: &Frame, frames: Vec<OutputFrame>| {
        for out in frames {
            let frame = Frame::from_rgb(&left.to_rgb(&info.tags), format, &tags);
            sink.write(&frame.at(out.pts, out.duration)).unwrap();
        }
    };
    while let Some(frame) = source.next_frame().unwrap() {
        let Push::Frames(frames) = timeline.push(frame.pts, frame.duration, false).unwrap() else {
            continue;
        };
        if let Some(left) = &left {
            write(left, frames);
        }
        left = Some(frame);
    }
    write(&left.unwrap(), timeline.finish().unwrap());
    sink.finish().unwrap()
}

/// When the packets of a kind begin and end in a file, beside its first frame, by ffprobe; hidden ones left out.
fn span(path: &Path, kind: &str) -> (f64, f64) {
    let packets = |kind: &str| {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", kind, "-of", "csv=p=0"])
            .args(["-show_entries", "packet=pts_time,duration_time,flags"])
            .arg(path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            let start: f64 = fields[0].parse().ok()?;
            let shown = !fields[2].contains('D');
            shown.then(|| (start, start + fields[1].parse().unwrap_or(0.0)))
        };
        text.lines().filter_map(line).collect::<Vec<_>>()
    };
    let first = |packets: &[(f64, f64)]| packets.iter().map(|packet| packet.0).fold(f64::MAX, f64::min);
    let zero = first(&packets("v:0"));
    let found = packets(kind);
    let end = found.iter().map(|packet| packet.1).fold(f64::MIN, f64::max);
    (first(&found) - zero, end - zero)
}

fn near(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() < 0.08
}

#[test]
fn frames_without_times_of_their_own_have_those_of_their_packets() {
    let folder = folder();
    let cases = [
        ("asp.avi", "-c:v mpeg4 -bf 2 -c:a mp3"),
        ("mpeg2.avi", "-c:v mpeg2video -bf 2 -c:a mp2"),
        (
            "h264.avi",
            "-c:v libx264 -preset ultrafast -bf 3 -x264-params b-adapt=0 -c:a mp3",
        ),
        ("mpeg2.m2v", "-c:v mpeg2video -bf 2 -an"),
        ("mpeg2.vob", "-c:v mpeg2video -bf 2 -c:a mp2 -f vob"),
    ];
    for (name, words) in cases {
        let input = make(&folder, name, &format!("{PICTURE} {SOUND} {words}"));
        let (info, times, warnings) = read(&input);
        assert_eq!(
            (info.frame_rate, info.variable_rate),
            (Some(Ratio::from(25)), false),
            "{name}"
        );
        assert_eq!(
            (info.frames, times.len(), warnings),
            (Some(50), 50, Vec::new()),
            "{name}"
        );
        let start = times[0];
        assert!(
            start >= Time::from(0) && start <= Time::new(1, 25),
            "{name}: {start}"
        );
        for (n, time) in times.iter().enumerate() {
            assert_eq!(*time, start + Time::new(n as i64, 25), "{name}");
        }
        if name.ends_with("avi") {
            assert_eq!(start, Time::from(0), "{name}");
            let output = folder.path().join("out.mp4");
            let written = pass(&input, &output, true);
            assert_eq!(written.warnings, Vec::<String>::new(), "{name}");
            let (begin, end) = span(&output, "a:0");
            assert!(near(begin, 0.0) && near(end, 2.0), "{name}: {begin} to {end}");
        }
    }
}

#[test]
fn packed_b_frames_keep_their_rate() {
    let Some(input) = case("avi_xvid_packed_bframes.avi") else {
        return;
    };
    let (info, times, _) = read(&input);
    assert_eq!(
        (info.frame_rate, info.variable_rate),
        (Some(Ratio::from(25)), false)
    );
    assert_eq!(times.len(), 48);
    assert_eq!(
        (times[0], times[1], times[47]),
        (Time::from(0), Time::new(4, 25), Time::from(2))
    );
}

#[test]
fn sound_that_starts_elsewhere_than_the_picture_keeps_its_place() {
    let folder = folder();
    let later = format!("{PICTURE} -itsoffset 1.476 -f lavfi -i sine=440:d=0.5");
    let earlier = format!("-itsoffset 0.7 {PICTURE} {SOUND}");
    let cases = [
        ("later.ts", format!("{later} -c:v mpeg2video -c:a aac"), 1.476),
        (
            "later.mpg",
            format!("{later} -c:v mpeg2video -bf 2 -c:a mp2"),
            1.476,
        ),
        (
            "later.m2ts",
            format!("{later} -c:v libx264 -preset ultrafast -bf 2 -c:a ac3"),
            1.476,
        ),
        ("earlier.ts", format!("{earlier} -c:v mpeg2video -c:a mp2"), -0.7),
        (
            "earlier.vob",
            format!("{earlier} -c:v mpeg2video -bf 2 -c:a ac3 -f vob"),
            -0.7,
        ),
    ];
    for (name, words, place) in cases {
        let input = make(&folder, name, &words);
        // How far a muxer moves sound that begins before the picture is its own affair.
        let place = if place < 0.0 { span(&input, "a:0").0 } else { place };
        for (output, in_segments) in [("out.mp4", true), ("out.mkv", false), ("out.ts", true)] {
            let output = folder.path().join(output);
            let written = pass(&input, &output, in_segments);
            assert_eq!(
                written.warnings,
                Vec::<String>::new(),
                "{name} to {}",
                output.display()
            );
            let (found, _) = span(&output, "a:0");
            assert!(near(found, place), "{name} to {}: {found}", output.display());
        }
        // AVI has no place for it, which is said.
        if place > 0.0 {
            let written = pass(&input, &folder.path().join("out.avi"), true);
            let told = written
                .warnings
                .iter()
                .any(|warning| warning.contains("should at 1.4"));
            assert!(told, "{name}: {:?}", written.warnings);
        }
    }
}

#[test]
fn a_clock_that_starts_anew_moves_everything_with_it() {
    let folder = folder();
    let words = format!("{PICTURE} {SOUND} -c:v libx264 -preset ultrafast -bf 2 -g 10 -c:a aac");
    let program = format!("{PICTURE} {SOUND} -c:v mpeg2video -bf 2 -c:a mp2");
    let part = |name: &str, words: &str| make(&folder, name, words);
    let (ts, flv) = (part("a.ts", &words), part("a.flv", &words));
    let (later, back) = (
        part("later.ts", &format!("{words} -output_ts_offset 3600")),
        part("b.ts", &format!("{words} -output_ts_offset 1")),
    );
    let flv_later = part("later.flv", &format!("{words} -output_ts_offset 3600"));
    let mpg = part("a.mpg", &program);
    let inputs = [
        joined(&folder, "restarts.ts", &[ts.clone(), ts.clone()], 0),
        joined(&folder, "jumps.ts", &[ts.clone(), later.clone()], 0),
        joined(&folder, "back.ts", &[later, back], 0),
        joined(&folder, "restarts.flv", &[flv.clone(), flv.clone()], 13),
        joined(&folder, "jumps.flv", &[flv, flv_later], 13),
        joined(&folder, "restarts.mpg", &[mpg.clone(), mpg], 0),
    ];
    for input in inputs {
        let name = input.file_name().unwrap().to_string_lossy().into_owned();
        let (info, times, _) = read(&input);
        assert_eq!(
            (info.frame_rate, info.variable_rate),
            (Some(Ratio::from(25)), false),
            "{name}"
        );
        assert_eq!((info.frames, times.len()), (Some(100), 100), "{name}");
        let last = times[99] - times[0];
        assert!(near(time::seconds(last), 3.96), "{name}: {last}");
        for (output, in_segments) in [("out.mp4", true), ("out.mkv", false)] {
            let output = folder.path().join(output);
            let written = pass(&input, &output, in_segments);
            assert_eq!(written.warnings, Vec::<String>::new(), "{name}");
            let (begin, end) = span(&output, "a:0");
            assert!(
                near(begin, 0.0) && near(end, 4.0),
                "{name}: sound from {begin} to {end}"
            );
        }
    }
}

#[test]
fn a_long_pause_is_no_jump_where_sound_goes_on() {
    let folder = folder();
    let words = "-f lavfi -i testsrc2=s=64x48:r=5:d=2 -f lavfi -i sine=440:d=14 \
        -vf setpts=PTS+gte(N\\,5)*12/TB -fps_mode passthrough -c:v mpeg2video -strict -1 -r 25 -c:a mp2";
    let input = make(&folder, "pause.ts", words);
    let (_, times, _) = read(&input);
    let last = time::seconds(times[times.len() - 1] - times[0]);
    assert!(last > 13.0, "{last}");
}

#[test]
fn times_may_be_days_apart() {
    let folder = folder();
    let whole = make(&folder, "whole.mkv", &format!("{PICTURE} -c:v mpeg4"));
    let words = format!(
        "-i {} -c copy -bsf:v setts=ts=TS+gte(N\\,25)*144000000",
        whole.display()
    );
    let input = make(&folder, "days.mkv", &words);
    let (_, times, _) = read(&input);
    assert_eq!(times.len(), 50);
    assert!(
        times[25] - times[24] > Time::from(143_999),
        "{} and {}",
        times[24],
        times[25]
    );
}

#[test]
fn a_file_that_was_cut_off_says_so() {
    let folder = folder();
    let h264 = "-c:v libx264 -preset ultrafast -c:a aac";
    let cases = [
        ("moov.mp4", format!("{h264} -movflags +faststart")),
        ("moov.mov", format!("{h264} -movflags +faststart")),
        (
            "fragments.mp4",
            format!("{h264} -g 10 -movflags +frag_keyframe+empty_moov"),
        ),
        ("a.mkv", h264.to_owned()),
        ("a.webm", "-c:v libvpx -deadline realtime -c:a libopus".to_owned()),
        ("a.avi", "-c:v mpeg4 -c:a mp3".to_owned()),
        ("a.flv", h264.to_owned()),
        ("a.wmv", "-c:v wmv2 -c:a wmav2".to_owned()),
    ];
    for (name, words) in cases {
        let whole = make(&folder, name, &format!("{PICTURE} {SOUND} {words}"));
        let (_, _, warnings) = read(&whole);
        assert_eq!(warnings, Vec::<String>::new(), "{name}");
        let bytes = fs::read(&whole).unwrap();
        let cut = folder.path().join(format!("cut_{name}"));
        fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
        let (info, _, warnings) = read(&cut);
        // Of fragments only the one that is cut is known to be longer.
        let announced = format!("{} bytes", bytes.len());
        let figures = |warning: &str| warning.contains(&announced) || name.starts_with("fragments");
        let told = warnings
            .iter()
            .any(|warning| warning.contains("cut off") && figures(warning));
        assert!(told, "{name}: {warnings:?}");
        let plan = plan_streams(&info.media.unwrap(), Container::Mp4, Companions::Keep);
        assert!(plan.notes.iter().any(|note| note.contains("cut off")), "{name}");
    }
}

#[test]
fn an_mp4_that_was_trimmed_without_encoding_goes_into_every_container() {
    let folder = folder();
    let words = format!("{PICTURE} {SOUND} -c:v libx264 -preset ultrafast -bf 2 -g 100 -c:a aac");
    let whole = make(&folder, "whole.mp4", &words);
    let trimmed = make(
        &folder,
        "in.mp4",
        &format!("-ss 1.02 -i {} -c copy", whole.display()),
    );
    for (output, in_segments) in [
        ("out.mkv", true),
        ("out.mkv", false),
        ("out.nut", true),
        ("out.ts", true),
        ("out.mp4", true),
        ("out.mov", false),
    ] {
        let output = folder.path().join(output);
        let written = pass(&trimmed, &output, in_segments);
        assert_eq!(written.warnings, Vec::<String>::new(), "{}", output.display());
        let (begin, end) = span(&output, "a:0");
        assert!(
            begin.abs() < 0.1 && near(end, 0.98),
            "{}: {begin} to {end}",
            output.display()
        );
    }
}

#[test]
fn many_tracks_of_sound_are_planned_at_once() {
    let folder = folder();
    let maps = "-map 1:a ".repeat(60);
    let words = format!("{PICTURE} {SOUND} -map 0:v {maps} -c:v mpeg4 -c:a mp2");
    let media = probe(&make(&folder, "tracks.mkv", &words), &Limits::default()).unwrap();
    let mut plan = plan_streams(&media, Container::Matroska, Companions::Keep);
    let elapsed = |plan: &mut StreamPlan| {
        let start = std::time::Instant::now();
        plan.check(&media, Container::Matroska, &CancelToken::new())
            .unwrap();
        start.elapsed()
    };
    let mut few = plan.clone();
    few.streams.truncate(5);
    let four = elapsed(&mut few);
    let all = elapsed(&mut plan);
    assert!(all < four * 6, "{all:?} for 60 tracks, {four:?} for 4");
    let copied = plan.streams.iter().filter(|stream| stream.action == Action::Copy);
    assert_eq!(
        copied.filter(|stream| stream.kind == StreamKind::Audio).count(),
        60
    );
}
