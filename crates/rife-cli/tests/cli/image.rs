//! `rife image`: names, counts, times, sizes, depths, alpha, clips, memory.

use rife::media::sink::write_image;
use rife::media::source::read_image;
use rife::media::{ColorTags, Frame, Limits, PixelFormat, RgbImage};

#[cfg(all(unix, debug_assertions))]
use super::resume::killed;
use super::support::{Place, RANDOM, ffmpeg, names, probe};

fn image<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["image"][..], args, &RANDOM].concat()
}

fn pair() -> Place {
    let place = Place::new();
    place.picture("a.png", 0.0);
    place.picture("b.png", 3.0);
    place
}

#[test]
fn a_folder_gets_both_ends_and_all_between() {
    let place = pair();
    place
        .rife(&image(&["--img", "a.png", "b.png", "--exp", "2"]))
        .ok();
    assert_eq!(
        names(&place.path("output")),
        ["img0.png", "img1.png", "img2.png", "img3.png", "img4.png"]
    );
    let read = |name: &str| read_image(&place.path(name), &Limits::default()).unwrap();
    assert_eq!(read("output/img0.png"), read("a.png"));
    assert_eq!(read("output/img4.png"), read("b.png"));
    assert_ne!(read("output/img1.png"), read("output/img3.png"));
    assert!(
        place
            .rife(&image(&["a.png", "b.png", "--exp", "2"]))
            .failed(4)
            .contains("exists")
    );
    place.rife(&image(&["a.png", "b.png", "--exp", "2", "-y"])).ok();
    // A loop goes on to the first image, which is not written again.
    place
        .rife(&image(&["a.png", "b.png", "--exp", "1", "--loop", "-o", "round"]))
        .ok();
    assert_eq!(
        names(&place.path("round")),
        ["img0.png", "img1.png", "img2.png", "img3.png"]
    );
    assert_eq!(read("round/img2.png"), read("b.png"));
    place
        .rife(&image(&["b.png", "a.png", "--exp", "1", "-o", "back"]))
        .ok();
    assert_eq!(read("round/img3.png"), read("back/img1.png"));
}

#[test]
fn one_picture_goes_into_one_file() {
    let place = pair();
    let out = place
        .rife(&image(&[
            "a.png",
            "b.png",
            "--timestep",
            "1/3",
            "-o",
            "third.png",
        ]))
        .ok();
    assert_eq!(out, "third.png\n");
    let (frame, _) = read_image(&place.path("third.png"), &Limits::default()).unwrap();
    assert_eq!((frame.width, frame.height), (64, 48));
    assert!(
        place
            .rife(&image(&["a.png", "b.png", "--exp", "2", "-o", "one.png"]))
            .failed(2)
            .contains("3 pictures")
    );
}

#[test]
fn a_ratio_is_met_by_bisection() {
    let place = pair();
    let ran = place
        .rife(&image(&[
            "a.png", "b.png", "--ratio", "0.3", "-o", "steps", "--json",
        ]))
        .json();
    assert_eq!(names(&place.path("steps")), ["img0.png", "img1.png", "img2.png"]);
    assert!(ran[0]["method"].as_str().unwrap().contains("middles of middles"));
    assert_eq!(ran[0]["made"], 1);
    place
        .rife(&image(&[
            "a.png", "b.png", "--ratio", "0.005", "-o", "near", "--json",
        ]))
        .ok();
    let read = |name: &str| read_image(&place.path(name), &Limits::default()).unwrap();
    assert_eq!(
        read("near/img1.png"),
        read("a.png"),
        "a ratio near an end is that end"
    );
}

#[test]
fn pictures_of_any_size_go_together_by_the_rule_asked_for() {
    let place = pair();
    let other = rife::media::Frame::zeroed(32, 32, rife::media::PixelFormat::RGB8);
    let tags = rife::media::ColorTags::SRGB;
    rife::media::sink::write_image(&place.path("small.png"), &other, &tags, true).unwrap();
    std::fs::write(place.path("text.png"), "no picture").unwrap();
    assert!(
        place
            .rife(&image(&["a.png", "text.png"]))
            .failed(3)
            .contains("text.png")
    );
    assert!(!place.path("output").exists());
    let size = |name: &str| {
        let (frame, _) = read_image(&place.path(name), &Limits::default()).unwrap();
        (frame.width, frame.height)
    };
    let ran = place.rife(&image(&["a.png", "small.png", "--exp", "1"]));
    assert!(
        ran.err.contains("32x32") && ran.err.contains("scaled whole"),
        "{}",
        ran.err
    );
    assert_eq!(
        (size("output/img1.png"), size("output/img2.png")),
        ((64, 48), (64, 48))
    );
    place
        .rife(&image(&[
            "a.png",
            "small.png",
            "--exp",
            "1",
            "--size",
            "40x40",
            "--fit",
            "crop",
            "-o",
            "sq",
        ]))
        .ok();
    assert_eq!(size("sq/img0.png"), (40, 40));
}

/// Writes an image of `depth` bits with a disc at `x` on transparent green.
fn disc(place: &Place, name: &str, x: i64, format: PixelFormat) {
    let (width, height) = (64, 48);
    let inside = |i: i64| (i % width - x).pow(2) + (i / width - 24).pow(2) < 200;
    let plane =
        |seen: f32, unseen: f32| (0..width * height).map(move |i| if inside(i) { seen } else { unseen });
    let data = plane(0.9, 0.0)
        .chain(plane(0.1, 1.0))
        .chain(plane(0.3, 0.0))
        .collect();
    let mut picture = RgbImage::new(width as u32, height as u32, data);
    picture.alpha = Some(plane(1.0, 0.0).collect());
    let tags = ColorTags::SRGB;
    write_image(
        &place.path(name),
        &Frame::from_rgb(&picture, format, &tags),
        &tags,
        true,
    )
    .unwrap();
}

#[test]
fn alpha_and_sixteen_bits_stay_and_hidden_colours_stay_hidden() {
    let place = Place::new();
    let format = PixelFormat::RGB16.with_alpha(true);
    disc(&place, "a.png", 24, format);
    disc(&place, "b.png", 32, format);
    place
        .rife(&image(&["a.png", "b.png", "--exp", "2", "-o", "steps"]))
        .ok();
    let read = |name: &str| read_image(&place.path(name), &Limits::default()).unwrap();
    assert_eq!(read("steps/img0.png"), read("a.png"), "ends are bit-true");
    assert_eq!(read("steps/img4.png"), read("b.png"));
    for name in ["img1", "img2", "img3"] {
        let (frame, tags) = read(&format!("steps/{name}.png"));
        assert_eq!(frame.format, format);
        let picture = frame.to_rgb(&tags);
        let alpha = picture.alpha.as_ref().unwrap();
        let [_, green, _] = picture.channels();
        let seen = alpha.iter().zip(green).filter(|(alpha, _)| **alpha > 0.9);
        assert!(seen.clone().count() > 50, "{name}");
        // Random weights may darken, but nothing that was transparent may shine through.
        assert!(seen.clone().all(|(_, green)| *green < 0.4), "{name}");
    }
    if !ffmpeg() {
        return;
    }
    for (name, alpha) in [("out.webp", true), ("out.webm", true), ("out.mp4", false)] {
        let ran = place.rife(&image(&["a.png", "b.png", "--exp", "1", "-o", name]));
        assert_eq!(
            ran.err.contains("alpha is dropped"),
            !alpha,
            "{name}: {}",
            ran.err
        );
    }
}

#[test]
fn light_above_white_survives_in_exr() {
    let place = Place::new();
    let picture = |scale: f32| {
        let data = (0..3 * 64 * 48)
            .map(|i| scale * (1.0 + ((i % 64) as f32 * 0.2).sin()))
            .collect();
        RgbImage::new(64, 48, data)
    };
    let tags = ColorTags {
        transfer: rife::media::Transfer::Linear,
        ..ColorTags::SRGB
    };
    for (name, scale) in [("a.exr", 4.0), ("b.exr", 3.0)] {
        let frame = Frame::from_rgb(&picture(scale), PixelFormat::RGBF32, &tags);
        write_image(&place.path(name), &frame, &tags, true).unwrap();
    }
    place
        .rife(&image(&["a.exr", "b.exr", "--exp", "1", "-o", "steps"]))
        .ok();
    let read = |name: &str| read_image(&place.path(name), &Limits::default()).unwrap().0;
    assert_eq!(read("steps/img0.exr"), read("a.exr"));
    let middle = read("steps/img1.exr").to_rgb(&tags);
    let brightest = middle.data.iter().copied().fold(0.0, f32::max);
    assert!(brightest > 1.5, "{brightest}");
    let ran = place.rife(&image(&["a.exr", "b.exr", "--exp", "1", "-o", "steps.y4m"]));
    assert!(ran.err.contains("coded as sRGB"), "{}", ran.err);
}

#[test]
fn many_pictures_become_clips_of_every_kind() {
    if !ffmpeg() {
        return;
    }
    let place = pair();
    place.picture("c.png", 6.0);
    let three = ["a.png", "b.png", "c.png", "--passes", "3"];
    let run = |rest: &[&str]| place.rife(&image(&[&three[..], rest].concat()));
    for name in ["out.mp4", "out.mkv", "out.gif", "out.webm"] {
        run(&["-o", name]).ok();
        let (frames, duration, _) = probe(&place.path(name));
        assert_eq!(frames, 17, "{name}");
        assert!((duration - 17.0 / 25.0).abs() < 0.02, "{name}: {duration}");
    }
    let ran = run(&["-o", "slow.mp4", "--fps", "12.5", "--json"]).json();
    assert_eq!(
        (ran[0]["made"].as_u64(), ran[0]["frames"].as_u64()),
        (Some(14), Some(17))
    );
    assert!((probe(&place.path("slow.mp4")).1 - 17.0 / 12.5).abs() < 0.02);
    // WebP is ours: another reader must find the frames, their times, and lossless ends.
    run(&["-o", "out.webp"]).ok();
    let file = std::fs::File::open(place.path("out.webp")).unwrap();
    let decoder = image::codecs::webp::WebPDecoder::new(std::io::BufReader::new(file)).unwrap();
    let frames = image::AnimationDecoder::into_frames(decoder)
        .collect_frames()
        .unwrap();
    assert_eq!(frames.len(), 17);
    let milliseconds: Vec<_> = frames
        .iter()
        .map(|frame| frame.delay().numer_denom_ms())
        .collect();
    assert!(
        milliseconds.iter().all(|delay| *delay == (40, 1)),
        "{milliseconds:?}"
    );
    let first = image::open(place.path("a.png")).unwrap().to_rgba8();
    assert_eq!(*frames[0].buffer(), first);
    run(&["-o", "out.mp4"]).failed(4);
    run(&["-o", "out.png"]).failed(2);
    assert!(
        place.names().iter().all(|name| !name.starts_with('.')),
        "{:?}",
        place.names()
    );
}

#[test]
fn memory_and_disk_give_the_same_frames() {
    let place = pair();
    for (memory, folder) in [("memory", "m"), ("disk", "d")] {
        place
            .rife(&image(&[
                "a.png",
                "b.png",
                "--passes",
                "4",
                "--timestep-method",
                "recursive",
                "--memory",
                memory,
                "-o",
                folder,
            ]))
            .ok();
    }
    assert_eq!(names(&place.path("m")).len(), 17);
    for name in names(&place.path("m")) {
        let read = |folder: &str| std::fs::read(place.path(folder).join(&name)).unwrap();
        assert_eq!(read("m"), read("d"), "{name}");
    }
}

/// Runs a job; returns the memory that its plan announced and its peak memory, polled from outside, in bytes.
#[cfg(target_os = "linux")]
fn promised_and_held(place: &Place, args: &[&str]) -> (f64, f64) {
    let mut command = place.command(&image(args));
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0.0_f64;
        while let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(kilobytes) = line else { break };
            peak = kilobytes.trim().trim_end_matches(" kB").parse().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        peak * 1024.0
    });
    let output = child.wait_with_output().unwrap();
    let ran: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    (ran["memory_bytes"].as_f64().unwrap(), watch.join().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_that_is_announced_is_what_it_takes() {
    let place = Place::new();
    for (name, scale) in [("a.png", 1), ("b.png", 3)] {
        let (width, height) = (1280_u32, 704_u32);
        let data = (0..3 * width * height)
            .map(|i| (i.wrapping_mul(scale) % 251) as f32 / 250.0)
            .collect();
        let frame = Frame::from_rgb(
            &RgbImage::new(width, height, data),
            PixelFormat::RGB8,
            &ColorTags::SRGB,
        );
        write_image(&place.path(name), &frame, &ColorTags::SRGB, true).unwrap();
    }
    for args in [
        &["a.png", "b.png", "--passes", "1", "-o", "x", "--json"][..],
        &[
            "a.png",
            "b.png",
            "--passes",
            "2",
            "--timestep-method",
            "recursive",
            "-o",
            "y",
            "--json",
        ],
        &[
            "a.png",
            "b.png",
            "--passes",
            "2",
            "--timestep-method",
            "recursive",
            "--memory",
            "disk",
            "-o",
            "z",
            "--json",
        ],
    ] {
        let (promised, held) = promised_and_held(&place, args);
        eprintln!(
            "{args:?}: {:.1} MB announced, {:.1} MB held",
            promised / 1e6,
            held / 1e6
        );
        assert!(
            (promised / held - 1.0).abs() < 0.15,
            "{args:?}: {promised} {held}"
        );
    }
}

/// Runs a job and returns its JSON object.
#[cfg(all(unix, debug_assertions))]
fn done(place: &Place, args: &[&str]) -> serde_json::Value {
    place.rife(&[args, &["--json"]].concat()).json().remove(0)
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn a_folder_that_was_killed_goes_on_after_its_last_picture() {
    let place = pair();
    place.picture("c.png", 6.0);
    fn job<'a>(folder: &'a str, passes: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let args = ["a.png", "b.png", "c.png", "--passes", passes, "-o", folder];
        image(&[&args[..], more].concat())
    }
    for method in ["direct", "recursive"] {
        let more = ["--timestep-method", method];
        let (whole, part) = (format!("{method}-whole"), format!("{method}-part"));
        place.rife(&job(&whole, "3", &more)).ok();
        let args = job(&part, "3", &more);
        // Two writes are the journal's; the tenth image is in the ledger, but not renamed yet.
        assert!(killed(&place, &args, 2 + 10));
        let written = place.path(&part).join("img8.png");
        let before = std::fs::metadata(&written).unwrap().modified().unwrap();
        let said = place.rife(&[&args[..], &["--fit", "crop"]].concat()).failed(4);
        assert!(said.contains("fit was pad and is crop"), "{said}");
        let said = place.rife(&job(&part, "2", &more)).failed(4);
        assert!(said.contains("the pictures between two was at 1/8"), "{said}");
        // Killed once more, where the second pair begins.
        assert!(killed(&place, &args, 2 + 1));
        let done = done(&place, &args);
        assert_eq!(
            (done["resumed"].as_u64(), done["frames"].as_u64()),
            (Some(9), Some(17)),
            "{method}"
        );
        assert_eq!(
            std::fs::metadata(&written).unwrap().modified().unwrap(),
            before,
            "it is not written again"
        );
        assert_eq!(names(&place.path(&part)), names(&place.path(&whole)));
        for name in names(&place.path(&whole)) {
            let read = |folder: &str| std::fs::read(place.path(folder).join(&name)).unwrap();
            assert!(read(&whole) == read(&part), "{method} {name}");
        }
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn a_clip_that_was_killed_goes_on_to_the_same_bytes() {
    if !ffmpeg() {
        return;
    }
    let place = pair();
    let mut args = image(&["a.png", "b.png", "a.png", "--passes", "4", "-o", "out.mp4"]);
    args.extend(["--segment-frames", "12"]);
    place.rife(&args).ok();
    let whole = std::fs::read(place.path("out.mp4")).unwrap();
    std::fs::remove_file(place.path("out.mp4")).unwrap();
    // In the first segment, and after it.
    let mut resumed = 0;
    for write in [2 + 5, 2 + 12] {
        assert!(killed(&place, &args, write));
    }
    resumed += done(&place, &args)["resumed"].as_u64().unwrap();
    assert!((12..33).contains(&resumed), "{resumed}");
    assert!(std::fs::read(place.path("out.mp4")).unwrap() == whole);
    assert_eq!(place.names(), ["a.png", "b.png", "out.mp4"]);
    // A clip that is written in one piece says so.
    let plan = place.rife(&image(&["a.png", "b.png", "--passes", "1", "-o", "out.gif"]));
    assert!(
        plan.err.contains("an interrupted run starts over: GIF"),
        "{}",
        plan.err
    );
    let plan = place.rife(&image(&["a.png", "b.png", "--passes", "1", "-o", "out.mkv"]));
    assert!(!plan.err.contains("starts over"), "{}", plan.err);
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn a_changed_picture_costs_what_depends_on_it_and_a_longer_run_leaves_nothing() {
    let place = pair();
    place.picture("c.png", 6.0);
    let three = ["a.png", "b.png", "c.png", "--passes", "2", "-o", "out"];
    let args = image(&three);
    assert!(killed(&place, &args, 2 + 8));
    // The first pair's frames do not depend on the third picture.
    place.picture("c.png", 7.0);
    assert_eq!(done(&place, &args)["resumed"], 5);
    let made: Vec<_> = names(&place.path("out"));
    assert_eq!(made.len(), 9);
    place
        .rife(&image(&[
            "a.png", "b.png", "c.png", "--passes", "2", "-o", "again",
        ]))
        .ok();
    for name in &made {
        let read = |folder: &str| std::fs::read(place.path(folder).join(name)).unwrap();
        assert!(read("out") == read("again"), "{name}");
    }
    // A picture that is read is neither replaced nor removed, though its number follows on.
    std::fs::rename(place.path("b.png"), place.path("out/img9.png")).unwrap();
    place
        .rife(&image(&[
            "a.png",
            "out/img9.png",
            "--exp",
            "1",
            "-o",
            "out",
            "-y",
        ]))
        .ok();
    assert_eq!(
        names(&place.path("out")),
        ["img0.png", "img1.png", "img2.png", "img9.png"]
    );
    // With nothing kept, a run that fails leaves no picture.
    assert!(killed(
        &place,
        &image(&["a.png", "c.png", "--exp", "2", "-o", "new"]),
        2 + 3
    ));
    let said = place
        .rife(&image(&[
            "a.png",
            "c.png",
            "--exp",
            "2",
            "-o",
            "new",
            "--no-resume",
        ]))
        .failed(4);
    assert!(said.contains("exists"), "{said}");
}
