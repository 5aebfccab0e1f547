//! Texts of the command line: factors, long and hostile names, hints, counts, output paths.

use std::fs;
use std::process::{Command, Stdio};

use super::support::{Place, RANDOM, ffmpeg, has_default_network, names, probe};
use rife_testing::Need;

fn video<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["video"], args, &RANDOM].concat()
}

fn frames(place: &Place, name: &str) -> usize {
    let bytes = fs::read(place.path(name)).unwrap();
    bytes.windows(6).filter(|w| w == b"FRAME\n").count()
}

#[test]
fn factors_may_be_fractions() {
    let place = Place::new();
    place.y4m("in.y4m", 4);
    for (factor, count, rate) in [("2.5", 10, "F125:2"), ("7/3", 10, "F175:3"), ("1.5", 6, "F75:2")] {
        let said = place
            .rife(&video(&["in.y4m", "-o", "out.y4m", "-y", "--factor", factor]))
            .ok();
        assert_eq!(frames(&place, "out.y4m"), count, "{factor}: {said}");
        let header = fs::read(place.path("out.y4m")).unwrap();
        let header = String::from_utf8_lossy(&header[..60]).into_owned();
        assert!(header.contains(rate), "{factor}: {header}");
    }
    // Slow motion by it keeps the rate.
    place
        .rife(&video(&[
            "in.y4m",
            "-o",
            "slow.y4m",
            "--factor",
            "2.5",
            "--slow-motion",
        ]))
        .ok();
    let slow = fs::read(place.path("slow.y4m")).unwrap();
    assert!(String::from_utf8_lossy(&slow[..60]).contains("F25:1"));
    assert_eq!(frames(&place, "slow.y4m"), 10);
    for wrong in ["2,5", "0.5", "257", "fast"] {
        let said = place
            .rife(&video(&["in.y4m", "-o", "no.y4m", "--factor", wrong]))
            .failed(2);
        assert!(said.contains("from 1 to 256, such as 2, 2.5"), "{said}");
    }
}

#[test]
fn names_may_have_all_the_bytes_that_a_file_system_takes() {
    let place = Place::new();
    let long = |letter: &str, end: &str| letter.repeat((255 - end.len()) / letter.len()) + end;
    let input = long("é", ".y4m");
    place.y4m(&input, 3);
    let output = long("b", ".y4m");
    place.rife(&video(&[&input, "-o", &output, "--manifest"])).ok();
    place.rife(&["verify", &output]).ok();
    if !ffmpeg() {
        return;
    }
    let output = long("c", ".mp4");
    place.rife(&video(&[&input, "-o", &output, "--manifest"])).ok();
    assert_eq!(probe(&place.path(&output)).0, 6);
    place.rife(&video(&[&input])).ok();
    let made: Vec<_> = place
        .names()
        .into_iter()
        .filter(|name| name.starts_with('é'))
        .collect();
    assert!(
        made.len() == 2 && made.iter().any(|name| name.ends_with("_2X_50fps.mp4")),
        "{made:?}"
    );
    for shard in ["1/2", "2/2"] {
        let output = long("d", ".mkv");
        place
            .rife(&video(&[
                &input,
                "-o",
                &output,
                "--segment-frames",
                "2",
                "--shard",
                shard,
            ]))
            .ok();
    }
    let output = long("d", ".mkv");
    let join = ["join", &input, "-o", &output, "--segment-frames", "2"];
    place.rife(&[&join[..], &RANDOM].concat()).ok();
    assert_eq!(probe(&place.path(&output)).0, 6);
}

#[cfg(unix)]
#[test]
fn names_forge_no_lines() {
    let place = Place::new();
    let name = "a\nrife: all is well\u{202e}\u{1b}[2J.y4m";
    place.y4m(name, 2);
    place.y4m("b.y4m", 2);
    fs::write(place.path("bad\nrife: all is well.mp4"), "no video").unwrap();
    let bad = "bad\nrife: all is well.mp4";
    let option = "--bad\nrife: all is well\u{202e}";
    for args in [
        &[name, "-o", "out\nrife: all is well.y4m"][..],
        &[name, "-o", "absent\nrife: all is well/out.y4m"],
        &[name, "b.y4m", bad, "-o", "out"],
        &["gone\nrife: all is well.y4m"],
        &[bad],
        &["b.y4m", option],
        &["b.y4m", "--cuts", bad, "-o", "c.y4m"],
        &["b.y4m", "--model", bad, "-o", "c.y4m"],
    ] {
        let ran = match args.contains(&"--model") {
            true => place.rife(&[&["video"], args].concat()),
            false => place.rife(&video(args)),
        };
        let said = ran.out + &ran.err;
        assert!(
            !said.lines().any(|line| line.starts_with("rife: all")),
            "{args:?}: {said}"
        );
        assert!(!said.contains(['\u{202e}', '\u{1b}']), "{args:?}: {said:?}");
    }
    for args in [&["verify", name][..], &["info", bad], &["models", "info", bad]] {
        let ran = place.rife(args);
        let said = ran.out + &ran.err;
        assert!(
            !said.lines().any(|line| line.starts_with("rife: all")),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn a_folder_gets_a_video_and_a_pattern_gets_pictures() {
    let place = Place::new();
    place.y4m("in.y4m", 3);
    // Pictures only where they are asked for.
    for (output, first, last) in [
        ("p/%03d.png", "000.png", "005.png"),
        ("q/*.jpg", "0000000.jpg", "0000005.jpg"),
        ("r/a_%d.tiff", "a_0.tiff", "a_5.tiff"),
    ] {
        place.rife(&video(&["in.y4m", "-o", output])).ok();
        let made = names(&place.path(&output[..1]));
        assert_eq!((made.len(), made[0].as_str(), made[5].as_str()), (6, first, last));
    }
    place.rife(&video(&["in.y4m", "-o", "s", "--png"])).ok();
    assert_eq!(names(&place.path("s")).len(), 6);
    // What is there is not replaced unasked, and what a longer run has left does not stay.
    let said = place.rife(&video(&["in.y4m", "-o", "s", "--png"])).failed(4);
    assert!(said.contains("exists"), "{said}");
    place.y4m("short.y4m", 2);
    fs::write(place.path("s/notes.png"), "kept").unwrap();
    fs::write(place.path("s/0000009.txt"), "kept").unwrap();
    place.rife(&video(&["short.y4m", "-o", "s", "--png", "-y"])).ok();
    let left = [
        "0000000.png",
        "0000001.png",
        "0000002.png",
        "0000003.png",
        "0000009.txt",
        "notes.png",
    ];
    assert_eq!(names(&place.path("s")), left);
    // Pictures into a folder of other files would be lost among them.
    fs::create_dir(place.path("t")).unwrap();
    fs::write(place.path("t/thesis.tex"), "mine").unwrap();
    let said = place.rife(&video(&["p", "-o", "t"])).failed(2);
    assert!(said.contains("thesis.tex") && said.contains("%07d.png"), "{said}");
    assert_eq!(names(&place.path("t")), ["thesis.tex"]);
    place.rife(&video(&["p", "-o", "u/"])).ok();
    assert_eq!(names(&place.path("u")).len(), 12, "of pictures come pictures");
    let [a, b] = ["a.png", "b.png"].map(|name| place.picture(name, 0.0).display().to_string());
    for (passes, count) in [("2", 5), ("1", 3)] {
        place
            .rife(
                &[
                    &["image", &a, &b, "-o", "x", "-y", "--passes", passes][..],
                    &RANDOM,
                ]
                .concat(),
            )
            .ok();
        assert_eq!(names(&place.path("x")).len(), count);
    }
    if !ffmpeg() {
        return;
    }
    place.clip("clip.mp4", 3);
    for (output, made) in [
        ("v/", "v/clip_2X_50fps.mp4"),
        ("t", "t/clip_2X_50fps.mp4"),
        (".", "clip_2X_50fps.mp4"),
    ] {
        place.rife(&video(&["clip.mp4", "-o", output])).ok();
        let (count, _, sound) = probe(&place.path(made));
        assert_eq!((count, sound), (6, 1), "{output}");
    }
    assert_eq!(names(&place.path("t")), ["clip_2X_50fps.mp4", "thesis.tex"]);
    let chain = [
        &["chain", "clip.mp4", "clip_2X_50fps.mp4", "-o", "w/"][..],
        &RANDOM,
    ]
    .concat();
    place.rife(&chain).ok();
    assert_eq!(names(&place.path("w")), ["clip_chain.mp4"]);
    place.rife(&["reencode", "clip.mp4", "--force", "-o", "w/"]).ok();
    assert_eq!(names(&place.path("w")), ["clip_chain.mp4", "clip_reencoded.mp4"]);
}

#[test]
fn what_is_not_there_is_told_before_anything_is_made() {
    let place = Place::new();
    place.y4m("in.y4m", 3);
    for (args, hint) in [
        (&["in.y4m", "out.mp4"][..], "-o out.mp4"),
        (&["in.y4m", "4", "--slow-motion"], "--factor 4"),
        (&["in.y4m", "2.5"], "--factor 2.5"),
        (&["in.y4m", "other"], "other is not there"),
    ] {
        let said = place.rife(&video(args)).failed(3);
        assert!(said.contains(hint), "{said}");
        assert_eq!(place.names(), ["in.y4m"]);
    }
}

#[test]
fn hints_are_of_options_that_the_help_lists() {
    let place = Place::new();
    for (wrong, right) in [
        ("--fsp", "'--fps'"),
        ("--slow-moton", "'--slow-motion'"),
        ("--facotr=3", "'--factor'"),
    ] {
        let said = place.rife(&["video", "a.mp4", wrong, "3"]).failed(2);
        assert!(said.contains(right) && !said.contains("--skip'"), "{said}");
    }
}

#[test]
fn models_are_listed_without_a_home_and_the_built_in_one_is_known() {
    let place = Place::new();
    let mut list = place.command(&["models", "list"]);
    for name in ["RIFE_MODELS_DIR", "XDG_DATA_HOME", "LOCALAPPDATA", "HOME"] {
        list.env_remove(name);
    }
    let ran = list.output().unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(
        ran.status.success() && text.contains("4.26") && text.contains("no models folder"),
        "{text}"
    );
    if has_default_network() {
        let text = place.rife(&["models", "info", "default"]).ok();
        assert!(text.contains("version:") && text.contains("sha256:"), "{text}");
    }
    let said = place.rife(&["models", "info", "absent"]).failed(5);
    assert!(said.contains("absent"), "{said}");
}

#[test]
fn counts_are_of_what_was_done_here_and_one_is_singular() {
    let place = Place::new();
    place.picture("one/1.png", 0.0);
    let ran = place.rife(&video(&["one", "-o", "out.y4m", "--threads", "1"]));
    assert!(
        ran.err.contains("1 frame, 25 fps") && ran.err.contains("1 thread)"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("2 frames from 1 (0 made)"), "{}", ran.err);
    if !ffmpeg() {
        return;
    }
    // All frames are the first shard's.
    place.y4m("in.y4m", 4);
    let ran = place.rife(&video(&["in.y4m", "-o", "out.mkv", "--shard", "2/2"]));
    assert!(
        ran.err.contains("(0 made)") && ran.err.contains("8 frames, left to other shards"),
        "{}",
        ran.err
    );
}

#[cfg(target_os = "linux")]
#[test]
fn frames_are_not_written_to_a_terminal() {
    let place = Place::new();
    place.y4m("in.y4m", 2);
    let command = format!(
        "{} {}",
        env!("CARGO_BIN_EXE_rife"),
        video(&["in.y4m", "-o", "-"]).join(" ")
    );
    let mut script = Command::new("script");
    script
        .args(["-qec", &command, "/dev/null"])
        .current_dir(place.path(""))
        .stdin(Stdio::null());
    let ran = script
        .output()
        .map_err(|_| "there is no `script` to make a terminal with");
    let Some(ran) = Need::Programs.met(ran) else {
        return;
    };
    let said = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(
        said.contains("not written to a terminal") && !said.contains("YUV4MPEG2"),
        "{said}"
    );
}
