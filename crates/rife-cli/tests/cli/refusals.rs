//! Refused inputs and options: exit codes and error texts.

use super::support::{Place, RANDOM, ffmpeg};

#[test]
fn senseless_command_lines_are_usage_errors() {
    let place = Place::new();
    place.y4m("in.y4m", 2);
    for (args, words) in [
        (&["video"][..], "required"),
        (&["video", "in.y4m", "--fps", "fast"], "59.94"),
        (&["video", "in.y4m", "--factor", "0"], "from 1 to 256"),
        (&["video", "in.y4m", "--exp", "9"], "it is from 0 to 4"),
        (
            &["video", "in.y4m", "--exp", "1", "--factor", "2"],
            "cannot be used",
        ),
        (
            &["video", "in.y4m", "--factor", "2", "--fps", "60"],
            "--slow-motion",
        ),
        (&["video", "in.y4m", "--stretch-audio"], "--slow-motion"),
        (
            &["video", "in.y4m", "--scale", "3"],
            "it is one of 0.25, 0.5, 1, 2, 4",
        ),
        (&["video", "in.y4m", "--device", "cuda"], "cpu"),
        (&["video", "in.y4m", "--model-version", "9.9"], "4.25.lite"),
        (&["image", "a.png"], "2 values"),
        (&["image", "a.png", "b.png", "--timestep", "2"], "from 0 to 1"),
        (&["benchmark"], "required"),
        (&["benchmark", "--time", "--size", "big"], "1280x720"),
        (&["models", "pull", "4.6", "--sha256", "12"], "64 hexadecimal"),
    ] {
        let error = place.rife(args).failed(2);
        assert!(error.contains(words), "{args:?}: {error}");
    }
}

#[test]
fn unreadable_inputs_are_named() {
    let place = Place::new();
    std::fs::write(place.path("text.y4m"), "hello\n").unwrap();
    std::fs::create_dir(place.path("empty")).unwrap();
    for (input, words) in [
        ("missing.y4m", "missing.y4m"),
        ("text.y4m", "text.y4m"),
        ("empty", "no picture"),
    ] {
        let args = [&["video", input, "-o", "out.y4m"][..], &RANDOM].concat();
        let error = place.rife(&args).failed(3);
        assert!(error.contains(words), "{input}: {error}");
        assert!(!place.path("out.y4m").exists());
    }
}

#[test]
fn files_that_are_no_video_are_named_by_ffprobe() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    std::fs::write(place.path("text.mp4"), "hello\n").unwrap();
    std::fs::write(place.path("list.mp4"), "#EXTM3U\n/etc/passwd\n").unwrap();
    for input in ["text.mp4", "list.mp4", "missing.mp4"] {
        let args = [&["video", input, "-o", "out.mp4"][..], &RANDOM].concat();
        let error = place.rife(&args).failed(3);
        assert!(error.contains(input), "{input}: {error}");
    }
    assert_eq!(place.names(), ["list.mp4", "text.mp4"]);
}

#[test]
fn outputs_are_never_lost() {
    let place = Place::new();
    let input = place.y4m("in.y4m", 3);
    let before = std::fs::read(&input).unwrap();
    std::fs::write(place.path("out.y4m"), "precious").unwrap();
    let run = |output: &str, extra: &[&str]| {
        place.rife(&[&["video", "in.y4m", "-o", output][..], &RANDOM, extra].concat())
    };
    assert!(run("out.y4m", &[]).failed(4).contains("exists"));
    assert_eq!(std::fs::read(place.path("out.y4m")).unwrap(), b"precious");
    assert!(run("in.y4m", &["-y"]).failed(4).contains("input"));
    assert!(
        run("no/such/folder/out.y4m", &[])
            .failed(4)
            .contains("no/such/folder")
    );
    assert_eq!(std::fs::read(&input).unwrap(), before);
    run("out.y4m", &["-y"]).ok();
    assert_eq!(place.names(), ["in.y4m", "out.y4m"]);
}

/// `--overwrite` never replaces an input, nor the result by a report on it.
#[test]
fn no_output_of_any_command_replaces_what_is_read() {
    let place = Place::new();
    let input = place.y4m("in.y4m", 5);
    let frames: Vec<_> = (0..2)
        .map(|index| place.picture(&format!("frames/{index:07}.png"), 3.0 * index as f32))
        .collect();
    let all = [&[input][..], &frames].concat();
    let read = || -> Vec<_> { all.iter().map(|path| std::fs::read(path).unwrap()).collect() };
    let before = read();
    let (first, second) = ("frames/0000000.png", "frames/0000001.png");
    std::fs::rename(place.path(second), place.path("frames/img1.png")).unwrap();
    std::fs::copy(place.path("frames/img1.png"), place.path(second)).unwrap();
    for (args, code) in [
        (
            &["video", "in.y4m", "-o", "out.y4m", "--confidence", "in.y4m"][..],
            4,
        ),
        (
            &["video", "in.y4m", "-o", "out.y4m", "--confidence", "out.y4m"],
            2,
        ),
        (&["video", "in.y4m", "-o", "out.y4m", "--cuts-out", "in.y4m"], 4),
        (&["video", "in.y4m", "-o", "out.y4m", "--cuts-out", "out.y4m"], 2),
        (&["video", "in.y4m", "-o", "out.y4m", "--report", "in.y4m"], 4),
        (&["video", "frames", "-o", "frames/"], 4),
        (&["video", "frames/*.png", "-o", "frames/"], 4),
        (&["video", first, "-o", "frames/"], 4),
        (&["report", "in.y4m", "-o", "in.y4m"], 4),
        (&["image", first, second, "-o", first, "--timestep", "0.5"], 4),
        (
            &["image", first, "frames/img1.png", "-o", "frames", "--passes", "1"],
            4,
        ),
        (&["chain", "in.y4m", "in.y4m", "-o", "in.y4m"], 4),
        (&["sample", "out.y4m", "--truth", "out.y4m"], 2),
    ] {
        let error = place.rife(&[args, &["-y"], &RANDOM].concat()).failed(code);
        assert!(
            ["input", "result", "two names"]
                .iter()
                .any(|word| error.contains(word)),
            "{args:?}: {error}"
        );
        assert!(read() == before && !place.path("out.y4m").exists(), "{args:?}");
    }
    // And without --overwrite nothing that is there, whatever it is.
    std::fs::write(place.path("mine.json"), "mine").unwrap();
    let beside = ["video", "in.y4m", "-o", "out.y4m", "--confidence", "mine.json"];
    place.rife(&[&beside[..], &RANDOM].concat()).failed(4);
    assert_eq!(std::fs::read(place.path("mine.json")).unwrap(), b"mine");
    place.rife(&[&beside[..], &["-y"], &RANDOM].concat()).ok();
    assert!(std::fs::read(place.path("mine.json")).unwrap().starts_with(b"[{"));
}

#[test]
fn models_that_cannot_be_used_are_model_errors() {
    let place = Place::new();
    place.y4m("in.y4m", 2);
    std::fs::write(place.path("weights.pkl"), "not weights").unwrap();
    for (args, words) in [
        (&["--model", "4.25"][..], "rife models pull 4.25"),
        (&["--model", "nothing"], "nothing"),
        (&["--model", "weights.pkl"], "weights.pkl"),
        (
            &["--random-weights", "--model-version", "4.25", "--ensemble"],
            "ensemble",
        ),
    ] {
        let error = place
            .rife(&[&["video", "in.y4m", "-o", "out.y4m"][..], args].concat())
            .failed(5);
        assert!(error.contains(words), "{args:?}: {error}");
    }
    assert!(!place.path("out.y4m").exists());
}

#[test]
fn an_error_is_json_for_programs() {
    let place = Place::new();
    let ran = place.rife(&["models", "info", "nothing.pkl", "--json"]);
    assert_eq!(ran.code, 5);
    let line: serde_json::Value = serde_json::from_str(ran.out.trim()).unwrap();
    assert_eq!(
        (line["event"].as_str(), line["code"].as_str()),
        (Some("error"), Some("bad_weights"))
    );
}

#[test]
fn a_name_with_escape_sequences_does_not_reach_the_terminal() {
    let place = Place::new();
    let error = place
        .rife(&["video", "a\u{1b}[2J.y4m", "-o", "out.y4m"])
        .failed(3);
    assert!(!error.contains('\u{1b}'), "{error:?}");
}
