//! Killed jobs resume and write the same bytes as uninterrupted ones.

use std::fs;
use std::path::Path;

use rife::Precision;
use rife::options::{Kind, Opt, VideoOptions};

use super::support::{Place, RANDOM, Ran, ffmpeg, names, probe};

/// Number of frames per segment in these tests.
const SEGMENT: [&str; 3] = ["--segment-frames", "8", "--quiet"];

pub(super) fn job<'a>(input: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["video", input, "-o", output], &RANDOM[..], &SEGMENT[..], more].concat()
}

#[test]
fn a_variable_rate_is_told_to_every_segment_alike() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    // Intervals of 1, 2 and 3 ticks by turns, so that each segment's own frames suggest another rate.
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30"])
        .args(["-vf", "select='eq(mod(n,6),0)+eq(mod(n,6),1)+eq(mod(n,6),3)'"])
        .args(["-fps_mode", "vfr", "-frames:v", "19", "-pix_fmt", "yuv420p"])
        .arg(place.path("vfr.mp4"))
        .status();
    assert!(status.unwrap().success());
    for output in ["out.mp4", "out.mkv"] {
        place.rife(&job("vfr.mp4", output, &[])).ok();
        assert_eq!(probe(&place.path(output)).0, 2 * 18 + 1);
    }
}

/// Runs the job, which kills itself after its `write`th durable write; returns whether it was killed.
#[cfg(unix)]
pub(super) fn killed(place: &Place, args: &[&str], write: u32) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let mut command = place.command(args);
    command.env("RIFE_TEST_KILL_AT_WRITE", write.to_string());
    let output = command.output().unwrap();
    let by_signal = output.status.signal() == Some(9);
    if !by_signal {
        Ran::from(output).ok();
    }
    by_signal
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn killed_after_each_kind_of_write_it_goes_on_to_the_same_bytes() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.y4m("in.y4m", 4);
    let size = ["--segment-frames", "4", "-q"];
    let args = [&["video", "in.y4m", "-o", "out.mp4"][..], &size, &RANDOM].concat();
    place.rife(&args).ok();
    let whole = fs::read(place.path("out.mp4")).unwrap();
    let mut kills = 0;
    // Two writes of the journal, a frame of the first segment each (begin, middle, end), four that complete it, and those of
    // the output. Left out are another frame in the middle, and the four that complete the second segment.
    for write in (1..).filter(|write| !matches!(write, 4 | 11..=14)) {
        fs::remove_file(place.path("out.mp4")).unwrap();
        if !killed(&place, &args, write) {
            break;
        }
        kills += 1;
        place.rife(&args).ok();
        assert!(
            fs::read(place.path("out.mp4")).unwrap() == whole,
            "killed at write {write}"
        );
        assert_eq!(place.names(), ["in.y4m", "out.mp4"]);
    }
    assert!(kills > 11, "{kills}");
    eprintln!("killed after each of {kills} writes");
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn killed_again_and_again_it_gets_there_with_its_sound() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 10);
    for output in ["out.mp4", "out.mkv"] {
        let args = job("clip.mp4", output, &[]);
        place.rife(&args).ok();
        let whole = fs::read(place.path(output)).unwrap();
        fs::remove_file(place.path(output)).unwrap();
        let mut kills = 0;
        while killed(&place, &args, 9) {
            kills += 1;
            assert!(kills < 20, "it does not get on");
        }
        assert!(kills > 1 && fs::read(place.path(output)).unwrap() == whole);
        let (frames, _, sound) = probe(&place.path(output));
        assert_eq!((frames, sound), (20, 1));
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn another_input_model_or_option_is_refused_with_what_changed() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.y4m("in.y4m", 10);
    assert!(killed(&place, &job("in.y4m", "out.mp4", &[]), 7));
    place.y4m("other.y4m", 9);
    for (input, more, said) in [
        (
            "in.y4m",
            &["--crf", "30"][..],
            "the encoder was -c:v libx264 -threads:v 8 -crf 18",
        ),
        (
            "in.y4m",
            &["--factor", "4"],
            "the rate was 2 times the frames and is 4 times the frames",
        ),
        (
            "in.y4m",
            &["--model-version", "4.6"],
            "the model was 4.17.lite and is 4.6",
        ),
        ("other.y4m", &[], "the input was"),
    ] {
        let mut args = job(input, "out.mp4", more);
        if more.contains(&"--model-version") {
            args.retain(|arg| *arg != "4.17.lite");
            let first = args.iter().position(|arg| *arg == "--model-version").unwrap();
            args.remove(first);
        }
        let error = place.rife(&args).failed(4);
        assert!(error.contains(said) && error.contains("--restart"), "{error}");
        assert!(!error.contains(['{', '"']), "words, not a dump: {error}");
    }
    place
        .rife(&job("in.y4m", "out.mp4", &["--crf", "30", "--restart"]))
        .ok();
    assert_eq!(place.names(), ["in.y4m", "other.y4m", "out.mp4"]);
}

/// Options that this test leaves out, and why.
#[cfg(all(unix, debug_assertions))]
const LEFT_OUT: [(&str, &str); 4] = [
    ("model", "the test above"),
    ("model_version", "the test above"),
    ("random_weights", "the test above"),
    (
        "device",
        "tests of GPUs: the device that computes counts, by whichever name",
    ),
];

/// Another value of an option than its default.
#[cfg(all(unix, debug_assertions))]
fn another(opt: &Opt) -> &'static str {
    match opt.name {
        "codec" => "ffv1",
        "cuts" => "cuts.txt",
        "cuts_out" => "found.txt",
        "encoder" => "mpeg4",
        "hwaccel" => "auto",
        "start" => "2f",
        "end" => "8f",
        "preset" => "fast",
        "ext" => "mp4",
        "fps" => "50",
        "input_fps" => "24",
        _ => match opt.kind {
            Kind::Factor => "3",
            Kind::Whole(..) => "3",
            Kind::Number(..) => "0.7",
            Kind::Scale => "0.5",
            Kind::Bytes => "3G",
            Kind::Choice(names) => {
                let other = names.iter().find(|known| Some(known.name) != opt.default);
                other.map_or("", |known| known.name)
            }
            kind => panic!("{}: no value of {kind:?}", opt.name),
        },
    }
}

/// An option with another value, as arguments.
#[cfg(all(unix, debug_assertions))]
fn arguments(opt: &Opt) -> Vec<String> {
    let long = match opt.name {
        "uhd" => "--UHD".to_owned(),
        name => format!("--{}", name.replace('_', "-")),
    };
    match opt.kind {
        Kind::Flag => vec![long],
        _ => vec![long, another(opt).to_owned()],
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn exactly_the_options_that_change_frames_refuse_to_resume() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30"])
        .args(["-frames:v", "12", "-pix_fmt", "yuv420p"])
        .arg(place.path("in.mp4"))
        .status();
    assert!(made.unwrap().success());
    fs::write(place.path("cuts.txt"), "3\n").unwrap();
    let (folder, kept) = (place.path("out.mkv.rife-part"), place.path("kept"));
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        fs::create_dir(to).unwrap();
        for name in names(from) {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    };
    let table: Vec<_> = VideoOptions::table().collect();
    let mut begun = None;
    for opt in table.iter().filter(|opt| opt.on_command_line) {
        let precision = opt.name == "precision" && !Precision::available().contains(&Precision::Int8);
        if LEFT_OUT.iter().any(|(name, _)| *name == opt.name) || precision {
            println!("left out: {}", opt.name);
            continue;
        }
        // What the option needs is there in both runs.
        let needed = opt
            .requires
            .and_then(|name| table.iter().find(|other| other.name == name));
        let base = needed.map_or_else(Vec::new, |other| arguments(other));
        let base: Vec<_> = base.iter().map(String::as_str).collect();
        if begun != Some(opt.requires) {
            let _ = fs::remove_dir_all(&folder);
            assert!(killed(&place, &job("in.mp4", "out.mkv", &base), 7), "{base:?}");
            copy(&folder, &kept);
            begun = Some(opt.requires);
        }
        copy(&kept, &folder);
        let more = arguments(opt);
        let more: Vec<_> = base.into_iter().chain(more.iter().map(String::as_str)).collect();
        let ran = place.rife(&job("in.mp4", "out.mkv", &more));
        let refused = ran.err.contains("holds an unfinished job that is not this one");
        assert_eq!(refused, opt.fingerprint, "{more:?}: {}", ran.err);
        if refused {
            // The library's error knows no command line.
            let error = ran
                .err
                .lines()
                .find(|line| line.contains("holds an unfinished job"));
            assert!(!error.unwrap_or_default().contains("--"), "{}", ran.err);
        } else {
            ran.ok();
        }
        for name in ["out.mkv", "found.txt"] {
            let _ = fs::remove_file(place.path(name));
            let _ = fs::remove_dir_all(place.path(name));
        }
    }
}

/// Decodes a file; returns a line with time and hash per frame.
fn frames(path: &std::path::Path) -> Vec<String> {
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-copyts", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn joints_cost_no_frame_and_no_time() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 20);
    // One whose pictures can be compared, and one with frames out of order.
    for (output, more) in [("a.mkv", &["--codec", "ffv1"][..]), ("a.mp4", &[])] {
        place.rife(&job("clip.mp4", output, more)).ok();
        let one = format!("one.{}", &output[2..]);
        let args: Vec<&str> = job("clip.mp4", &one, more)
            .into_iter()
            .filter(|arg| !SEGMENT[..2].contains(arg))
            .chain(["--no-resume"])
            .collect();
        place.rife(&args).ok();
        let (joined, one) = (frames(&place.path(output)), frames(&place.path(&one)));
        assert_eq!(joined.len(), 40);
        let times = |lines: &[String]| -> Vec<String> {
            let time = |line: &String| line.split(',').nth(2).unwrap_or_default().to_owned();
            lines.iter().map(time).collect()
        };
        assert_eq!(times(&joined), times(&one), "{output}");
        assert!(more.is_empty() || joined == one, "{output}");
    }
}

/// Runs the job and returns its last line of JSON.
fn done(place: &Place, args: &[&str]) -> serde_json::Value {
    place.rife(&[args, &["--json"]].concat()).json().pop().unwrap()
}

/// Runs the job until its progress reports `frames`, ends it with a signal, and returns the last reported number of frames;
/// `None` if the job completed before the signal.
#[cfg(unix)]
fn stopped(place: &Place, args: &[&str], frames: u64, signal: &str) -> Option<u64> {
    use std::io::{BufRead, BufReader};
    let mut child = place
        .command(&[args, &["--json"]].concat())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut told = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        told = line["done"].as_u64().unwrap_or(told);
        if told >= frames {
            break;
        }
    }
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill").args([signal, &id]).status();
    assert!(sent.unwrap().success());
    (!child.wait().unwrap().success()).then_some(told)
}

#[cfg(unix)]
#[test]
fn a_job_stopped_within_its_first_segment_loses_no_frame() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 40);
    for (output, more, signal) in [
        ("a.mp4", &[][..], "-TERM"),
        ("b.mkv", &["--codec", "ffv1"], "-INT"),
    ] {
        let args = [
            &["video", "clip.mp4", "-o", output, "--factor", "6", "-q"][..],
            &RANDOM,
            more,
        ]
        .concat();
        place.rife(&args).ok();
        let whole = fs::read(place.path(output)).unwrap();
        fs::remove_file(place.path(output)).unwrap();
        let told = stopped(&place, &args, 60, signal).expect("it was done before");
        assert!((60..240).contains(&told), "{told}");
        assert!(!place.path(output).exists());
        let resumed = done(&place, &args)["resumed"].as_u64().unwrap();
        assert!((told..240).contains(&resumed), "{resumed} of {told}");
        assert!(fs::read(place.path(output)).unwrap() == whole, "{output}");
        assert!(!place.names().contains(&format!("{output}.rife-part")));
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn a_killed_job_goes_on_after_the_last_frame_that_was_logged() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.y4m("in.y4m", 10);
    let args = [&["video", "in.y4m", "-o", "out.mp4", "-q"][..], &RANDOM].concat();
    place.rife(&args).ok();
    let whole = fs::read(place.path("out.mp4")).unwrap();
    fs::remove_file(place.path("out.mp4")).unwrap();
    // Two writes are the journal's.
    assert!(killed(&place, &args, 2 + 7));
    let log = place.path("out.mp4.rife-part/unfinished.frames");
    let logged = fs::read(&log).unwrap();
    assert_eq!(done(&place, &args)["resumed"], 7);
    assert!(fs::read(place.path("out.mp4")).unwrap() == whole);
    fs::remove_file(place.path("out.mp4")).unwrap();
    // The power failed as the last of them was written.
    assert!(killed(&place, &args, 2 + 7));
    fs::write(&log, &logged[..logged.len() - 100]).unwrap();
    assert!(killed(&place, &args, 2 + 3));
    assert_eq!(done(&place, &args)["resumed"], 6 + 3);
    assert!(fs::read(place.path("out.mp4")).unwrap() == whole);
    assert_eq!(place.names(), ["in.y4m", "out.mp4"]);
}

/// A wrapper of ffmpeg that truncates one written segment, as on a full disk.
#[cfg(unix)]
fn cutting_ffmpeg(place: &Place, segment: u32) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let (path, count) = (place.path("ffmpeg"), place.path("count"));
    let count = count.display();
    let script = format!(
        "#!/bin/sh\nffmpeg \"$@\"\nstatus=$?\nfor last; do :; done\n\
         case $last in *unfinished.nut)\n\
         echo >> '{count}'\n\
         if [ $(wc -l < '{count}') = {segment} ]; then\n\
         file=${{last#file:}}; size=$(wc -c < \"$file\")\n\
         head -c $((size * 2 / 3)) \"$file\" > '{count}.cut'; cat '{count}.cut' > \"$file\"\n\
         fi;; esac\nexit $status\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn a_segment_that_lost_its_end_is_noticed_and_encoded_again() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.y4m("in.y4m", 12);
    for (output, more) in [("a.mp4", &[][..]), ("b.mkv", &["--codec", "ffv1"])] {
        let args = job("in.y4m", output, more);
        place.rife(&args).ok();
        let whole = fs::read(place.path(output)).unwrap();
        fs::remove_file(place.path(output)).unwrap();
        let _ = fs::remove_file(place.path("count"));
        let mut command = place.command(&args);
        command.env("RIFE_FFMPEG", cutting_ffmpeg(&place, 2));
        let said = Ran::from(command.output().unwrap()).failed(4);
        assert!(
            said.contains("8 frames were sent into a segment") && said.contains("makes it again"),
            "{said}"
        );
        // The one before was so quick that this one was not logged.
        assert_eq!(done(&place, &args)["resumed"], 8, "{output}");
        assert!(fs::read(place.path(output)).unwrap() == whole, "{output}");
    }
}

#[test]
fn a_mended_picture_costs_nothing_and_a_changed_one_what_depends_on_it() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    for index in 0..40 {
        place.picture(&format!("in/{index:02}.png"), 2.0 * index as f32);
    }
    let bad = place.path("in/36.png");
    let whole = fs::read(&bad).unwrap();
    // Only the detection of repeated frames has a long lookahead.
    let args = job("in", "out.mp4", &["--duplicates", "keep"]);
    // Its chunks are whole, so that it is found when it is reached.
    let mut broken = whole.clone();
    let middle = broken.len() / 2;
    broken[middle..middle + 64].fill(0);
    fs::write(&bad, &broken).unwrap();
    for changed in [None, Some("in/32.png")] {
        let said = place.rife(&args).failed(3);
        assert!(said.contains("36.png"), "{said}");
        fs::write(&bad, &whole).unwrap();
        if let Some(changed) = changed {
            place.picture(changed, 7.0);
        }
        let resumed = done(&place, &args)["resumed"].as_u64().unwrap();
        let expected = if changed.is_some() { 8..64 } else { 40..72 };
        assert!(expected.contains(&resumed), "{changed:?}: {resumed}");
        let made = fs::read(place.path("out.mp4")).unwrap();
        place
            .rife(&[&args[..], &["--overwrite", "--restart"]].concat())
            .ok();
        assert!(fs::read(place.path("out.mp4")).unwrap() == made, "{changed:?}");
        fs::remove_file(place.path("out.mp4")).unwrap();
        fs::write(&bad, &broken).unwrap();
    }
    // Other pictures are another job.
    place.rife(&args).failed(3);
    place.picture("in/00.png", 9.0);
    let said = place.rife(&args).failed(4);
    assert!(said.contains("the first picture was 00.png"), "{said}");
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn a_folder_of_pictures_goes_on_after_the_last_whole_one() {
    use super::support::names;
    let place = Place::new();
    place.y4m("in.y4m", 20);
    let job = |output, factor| {
        [
            &["video", "in.y4m", "--png", "-o", output, "--factor", factor, "-q"][..],
            &RANDOM,
        ]
        .concat()
    };
    place.rife(&job("whole/", "4")).ok();
    assert_eq!(names(&place.path("whole")).len(), 80);
    let same = |folder: &str, name: &dyn Fn(usize) -> String| {
        let found = names(&place.path(folder));
        assert_eq!(found.len(), 80, "{folder} holds nothing else");
        for (index, whole) in names(&place.path("whole")).iter().enumerate() {
            let whole = fs::read(place.path("whole").join(whole)).unwrap();
            assert!(
                fs::read(place.path(folder).join(name(index))).unwrap() == whole,
                "{folder} {index}"
            );
        }
    };
    // Two writes are the journal's; the last picture is noted, but has not got its name.
    let args = job("a/", "4");
    assert!(killed(&place, &args, 2 + 20));
    assert_eq!(names(&place.path("a")).len(), 19 + 1);
    let said = place.rife(&job("a/", "2")).failed(4);
    assert!(
        said.contains("the rate was 4 times the frames and is 2"),
        "{said}"
    );
    assert_eq!(done(&place, &args)["resumed"], 19);
    same("a", &|index| format!("{index:07}.png"));
    let said = place.rife(&args).failed(4);
    assert!(said.contains("exists already"), "{said}");
    // By a pattern; of two that are not what was written, the first counts.
    let args = job("b/p%d.png", "4");
    assert!(killed(&place, &args, 2 + 20));
    fs::write(place.path("b/p7.png"), "changed").unwrap();
    fs::remove_file(place.path("b/p5.png")).unwrap();
    assert!(killed(&place, &args, 2 + 3));
    assert_eq!(done(&place, &args)["resumed"], 5 + 2);
    same("b", &|index| format!("p{index}.png"));
    let args = job("c/", "4");
    let attempt = |_| {
        let told = stopped(&place, &args, 4, "-TERM");
        if told.is_none() {
            fs::remove_dir_all(place.path("c")).unwrap();
        }
        told
    };
    let told = (0..20).find_map(attempt).expect("the signal comes too late");
    let resumed = done(&place, &args)["resumed"].as_u64().unwrap();
    assert!((told..80).contains(&resumed), "{resumed} of {told}");
    same("c", &|index| format!("{index:07}.png"));
    // Another job starts over and replaces its own unfinished work only.
    assert!(killed(&place, &job("d/", "4"), 2 + 20));
    place.rife(&[&job("d/", "1")[..], &["--restart"]].concat()).ok();
    assert_eq!(names(&place.path("d")).len(), 20);
}

#[test]
fn what_starts_over_says_so_before_the_start() {
    let place = Place::new();
    place.y4m("in.y4m", 2);
    for (output, said) in [
        ("a.y4m", Some("Y4M is written in one piece")),
        ("a.webp", Some("WebP is written in one piece")),
        ("a.gif", Some("GIF is written in one piece")),
        ("a.mp4", None),
        ("a/%d.png", None),
    ] {
        if output.starts_with("a.") && output != "a.y4m" && !ffmpeg() {
            continue;
        }
        let plan = place
            .rife(&[&["video", "in.y4m", "-o", output, "--json"][..], &RANDOM].concat())
            .json()
            .remove(0);
        let notes = plan["notes"].to_string();
        let starts_over = notes.contains("an interrupted run starts over: ");
        assert_eq!(starts_over, said.is_some(), "{output}: {notes}");
        assert!(said.is_none_or(|said| notes.contains(said)), "{notes}");
    }
}
