//! Shards of several machines, joined, are equal to the output of one machine.

use std::fs;

use super::support::{Place, RANDOM, ffmpeg, probe};

fn job<'a>(command: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let same = ["clip.mp4", "-o", output, "--segment-frames", "8"];
    [&[command], &same[..], &RANDOM[..], more].concat()
}

#[test]
fn joined_shards_are_the_bytes_of_one_machine() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 21);
    for (output, more) in [
        ("out.mp4", &[][..]),
        ("out.mkv", &["--fps", "60", "--codec", "ffv1"]),
    ] {
        place.rife(&job("video", output, more)).ok();
        let whole = fs::read(place.path(output)).unwrap();
        fs::remove_file(place.path(output)).unwrap();
        let mut elsewhere = 0;
        for shard in ["3/3", "1/3", "2/3"] {
            let lines = place
                .rife(&job(
                    "video",
                    output,
                    &[more, &["--shard", shard, "--json"]].concat(),
                ))
                .json();
            elsewhere += lines.last().unwrap()["elsewhere"].as_u64().unwrap();
            assert!(!place.path(output).exists());
        }
        let frames = probe_frames(&whole, &place, output);
        assert_eq!(
            elsewhere,
            2 * frames,
            "each frame is made once and left to others twice"
        );
        // One of the outputs by the recorded command, the other with all options given again.
        let join = match output {
            "out.mp4" => vec!["join", output, "--json"],
            _ => job("join", output, &[more, &["--json"]].concat()),
        };
        let lines = place.rife(&join).json();
        assert_eq!(lines.last().unwrap()["resumed"], frames, "nothing is made again");
        assert!(fs::read(place.path(output)).unwrap() == whole, "{output}");
        fs::remove_file(place.path(output)).unwrap();
    }
    assert_eq!(
        place.names(),
        ["clip.mp4"],
        "the shards go when the output is complete"
    );
}

/// A clip of 760 frames with what depends on many frames: a static logo, cuts, repeated frames, and a variable rate with pauses.
fn eventful(place: &Place) {
    let shots = "[0]fps=25/2,fps=25,scroll=h=0.02[a];[1]scroll=v=0.03[b];[2]scroll=h=-0.05[c];[a][b][c]concat=n=3,\
                 drawbox=x=60:y=8:w=20:h=12:c=white:t=fill,drawbox=x=64:y=11:w=4:h=4:c=black:t=fill,\
                 setpts='(N+gt(N,300)*40+gt(N,500)*60)/25/TB'";
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=12.3"])
        .args([
            "-f",
            "lavfi",
            "-i",
            "mandelbrot=s=96x64:r=25",
            "-f",
            "lavfi",
            "-i",
            "testsrc=s=96x64:r=25:d=14",
        ])
        .args([
            "-filter_complex",
            &shots.replace("[1]scroll", "[1]trim=duration=4.1,scroll"),
        ])
        .args([
            "-fps_mode",
            "passthrough",
            "-enc_time_base",
            "1:1000",
            "-pix_fmt",
            "yuv420p",
            "-g",
            "24",
        ])
        .arg(place.path("clip.mp4"))
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn shards_that_read_parts_of_a_clip_make_the_bytes_of_one_machine() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    eventful(&place);
    let same = [
        "clip.mp4",
        "-o",
        "out.mkv",
        "--segment-frames",
        "120",
        "--codec",
        "ffv1",
    ];
    let of = |command, more: &[&'static str]| [&[command][..], &same[..], &RANDOM, more].concat();
    place.rife(&of("video", &[])).ok();
    let whole = fs::read(place.path("out.mkv")).unwrap();
    fs::remove_file(place.path("out.mkv")).unwrap();
    for index in 1..=13 {
        let shard = format!("{index}/13");
        let lines = place
            .rife(&[&of("video", &["--json"])[..], &["--shard", &shard]].concat())
            .json();
        let reading = lines[0]["reading"].as_str().unwrap();
        assert!(
            reading.contains("frames, decoded from the key frames"),
            "{reading}"
        );
    }
    place.rife(&["join", "out.mkv"]).ok();
    assert!(fs::read(place.path("out.mkv")).unwrap() == whole);
    // An input that is read whole says so.
    place.y4m("clip.y4m", 4);
    let y4m = [
        &["video", "clip.y4m", "-o", "y.mkv", "--shard", "1/2", "-v"][..],
        &RANDOM,
    ]
    .concat();
    let ran = place.rife(&y4m);
    assert!(
        ran.err.contains("the whole clip is decoded: only indexed"),
        "{}",
        ran.err
    );
}

fn probe_frames(whole: &[u8], place: &Place, output: &str) -> u64 {
    let copy = format!("copy_{output}");
    fs::write(place.path(&copy), whole).unwrap();
    let frames = probe(&place.path(&copy)).0;
    fs::remove_file(place.path(&copy)).unwrap();
    frames
}

#[test]
fn shards_that_do_not_fit_are_refused() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 10);
    let join = job("join", "out.mp4", &[]);
    assert!(place.rife(&join).failed(2).contains("there are no shards"));
    place.rife(&job("video", "out.mp4", &["--shard", "1/2"])).ok();
    assert!(
        place
            .rife(&join)
            .failed(2)
            .contains("out.mp4.rife-shard-2-of-2 is missing")
    );
    // Refused before the run, not by the join; --restart starts over with other options, and the join still checks.
    let other = ["--shard", "2/2", "--crf", "30"];
    let said = place.rife(&job("video", "out.mp4", &other)).failed(4);
    assert!(
        said.contains("shard-1-of-2") && said.contains("-crf 30"),
        "{said}"
    );
    let said = place
        .rife(&job("video", "out.mp4", &["--shard", "2/3"]))
        .failed(2);
    assert!(said.contains("another division"), "{said}");
    place
        .rife(&job("video", "out.mp4", &[&other[..], &["--restart"]].concat()))
        .ok();
    let said = place.rife(&join).failed(4);
    assert!(
        said.contains("shard-2-of-2") && said.contains("-crf 30"),
        "{said}"
    );
    let again = ["--shard", "2/2", "--restart"];
    place.rife(&job("video", "out.mp4", &again)).ok();
    let segment = place.path("out.mp4.rife-shard-2-of-2/000000.nut");
    let mut bytes = fs::read(&segment).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&segment, bytes).unwrap();
    assert!(place.rife(&join).failed(3).contains("not what was written"));
    assert!(!place.path("out.mp4").exists());
    place.rife(&job("video", "out.mp4", &["--shard", "2/2"])).ok();
    fs::create_dir(place.path("out.mp4.rife-shard-1-of-5")).unwrap();
    assert!(place.rife(&join).failed(2).contains("different divisions"));
    fs::create_dir(place.path("out.mp4.rife-shard-1-of-4294967295")).unwrap();
    assert!(place.rife(&join).failed(2).contains("1 to 10000 machines"));
    fs::remove_dir(place.path("out.mp4.rife-shard-1-of-4294967295")).unwrap();
    fs::remove_dir(place.path("out.mp4.rife-shard-1-of-5")).unwrap();
    place.rife(&join).ok();
    assert_eq!(place.names(), ["clip.mp4", "out.mp4"]);
    // More machines than segments: some have nothing to do, and say so by being done.
    place
        .rife(&job("video", "out.y4m", &["--shard", "1/2"]))
        .failed(2);
    place
        .rife(&job("video", "out.gif", &["--shard", "1/2"]))
        .failed(2);
    for bad in ["0/2", "3/2", "2", "a/b", "1/0"] {
        place.rife(&job("video", "x.mp4", &["--shard", bad])).failed(2);
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn a_killed_shard_goes_on_and_idle_shards_are_done() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 10);
    place.rife(&job("video", "out.mp4", &[])).ok();
    let whole = fs::read(place.path("out.mp4")).unwrap();
    fs::remove_file(place.path("out.mp4")).unwrap();
    for index in 1..=4 {
        let shard = format!("{index}/4");
        let args = job("video", "out.mp4", &["--shard", &shard]);
        let killed = place
            .command(&args)
            .env("RIFE_TEST_KILL_AT_WRITE", "6")
            .output()
            .unwrap();
        // There are three segments, so one shard has none.
        assert_eq!(killed.status.code().is_none(), index <= 3, "{index}");
        place.rife(&args).ok();
    }
    let join = job("join", "out.mp4", &[]);
    for write in [1, 5, 9] {
        let killed = place
            .command(&join)
            .env("RIFE_TEST_KILL_AT_WRITE", write.to_string())
            .output();
        if killed.unwrap().status.code() == Some(0) {
            break;
        }
        if place.path("out.mp4").exists() {
            break;
        }
    }
    if !place.path("out.mp4").exists() {
        place.rife(&join).ok();
    }
    assert!(fs::read(place.path("out.mp4")).unwrap() == whole);
}

#[test]
fn a_join_waits_and_takes_input_and_options_from_the_shards() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    std::fs::create_dir(place.path("in")).unwrap();
    place.clip("in/clip.mp4", 10);
    let input = ["--fps", "40", "--segment-frames", "4", "-o", "out.mkv"];
    let shard = |shard, more: &[&str]| {
        let args = [
            &["video", "in/clip.mp4"][..],
            &input,
            &RANDOM,
            &["--shard", shard],
            more,
        ]
        .concat();
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |args: Vec<String>| place.rife(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let whole = [&["video", "in/clip.mp4"][..], &input, &RANDOM].concat();
    place.rife(&whole).ok();
    let whole = fs::read(place.path("out.mkv")).unwrap();
    fs::remove_file(place.path("out.mkv")).unwrap();

    let said = place.rife(&["join", "out.mkv", "--wait", "0s"]).failed(1);
    assert!(said.contains("none has begun"), "{said}");
    run(shard("1/2", &["--work-dir", "fast/disk"])).ok();
    assert!(place.path("fast/disk/out.mkv.rife-shard-1-of-2").is_dir());
    let work = ["--work-dir", "fast/disk"];
    let said = place
        .rife(&[&["join", "out.mkv", "--wait", "0"][..], &work].concat())
        .failed(1);
    assert!(said.contains("1 of 2 are complete; 2 has not begun"), "{said}");
    let said = place
        .rife(&[&["join", "out.mkv", "--fps", "30"][..], &work].concat())
        .failed(2);
    assert!(said.contains("have recorded"), "{said}");
    // From another folder, while the second shard is still to come, by the folder of the shards.
    let mut waiting = place
        .command(&[
            "join",
            "../fast/disk/out.mkv.rife-shard-1-of-2",
            "--wait",
            "1m",
            "-q",
        ])
        .current_dir(place.path("in"))
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(waiting.try_wait().unwrap().is_none(), "it waits");
    run(shard("2/2", &work)).ok();
    assert!(waiting.wait().unwrap().success());
    assert!(fs::read(place.path("fast/disk/out.mkv")).unwrap() == whole);
    assert_eq!(place.names(), ["fast", "in"]);
    let said = place
        .rife(&["video", "in/clip.mp4", "-o", "x/%d.png", "--work-dir", "fast"])
        .failed(2);
    assert!(said.contains("video file"), "{said}");
}
