//! Hostile inputs and failing resources that other tests do not cover; docs/security.md lists which test covers which
//! threat.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::support::{Place, RANDOM, Ran, ffmpeg, probe};
use rife_testing::Need;

fn video<'a>(input: &'a str, output: &'a str) -> Vec<&'a str> {
    [&["video", input, "-o", output][..], &RANDOM].concat()
}

fn make(place: &Place, name: &str, words: &str) {
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(words.split_whitespace())
        .arg(place.path(name))
        .status();
    assert!(made.unwrap().success(), "{words}");
}

#[test]
fn names_are_only_names_on_the_command_line() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("plain.mp4", 2);
    let long = format!("{}.mp4", "n".repeat(240));
    let names = [
        "-y.mp4",
        "--help.mp4",
        "-i.mp4",
        "@file.mp4",
        "a b.mp4",
        "$(touch pwned).mp4",
        "`touch pwned`.mp4",
        "\";touch pwned;\".mp4",
        "line\nbreak.mp4",
        "%03d.mp4",
        "concat:plain.mp4|x.mp4",
        "subfile,,start,0,end,0,,:x.mp4",
        "http:x.mp4",
        "pipe:0.mp4",
        "CON.mp4",
        "rtl\u{202e}4pm.mp4",
        &long,
    ];
    for name in names {
        fs::copy(place.path("plain.mp4"), place.path(name)).unwrap();
        // A name that begins with a dash is a name after --, and as the value of an option.
        let args = [&["video"], &RANDOM[..], &["--output=out.mp4", "--", name]].concat();
        place.rife(&args).ok();
        assert_eq!(probe(&place.path("out.mp4")).0, 4, "{name}");
        fs::remove_file(place.path("out.mp4")).unwrap();
        fs::remove_file(place.path(name)).unwrap();
    }
    assert_eq!(place.names(), ["plain.mp4"], "no other file was made");
}

#[test]
fn a_playlist_behind_a_container_is_not_followed() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("secret.mp4", 9);
    make(
        &place,
        "in.avi",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.12 -c:v mpeg4",
    );
    let mut bytes = fs::read(place.path("in.avi")).unwrap();
    let tail = format!(
        "\n#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        place.path("secret.mp4").display()
    );
    bytes.extend(tail.as_bytes());
    fs::write(place.path("in.avi"), bytes).unwrap();
    place.rife(&video("in.avi", "out.mkv")).ok();
    assert_eq!(probe(&place.path("out.mkv")).0, 6, "only its own three frames");
}

#[test]
fn codecs_off_the_list_are_refused() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    for codec in ["cinepak", "magicyuv"] {
        make(
            &place,
            "in.avi",
            &format!("-f lavfi -i testsrc2=s=64x48:r=5:d=0.4 -c:v {codec}"),
        );
        let said = place.rife(&video("in.avi", "out.mp4")).failed(3);
        assert!(said.contains("in.avi"), "{codec}: {said}");
    }
    assert_eq!(place.names(), ["in.avi"]);
}

#[test]
fn the_shortest_clips_have_defined_results() {
    let place = Place::new();
    for (frames, written) in [(1, 2), (2, 4), (3, 6)] {
        place.y4m("in.y4m", frames);
        place
            .rife(&[&video("in.y4m", "out.y4m")[..], &["-y"]].concat())
            .ok();
        let bytes = fs::read(place.path("out.y4m")).unwrap();
        assert_eq!(bytes.windows(6).filter(|w| w == b"FRAME\n").count(), written);
    }
    fs::write(place.path("none.y4m"), "YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444\n").unwrap();
    let said = place.rife(&video("none.y4m", "none_out.y4m")).failed(3);
    assert!(
        said.contains("no frame") && !place.path("none_out.y4m").exists(),
        "{said}"
    );
}

#[test]
fn a_cut_input_is_a_warning_and_a_failure_where_that_is_asked_for() {
    let place = Place::new();
    place.y4m("in.y4m", 5);
    let strict = |input| [&video(input, "out.y4m")[..], &["-y", "--strict"]].concat();
    place.rife(&strict("in.y4m")).ok();
    let bytes = fs::read(place.path("in.y4m")).unwrap();
    fs::write(place.path("cut.y4m"), &bytes[..bytes.len() - 100]).unwrap();
    let ran = place.rife(&[&video("cut.y4m", "lax.y4m")[..], &["-y"]].concat());
    assert!(ran.err.contains("frame 4 is cut short"), "{}", ran.err);
    ran.ok();
    let said = place.rife(&strict("cut.y4m")).failed(3);
    assert!(
        said.contains("frame 4 is cut short") && said.contains("--strict"),
        "{said}"
    );
    let written = ["out.y4m", "lax.y4m"].map(|name| fs::read(place.path(name)).unwrap());
    assert!(written[0] == written[1], "the result is there all the same");
}

/// Polls memory and open files of a running job; returns the samples.
#[cfg(target_os = "linux")]
fn watched(mut child: std::process::Child) -> Vec<[usize; 2]> {
    let folder = format!("/proc/{}", child.id());
    let mut seen = Vec::new();
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = rss.and_then(|rss| rss.trim().trim_end_matches(" kB").parse().ok());
        let files = fs::read_dir(format!("{folder}/fd")).map(Iterator::count);
        if let (Some(kib), Ok(files)) = (kib, files) {
            seen.push([kib, files]);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(child.wait().unwrap().success());
    seen
}

/// By hand, 20 000 frames of this size: 54.33 MB after a tenth of them, 54.39 MB at the end.
#[cfg(target_os = "linux")]
#[test]
fn neither_memory_nor_open_files_grow_with_the_frames() {
    let place = Place::new();
    place.y4m("in.y4m", 3000);
    let child = Command::new(env!("CARGO_BIN_EXE_rife"))
        .args([&video("in.y4m", "out.mp4")[..], &["-q"]].concat())
        .current_dir(place.path(""))
        .spawn()
        .unwrap();
    let seen = watched(child);
    // The median: while an encoder is started for the next segment there are more files for a moment.
    let usual = |part: &[[usize; 2]]| {
        [0, 1].map(|of| {
            let mut values: Vec<_> = part.iter().map(|sample| sample[of]).collect();
            values.sort_unstable();
            values[values.len() / 2]
        })
    };
    let fifth = seen.len() / 5;
    let (early, late) = (usual(&seen[fifth..2 * fifth]), usual(&seen[3 * fifth..4 * fifth]));
    println!("{} samples, {early:?} and {late:?}", seen.len());
    assert!(late[0] < early[0] + 1200, "less than 1 KiB a frame");
    assert_eq!(late[1], early[1], "open files");
}

#[test]
fn senseless_rates_in_a_header_end_quickly() {
    let place = Place::new();
    for rate in [
        "1000000:1",
        "0:1",
        "1:0",
        "-5:1",
        "99999999999999999999:1",
        "1:2147483647",
    ] {
        let mut bytes = format!("YUV4MPEG2 W64 H48 F{rate} Ip A1:1 C444\n").into_bytes();
        for _ in 0..2 {
            bytes.extend(b"FRAME\n");
            bytes.extend([128; 3 * 64 * 48]);
        }
        fs::write(place.path("in.y4m"), bytes).unwrap();
        let ran = place.rife(&[&video("in.y4m", "out.y4m")[..], &["-y"]].concat());
        assert!(
            [0, 3].contains(&ran.code) && !ran.err.contains("panicked"),
            "{rate}: {}",
            ran.err
        );
        // A target rate far above the source's must not become a flood.
        let ran = place.rife(&[&video("in.y4m", "flood.y4m")[..], &["--fps", "1000", "-y"]].concat());
        assert!(!ran.err.contains("panicked"));
        let size = fs::metadata(place.path("flood.y4m")).map_or(0, |m| m.len());
        assert!(size < 100 << 20, "{rate}: {size}");
    }
}

/// Makes a PNG whose header declares many pixels, with almost no data.
fn hollow_png(side: u32, extra: &[u8]) -> Vec<u8> {
    let size = [side.to_be_bytes(), side.to_be_bytes()].concat();
    let header = png_chunk(b"IHDR", &[&size[..], &[8, 2, 0, 0, 0]].concat());
    let zlib = [
        0x78, 0x01, 0x01, 0x01, 0x00, 0xFE, 0xFF, 0x00, 0x00, 0x01, 0x00, 0x01,
    ];
    let signature: &[u8] = b"\x89PNG\r\n\x1a\n";
    [
        signature,
        &header,
        extra,
        &png_chunk(b"IDAT", &zlib),
        &png_chunk(b"IEND", &[]),
    ]
    .concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(target_os = "linux")]
#[test]
fn hollow_pictures_take_no_memory() {
    let place = Place::new();
    fs::create_dir(place.path("in")).unwrap();
    for side in [65_535, 16_000, 8_000] {
        fs::write(place.path("in/1.png"), hollow_png(side, &[])).unwrap();
        let args = video("in", "out/");
        // Less than any of them would need.
        let script = format!(
            "ulimit -v 900000; exec {} {}",
            env!("CARGO_BIN_EXE_rife"),
            args.join(" ")
        );
        let ran = Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.path(""))
            .output();
        let said = Ran::from(ran.unwrap()).failed(3);
        assert!(
            said.contains("1.png") || said.contains("the frame size"),
            "{side}: {said}"
        );
    }
    // An animation that announces two billion frames is one picture, or none.
    let control = [&0x7FFF_FFFF_u32.to_be_bytes()[..], &[0; 4]].concat();
    fs::write(
        place.path("in/1.png"),
        hollow_png(64, &png_chunk(b"acTL", &control)),
    )
    .unwrap();
    place.rife(&video("in", "out/")).failed(3);
}

/// Makes a chunk of a PNG file.
fn png_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let body = [&kind[..], content].concat();
    let length = (content.len() as u32).to_be_bytes();
    [&length[..], &body, &crc32(&body).to_be_bytes()].concat()
}

/// Makes a compression bomb, 1 GiB of zeros in 1 MB, as a text chunk or colour profile.
#[cfg(target_os = "linux")]
#[test]
fn bombs_in_chunks_of_pictures_take_no_memory() {
    let place = Place::new();
    fs::create_dir(place.path("in")).unwrap();
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..1024 {
        packed.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let packed = packed.finish().unwrap();
    for (kind, head) in [
        (b"zTXt", &b"key\0\0"[..]),
        (b"iTXt", b"key\0\x01\0\0\0"),
        (b"iCCP", b"name\0\0"),
    ] {
        let bomb = png_chunk(kind, &[head, &packed].concat());
        fs::write(place.path("in/1.png"), hollow_png(64, &bomb)).unwrap();
        let script = format!(
            "ulimit -v 900000; exec {} {}",
            env!("CARGO_BIN_EXE_rife"),
            video("in", "out/").join(" ")
        );
        let ran = Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.path(""))
            .output();
        let said = Ran::from(ran.unwrap()).failed(3);
        assert!(said.contains("1.png"), "{said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_job_that_cannot_have_its_memory_is_refused_with_numbers() {
    let place = Place::new();
    let picture = [&b"YUV4MPEG2 W3840 H2160 F25:1 C420jpeg\n"[..], &b"FRAME\n"[..]].concat();
    let frame = vec![128; 3840 * 2160 * 3 / 2];
    fs::write(
        place.path("in.y4m"),
        [&picture[..], &frame, b"FRAME\n", &frame].concat(),
    )
    .unwrap();
    let script = format!(
        "ulimit -v 1200000; exec {} {}",
        env!("CARGO_BIN_EXE_rife"),
        video("in.y4m", "out.y4m").join(" ")
    );
    let ran = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path(""))
        .output();
    let said = Ran::from(ran.unwrap()).failed(3);
    assert!(
        said.contains("1228 MB") && said.contains("--memory-limit"),
        "{said}"
    );
    // What it advises helps.
    let script = format!("{script} --memory-limit 500M --scale 0.25");
    let script = script.replace("1200000", "2400000");
    let ran = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path(""))
        .output();
    Ran::from(ran.unwrap()).ok();
}

/// A job on a full file system (100 kB, if the user may mount one) fails with a message and resumes when there is space.
#[cfg(target_os = "linux")]
#[test]
fn a_full_file_system_is_told_of_and_the_job_goes_on_when_there_is_room() {
    if !super::support::ffmpeg() {
        return;
    }
    let place = Place::new();
    place.y4m("in.y4m", 40);
    let args = |output: &str| {
        let job = video("in.y4m", output).join(" ");
        format!(
            "{} {job} --codec ffv1 --segment-frames 8",
            env!("CARGO_BIN_EXE_rife")
        )
    };
    let script = format!(
        "mount -t tmpfs -o size=100k none small || exit 77\n\
         {job}; first=$?; test -e small/out.mkv && exit 78\n\
         mount -o remount,size=50m small; {job} || exit 79\n\
         cat small/out.mkv > out.mkv; exit $first",
        job = args("small/out.mkv")
    );
    fs::create_dir(place.path("small")).unwrap();
    let mut unshare = Command::new("unshare");
    let ran = unshare
        .args(["-rm", "sh", "-c", &script])
        .current_dir(place.path(""))
        .output();
    let ran = ran
        .ok()
        .filter(|ran| ![Some(77), Some(1)].contains(&ran.status.code()));
    let Some(ran) = Need::Mount.met(ran.ok_or("this user may not mount a small file system")) else {
        return;
    };
    let said = Ran::from(ran).failed(4);
    assert!(
        said.contains("No space left") && said.contains("small/"),
        "{said}"
    );
    let whole = args("whole.mkv");
    let whole: Vec<&str> = whole.split(' ').skip(1).collect();
    place.rife(&whole).ok();
    let [resumed, whole] = ["out.mkv", "whole.mkv"].map(|name| fs::read(place.path(name)).unwrap());
    assert!(resumed == whole, "the bytes of a run that always had room");
}

/// The disk is full as the output is put together, in MP4 and in one piece.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_at_the_end_is_called_a_full_disk() {
    if !super::support::ffmpeg() {
        return;
    }
    let place = Place::new();
    place.y4m("in.y4m", 40);
    fs::create_dir(place.path("small")).unwrap();
    for (output, more, size) in [
        ("small/out.mov", "--codec prores", "400k"),
        ("small/out.mkv", "--codec ffv1 --no-resume", "250k"),
        ("small/out.mp4", "--crf 0 --no-resume", "150k"),
    ] {
        let job = video("in.y4m", output).join(" ");
        let script = format!(
            "mount -t tmpfs -o size={size} none small || exit 77\n{} {job} {more}",
            env!("CARGO_BIN_EXE_rife")
        );
        let ran = Command::new("unshare")
            .args(["-rm", "sh", "-c", &script])
            .current_dir(place.path(""))
            .output();
        let ran = ran.ok().filter(|ran| ran.status.code() != Some(77));
        let Some(ran) = Need::Mount.met(ran.ok_or("this user may not mount a small file system")) else {
            return;
        };
        let said = Ran::from(ran);
        assert_ne!(said.code, 0, "{output} fits");
        let full = said.err.contains("the disk is full") || said.err.contains("No space left");
        assert!(full, "{output}: {}", said.err);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_of_pictures_may_hold_other_things() {
    let place = Place::new();
    for index in 0..3 {
        place.picture(&format!("in/{index}.png"), 2.0 * index as f32);
    }
    fs::write(place.path("in/.DS_Store"), "x").unwrap();
    fs::write(place.path("in/Thumbs.db"), "x").unwrap();
    fs::create_dir(place.path("in/more.png")).unwrap();
    std::os::unix::fs::symlink(".", place.path("in/loop")).unwrap();
    place.rife(&video("in", "out.y4m")).ok();
    let frames = fs::read(place.path("out.y4m")).unwrap();
    assert_eq!(frames.windows(6).filter(|w| w == b"FRAME\n").count(), 6);
    // One that is broken stops the job, and is named.
    fs::write(place.path("in/1.png"), "no picture").unwrap();
    let said = place.rife(&video("in", "broken.y4m")).failed(3);
    assert!(said.contains("1.png"), "{said}");
    assert!(!place.path("broken.y4m").exists());
}

#[cfg(unix)]
#[test]
fn outputs_that_are_no_files_are_refused_and_links_are_not_followed() {
    let place = Place::new();
    let input = place.y4m("in.y4m", 2);
    let before = fs::read(&input).unwrap();
    fs::create_dir(place.path("folder.y4m")).unwrap();
    fs::hard_link(&input, place.path("hard.y4m")).unwrap();
    std::os::unix::fs::symlink(&input, place.path("soft.y4m")).unwrap();
    fs::write(place.path("precious.txt"), "precious").unwrap();
    std::os::unix::fs::symlink(place.path("precious.txt"), place.path("link.y4m")).unwrap();
    let long = format!("{}.y4m", "n".repeat(300));
    for output in ["hard.y4m", "soft.y4m", "/dev/full/x.y4m", &long, "in.y4m/x.y4m"] {
        let ran = place.rife(&[&video("in.y4m", output)[..], &["-y"]].concat());
        assert_eq!(ran.code, 4, "{output}: {}", ran.err);
    }
    place
        .rife(&[&video("in.y4m", "link.y4m")[..], &["-y"]].concat())
        .ok();
    assert_eq!(
        fs::read(place.path("precious.txt")).unwrap(),
        b"precious",
        "the link was replaced, not followed"
    );
    assert!(fs::read(&input).unwrap() == before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_of() {
    let place = Place::new();
    place.y4m("in.y4m", 3);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = place
        .command(&video("in.y4m", "-"))
        .stdout(Stdio::from(full))
        .output();
    let said = Ran::from(ran.unwrap()).failed(4);
    assert!(
        said.contains("No space left") || said.contains("os error 28"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn closed_standard_streams_are_no_panic() {
    let place = Place::new();
    place.y4m("in.y4m", 3);
    let program = env!("CARGO_BIN_EXE_rife");
    for (streams, output) in [("2>&-", "a.y4m"), (">&- 2>&-", "b.y4m"), ("<&-", "c.y4m")] {
        let script = format!("exec {program} {} {streams}", video("in.y4m", output).join(" "));
        let ran = Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.path(""))
            .output();
        Ran::from(ran.unwrap()).ok();
        assert!(Path::new(&place.path(output)).is_file());
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let place = Place::new();
    place.y4m("in.y4m", 4);
    let run = |threads: &str, output: &str| {
        place
            .rife(&[&video("in.y4m", output)[..], &["--threads", threads]].concat())
            .ok();
        fs::read(place.path(output)).unwrap()
    };
    let one = run("1", "one.y4m");
    assert!(run("2", "two.y4m") == one && run("3", "three.y4m") == one && run("1", "again.y4m") == one);
}
