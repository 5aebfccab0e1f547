//! ffmpeg that dies, stalls, lies and shouts. The stand-in is this very binary, started under the name
//! `MODE/ffmpeg`; real pipes and real processes, because a mock has no full pipe buffer.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use num_rational::Ratio;
use rife_media::*;
use rife_testing::Need;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = PathBuf::from(args.next().unwrap_or_default());
    if name.file_name().is_some_and(|n| n == "ffmpeg" || n == "ffprobe") {
        return fake(&name, args.collect());
    }
    if let Some(folder) = std::env::var_os("RIFE_TEST_ORPHAN_PARENT") {
        return orphan_parent(Path::new(&folder));
    }
    let wanted = std::env::args()
        .nth(1)
        .filter(|word| !word.starts_with('-'))
        .unwrap_or_default();
    if std::env::args().any(|word| word == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&wanted)) {
        let start = Instant::now();
        test();
        println!("test {name} ... ok ({:.1} s)", start.elapsed().as_secs_f32());
    }
    ExitCode::SUCCESS
}

const TESTS: [(&str, fn()); 11] = [
    ("a_noisy_encoder_finishes", a_noisy_encoder_finishes),
    (
        "an_encoder_that_dies_is_an_error",
        an_encoder_that_dies_is_an_error,
    ),
    ("an_encoder_that_stalls_is_ended", an_encoder_that_stalls_is_ended),
    (
        "an_encoder_that_never_completes_is_ended",
        an_encoder_that_never_completes_is_ended,
    ),
    ("a_short_output_is_not_promoted", a_short_output_is_not_promoted),
    (
        "a_frame_at_another_time_is_not_promoted",
        a_frame_at_another_time_is_not_promoted,
    ),
    (
        "an_unfinished_job_goes_on_with_the_encoder_it_was_begun_with",
        an_unfinished_job_goes_on_with_the_encoder_it_was_begun_with,
    ),
    ("a_decoder_that_dies_is_an_error", a_decoder_that_dies_is_an_error),
    ("versions_are_checked", versions_are_checked),
    ("the_environment_is_short", the_environment_is_short),
    (
        "children_die_with_a_killed_parent",
        children_die_with_a_killed_parent,
    ),
];

/// Plays ffmpeg in the mode that the folder's name says.
fn fake(name: &Path, args: Vec<OsString>) -> ExitCode {
    let folder = name.parent().unwrap();
    let mode = folder.file_name().unwrap().to_string_lossy().into_owned();
    let tool = name.file_name().unwrap().to_string_lossy().into_owned();
    if args[0] == "-version" {
        match mode.as_str() {
            "old_version" => println!("{tool} version 4.2.2 Copyright (c)"),
            "no_version" => println!("hello"),
            _ => println!("wrapper: starting\n{tool} version 5.1.0 Copyright (c)"),
        }
        return ExitCode::SUCCESS;
    }
    let encodes = args.iter().any(|a| a == "pipe:0");
    let decodes = args.iter().any(|a| a == "pipe:1");
    if mode == "card" && tool == "ffmpeg" {
        // A machine with a card of NVIDIA's: its encoder is played by another.
        let played = |arg: OsString| {
            if arg == "h264_nvenc" {
                "libx264".into()
            } else {
                arg
            }
        };
        return real(&tool, &args.into_iter().map(played).collect::<Vec<_>>());
    }
    // The trial of one frame, which goes nowhere, is not what is to fail.
    let tries = args.last().is_some_and(|to| to == "file:/dev/null");
    if tool == "ffprobe" || tries || !(encodes || decodes) {
        return real(&tool, &args);
    }
    fs::write(folder.join("pid"), std::process::id().to_string()).unwrap();
    match mode.as_str() {
        "noisy" => {
            let line = "a line of sixty-four bytes of noise, again and again and again.\n";
            (0..16 * 1024).for_each(|_| eprint!("{line}"));
            real(&tool, &args)
        }
        "exits" => {
            read_some(200_000);
            eprintln!("the encoder met a fatal problem");
            ExitCode::from(7)
        }
        "aborts" => {
            read_some(200_000);
            std::process::abort()
        }
        "stalls" => {
            read_some(200_000);
            forever()
        }
        "never_ends" => {
            read_some(usize::MAX);
            forever()
        }
        "short" => {
            let (output, rest) = args.split_last().unwrap();
            let limit = ["-frames:v", "2"].map(OsString::from);
            real(&tool, &[rest, &limit, std::slice::from_ref(output)].concat())
        }
        "shifts" => {
            let (output, rest) = args.split_last().unwrap();
            let later = ["-bsf:v:0", "setts=ts=PTS+3*gte(N\\,3)"].map(OsString::from);
            real(&tool, &[rest, &later, std::slice::from_ref(output)].concat())
        }
        "cut_decode" => {
            let child = Command::new("ffmpeg").args(&args).stdout(Stdio::piped()).spawn();
            let mut bytes = vec![0; 30_000];
            let mut child = child.unwrap();
            child.stdout.take().unwrap().read_exact(&mut bytes).unwrap();
            let _ = child.kill().and_then(|()| child.wait());
            std::io::stdout().write_all(&bytes).unwrap();
            eprintln!("the decoder met a fatal problem");
            ExitCode::from(9)
        }
        "environment" => {
            let mut names: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
            names.sort();
            fs::write(folder.join("environment"), names.join("\n")).unwrap();
            real(&tool, &args)
        }
        _ => ExitCode::from(99),
    }
}

fn real(tool: &str, args: &[OsString]) -> ExitCode {
    let status = Command::new(tool).args(args).status().unwrap();
    ExitCode::from(status.code().unwrap_or(1) as u8)
}

fn read_some(count: usize) {
    let _ = std::io::copy(&mut std::io::stdin().take(count as u64), &mut std::io::sink());
}

fn forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// The stand-in for `mode` in `folder`.
fn tools(folder: &Path, mode: &str) -> Result<Ffmpeg> {
    let place = folder.join(mode);
    fs::create_dir_all(&place).unwrap();
    let this = std::env::current_exe().unwrap();
    let link = |name: &str| {
        let path = place.join(name);
        if !path.exists() {
            std::os::unix::fs::symlink(&this, &path).unwrap();
        }
        path
    };
    Ffmpeg::at(link("ffmpeg"), link("ffprobe"))
}

fn sink_spec(folder: &Path, mode: &str) -> SinkSpec {
    let mut spec = SinkSpec::new(Output::File(folder.join("out.mkv")));
    spec.codec = Some(Codec::Ffv1);
    spec.ffmpeg = Some(tools(folder, mode).unwrap());
    spec.stall_timeout = Duration::from_millis(700);
    spec
}

fn params() -> VideoParams {
    VideoParams {
        width: 64,
        height: 48,
        format: PixelFormat::YUV420P,
        tags: ColorTags::default(),
        sample_aspect: Ratio::from(1),
        matrix: probe::DisplayMatrix::IDENTITY,
        time_base: Ratio::new(1, 25),
        frame_rate: Some(Ratio::from(25)),
        hdr: probe::HdrMetadata::default(),
    }
}

/// Writes `count` frames and finishes.
fn encode(spec: &SinkSpec, count: i64) -> Result<Written> {
    let mut sink = open_sink(spec, &params())?;
    let frame = Frame::zeroed(64, 48, PixelFormat::YUV420P);
    for n in 0..count {
        sink.write(&frame.clone().at(Ratio::new(n, 25), Ratio::new(1, 25)))?;
    }
    sink.finish()
}

/// Nothing but the stand-in's own folder is left, and its process is gone.
fn assert_clean(folder: &Path, mode: &str) {
    let left: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, [OsString::from(mode)], "nothing is left behind");
    assert_gone(&folder.join(mode));
}

fn assert_gone(place: &Path) {
    let pid = fs::read_to_string(place.join("pid")).unwrap();
    assert!(
        !Path::new("/proc").join(pid.trim()).exists() || zombie(&pid),
        "process {pid} is still there"
    );
}

/// A process that has ended and waits only for its (other) parent to look.
fn zombie(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}

fn a_noisy_encoder_finishes() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = sink_spec(folder.path(), "noisy");
    spec.stall_timeout = Duration::from_secs(20);
    assert_eq!(encode(&spec, 50).unwrap().frames, 50);
}

fn an_encoder_that_dies_is_an_error() {
    for (mode, status) in [("exits", "exit status 7"), ("aborts", "signal 6")] {
        let folder = tempfile::tempdir().unwrap();
        let spec = sink_spec(folder.path(), mode);
        let start = Instant::now();
        let error = encode(&spec, 100_000).err().unwrap();
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        let text = error.to_string();
        assert!(text.contains(status) && text.contains("at frame"), "{text}");
        assert_eq!(
            text.contains("the encoder met a fatal problem"),
            mode == "exits",
            "{text}"
        );
        assert_clean(folder.path(), mode);
    }
}

fn an_encoder_that_stalls_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let error = encode(&sink_spec(folder.path(), "stalls"), 100_000)
        .err()
        .unwrap();
    assert_eq!(error.code(), "stalled", "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_clean(folder.path(), "stalls");
}

fn an_encoder_that_never_completes_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let error = encode(&sink_spec(folder.path(), "never_ends"), 5).err().unwrap();
    assert_eq!(error.code(), "stalled", "{error}");
    assert_clean(folder.path(), "never_ends");
}

fn a_short_output_is_not_promoted() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = sink_spec(folder.path(), "short");
    spec.overwrite = true;
    spec.stall_timeout = Duration::from_secs(20);
    fs::write(folder.path().join("out.mkv"), b"the old output").unwrap();
    let error = encode(&spec, 5).err().unwrap();
    assert!(matches!(error.code(), "incomplete" | "child_failed"), "{error}");
    assert_eq!(
        fs::read(folder.path().join("out.mkv")).unwrap(),
        b"the old output"
    );
}

/// The file is read back, and its times are those that were sent: in one piece, and joined from segments.
fn a_frame_at_another_time_is_not_promoted() {
    let facts = vec![("the job".to_owned(), "a test".to_owned())];
    for resume in [None, Some(sink::Resume::new(facts))] {
        let folder = tempfile::tempdir().unwrap();
        let mut spec = sink_spec(folder.path(), "shifts");
        spec.resume = resume;
        let error = encode(&spec, 12).err().unwrap();
        assert_eq!(error.code(), "incomplete", "{error}");
        let text = error.to_string();
        assert!(text.contains("s in it instead of"), "{text}");
        assert!(!folder.path().join("out.mkv").exists());
    }
}

fn an_unfinished_job_goes_on_with_the_encoder_it_was_begun_with() {
    let folder = tempfile::tempdir().unwrap();
    let own = Ffmpeg::find().unwrap();
    let found = own.has_encoder("h264_nvenc").unwrap();
    if !Need::Codecs.is_met(found, "this ffmpeg has no h264_nvenc") {
        return;
    }
    let card = tools(folder.path(), "card").unwrap();
    let spec = |ffmpeg: &Ffmpeg| {
        let mut spec = SinkSpec::new(Output::File(folder.path().join("out.mp4")));
        spec.encoder = Some("auto".to_owned());
        spec.ffmpeg = Some(ffmpeg.clone());
        spec.resume = Some({
            let mut spec = sink::Resume::new(vec![("the input".to_owned(), "grey".to_owned())]);
            spec.segment_frames = 2;
            spec
        });
        spec
    };
    let frame = Frame::zeroed(64, 48, PixelFormat::YUV420P);
    let write = |sink: &mut dyn Sink, frames: std::ops::Range<i64>| {
        for n in frames {
            sink.write(&frame.clone().at(Ratio::new(n, 25), Ratio::new(1, 25)))
                .unwrap();
        }
    };
    let plan = |ffmpeg| {
        plan_encoding(
            &{
                let mut sink = spec(ffmpeg);
                sink.resume = None;
                sink
            },
            &params(),
        )
        .unwrap()
        .about
    };
    assert!(
        plan(&card).starts_with("h264_nvenc -rc vbr -cq 18"),
        "{}",
        plan(&card)
    );
    if plan(&own).starts_with("h264_nvenc") {
        println!("left out: there is such a card here");
        return;
    }
    // Begun where there is no card, and gone on where there is one.
    let mut begun = open_sink(&spec(&own), &params()).unwrap();
    write(&mut *begun, 0..3);
    drop(begun);
    let mut sink = open_sink(&spec(&card), &params()).unwrap();
    let needs = sink.needs();
    for n in 0..2 {
        assert_eq!(needs.of(n), sink::Need::Written, "two in a segment");
        sink.skip(Ratio::new(n as i64, 25)).unwrap();
    }
    // The frames after a quick segment are logged from its fifth second on.
    assert_eq!(needs.of(2), sink::Need::Make);
    write(&mut *sink, 2..4);
    assert_eq!(sink.finish().unwrap().frames, 4);
}

fn a_decoder_that_dies_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.mkv");
    let words = "-nostdin -v error -f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v ffv1";
    let made = Command::new("ffmpeg")
        .args(words.split(' '))
        .arg(&input)
        .status()
        .unwrap();
    assert!(made.success());
    let ffmpeg = Some(tools(folder.path(), "cut_decode").unwrap());
    let mut source = open_source(&{
        let mut spec = SourceSpec::new(Input::File(input));
        spec.ffmpeg = ffmpeg;
        spec
    })
    .unwrap();
    let mut frames = 0;
    let error = loop {
        match source.next_frame() {
            Ok(Some(_)) => frames += 1,
            Ok(None) => panic!("the end came as if all were well"),
            Err(error) => break error,
        }
    };
    assert!(frames > 1 && frames < 25);
    let text = error.to_string();
    assert!(
        text.contains("exit status 9") && text.contains("the decoder met a fatal problem"),
        "{text}"
    );
    assert!(text.contains("at frame"), "{text}");
    assert_gone(&folder.path().join("cut_decode"));
}

fn versions_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let error = |mode| tools(folder.path(), mode).err().map(|e| e.to_string()).unwrap();
    assert!(error("old_version").contains("is version 4.2.2; 5.1 or later"));
    assert!(error("no_version").contains("no readable number"));
    assert_eq!(tools(folder.path(), "noisy").unwrap().version, (5, 1));
    let missing = Ffmpeg::at(folder.path().join("nowhere"), "ffprobe".into())
        .err()
        .unwrap();
    assert!(missing.to_string().contains("apt install ffmpeg"), "{missing}");
    let text = folder.path().join("text");
    fs::write(&text, "not a program").unwrap();
    assert_eq!(
        Ffmpeg::at(text, "ffprobe".into()).err().map(|e| e.code()),
        Some("ffmpeg_missing")
    );
}

fn the_environment_is_short() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.log");
    // SAFETY: this test binary runs its tests one after the other on one thread.
    unsafe { std::env::set_var("FFREPORT", format!("file={}", report.display())) };
    let mut spec = sink_spec(folder.path(), "environment");
    spec.stall_timeout = Duration::from_secs(20);
    encode(&spec, 2).unwrap();
    // SAFETY: as above.
    unsafe { std::env::remove_var("FFREPORT") };
    let names = fs::read_to_string(folder.path().join("environment/environment")).unwrap();
    assert!(
        names.contains("PATH") && !names.contains("FFREPORT") && !names.contains("CARGO"),
        "{names}"
    );
    assert!(!report.exists());
}

/// A process of its own that opens a sink, and hangs for its parent to kill it.
fn orphan_parent(folder: &Path) -> ExitCode {
    let mut spec = sink_spec(folder, "stalls");
    spec.stall_timeout = Duration::from_secs(600);
    let sink = open_sink(&spec, &params());
    fs::write(folder.join("open"), format!("{}", sink.is_ok())).unwrap();
    forever()
}

fn children_die_with_a_killed_parent() {
    if !cfg!(target_os = "linux") {
        return println!("left out: only Linux ties children to their parent");
    }
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut parent = Command::new(this)
        .env("RIFE_TEST_ORPHAN_PARENT", folder.path())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !folder.path().join("open").exists() || !folder.path().join("stalls/pid").exists() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "the parent does not start"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_gone(&folder.path().join("stalls"));
    // The part of the dead process is taken over, not refused.
    let part = folder.path().join(".out.part.mkv");
    assert!(part.exists());
    fs::remove_file(folder.path().join("open")).unwrap();
    let mut spec = sink_spec(folder.path(), "noisy");
    spec.stall_timeout = Duration::from_secs(20);
    assert_eq!(encode(&spec, 3).unwrap().frames, 3);
    assert!(!part.exists());
}
