//! Batches of videos, and watched folders.

use std::fs;
use std::time::{Duration, Instant};

use super::support::{Place, RANDOM, ffmpeg, names, probe};

fn batch<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["video"], args, &RANDOM[..]].concat()
}

#[test]
fn one_failure_does_not_stop_the_rest() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.y4m("a.y4m", 3);
    fs::write(place.path("b.mp4"), "no video at all").unwrap();
    place.y4m("c.y4m", 4);
    let args = batch(&["a.y4m", "b.mp4", "c.y4m", "-o", "out"]);
    let said = place.rife(&args).failed(3);
    for text in [
        "2 made, 0 there already, 1 failed",
        "b.mp4: ",
        "1 of 3 videos failed",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let made = [
        "a_2X_50fps.mp4",
        "a_2X_50fps.mp4.rife.json",
        "c_2X_50fps.mp4",
        "c_2X_50fps.mp4.rife.json",
    ];
    assert_eq!(names(&place.path("out")), made);
    assert_eq!(probe(&place.path("out/c_2X_50fps.mp4")).0, 8);

    // The same command again only processes videos without a result.
    let before = fs::metadata(place.path("out/a_2X_50fps.mp4"))
        .unwrap()
        .modified()
        .unwrap();
    fs::remove_file(place.path("out/c_2X_50fps.mp4")).unwrap();
    let said = place.rife(&args).failed(3);
    assert!(said.contains("1 made, 1 there already, 1 failed"), "{said}");
    let after = fs::metadata(place.path("out/a_2X_50fps.mp4"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);

    // With another option it is another job, and the result is not replaced.
    let said = place.rife(&[&args[..], &["--crf", "40"]].concat()).failed(1);
    assert!(
        said.contains("exists already") && said.contains("3 of 3 videos failed"),
        "{said}"
    );
}

#[test]
fn a_folder_stands_for_its_videos_and_json_tells_of_each() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("in")).unwrap();
    place.y4m("in/10.y4m", 2);
    place.y4m("in/9.y4m", 2);
    fs::write(place.path("in/notes.txt"), "no video").unwrap();
    let lines = place.rife(&batch(&["in", "--json"])).json();
    let of = |event: &str| -> Vec<_> { lines.iter().filter(|line| line["event"] == event).collect() };
    assert_eq!((of("plan").len(), of("done").len()), (2, 2));
    let inputs: Vec<_> = of("video")
        .iter()
        .map(|line| line["input"].as_str().unwrap())
        .collect();
    assert_eq!(inputs, ["in/9.y4m", "in/10.y4m"]);
    assert_eq!(
        (&of("batch")[0]["made"], &of("batch")[0]["failed"]),
        (&2.into(), &serde_json::json!([]))
    );
    // Results in the folder of the inputs are not taken as inputs.
    let lines = place.rife(&batch(&["in", "--json"])).json();
    assert_eq!(lines.last().unwrap()["there"], 2);
}

#[test]
fn two_inputs_of_one_name_do_not_replace_each_other() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("x")).unwrap();
    place.y4m("a.y4m", 2);
    place.y4m("x/a.y4m", 3);
    let said = place
        .rife(&batch(&["a.y4m", "x/a.y4m", "-o", "out", "-y"]))
        .failed(2);
    assert!(
        said.contains("is the result of another video of this batch"),
        "{said}"
    );
    assert_eq!(
        place.names(),
        ["a.y4m", "x"],
        "nothing is made before that is known"
    );
    // Of one stem, but not of one result.
    let slow = fs::read(place.path("a.y4m")).unwrap();
    let fast = String::from_utf8_lossy(&slow[..30])
        .replace("F25:1", "F50:1")
        .into_bytes();
    fs::write(place.path("x/a.y4m"), [&fast, &slow[30..]].concat()).unwrap();
    place.rife(&batch(&["a.y4m", "x/a.y4m", "-o", "out"])).ok();
    assert_eq!(probe(&place.path("out/a_2X_100fps.mp4")).0, 4);
}

#[test]
fn senseless_batches_are_usage_errors() {
    let place = Place::new();
    place.y4m("a.y4m", 2);
    place.y4m("b.y4m", 2);
    for (args, said) in [
        (&["a.y4m", "b.y4m", "-o", "a.y4m"][..], "is no folder"),
        (&["a.y4m", "b.y4m", "-o", "-"], "is no folder"),
        (
            &["--watch", ".", "-o", "."],
            "another folder than the watched one",
        ),
        (
            &["--watch", "a.y4m", "-o", "out"],
            "no folder that could be watched",
        ),
        (&["--watch", "."], "--output"),
        (&["a.y4m", "--watch", ".", "-o", "out"], "cannot be used"),
    ] {
        let error = place.rife(&batch(args)).failed(2);
        assert!(error.contains(said), "{args:?}: {error}");
    }
}

#[test]
fn info_describes_each_of_several_files() {
    let place = Place::new();
    place.y4m("a.y4m", 2);
    place.y4m("b.y4m", 2);
    let said = place.rife(&["info", "a.y4m", "b.y4m"]).ok();
    for line in ["in:      a.y4m: 64x48", "in:      b.y4m: 64x48"] {
        assert!(said.contains(line), "{said}");
    }
    place.rife(&["info", "a.y4m", "none.y4m"]).failed(3);
}

/// Runs a watch until `done`, then ends it with SIGTERM.
#[cfg(unix)]
fn watch_until(place: &Place, done: impl Fn() -> bool) -> String {
    let mut command = place.command(&batch(&["--watch", "in", "-o", "out", "--poll", "0.1"]));
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not get on");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(400));
    std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    said
}

#[cfg(unix)]
#[test]
fn a_watched_folder_survives_restarts_and_half_written_files() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("in")).unwrap();
    place.y4m("in/a.y4m", 2);
    let made = |name: &str| {
        place
            .path("out")
            .join(format!("{name}_2X_50fps.mp4.rife.json"))
            .exists()
    };
    // A file whose size is another each time is not taken, however long the first one lasts.
    let whole = fs::read(place.y4m("b.y4m", 3)).unwrap();
    let growing = place.path("in/b.y4m");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for end in (1..6_000).map(|n| n * 40 % whole.len()) {
                if stop.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                fs::write(&growing, &whole[..end]).unwrap();
                std::thread::sleep(Duration::from_millis(15));
            }
            fs::write(&growing, &whole).unwrap();
        });
        let said = watch_until(&place, || made("a"));
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(!said.contains("b.y4m"), "{said}");
    });
    let before = fs::metadata(place.path("out/a_2X_50fps.mp4"))
        .unwrap()
        .modified()
        .unwrap();
    let said = watch_until(&place, || made("b"));
    assert!(said.contains("there already"), "{said}");
    assert_eq!(probe(&place.path("out/b_2X_50fps.mp4")).0, 6);
    let after = fs::metadata(place.path("out/a_2X_50fps.mp4"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after, "what was done is not done again");
}
