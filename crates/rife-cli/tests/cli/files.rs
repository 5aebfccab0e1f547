//! Folders from untrusted sources: symbolic links, pipes and devices instead of files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{Place, RANDOM, Ran, ffmpeg};

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Waits for a run of the binary, which must end by itself within 30 seconds, and returns its output.
#[track_caller]
fn ended(mut child: Child) -> Ran {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("it waits for ever");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap().into()
}

fn started(place: &Place, args: &[&str]) -> Child {
    let mut command = place.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn planted_links_lead_to_no_other_file() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.y4m("in.y4m", 3);
    fs::create_dir(place.path("out.mp4.rife-part")).unwrap();
    let victim = place.path("victim.txt");
    // The manifest itself and its temporary name of old; the journal's; a segment; the unfinished output.
    for (planted, code) in [
        ("out.mp4.rife.json", 0),
        ("out.mp4.rife.json.new", 0),
        ("out.mp4.rife-part/journal.new", 0),
        ("out.mp4.rife-part/journal.json", 3),
        ("out.mp4.rife-part/unfinished.nut", 3),
        (".out.part.mp4", 4),
    ] {
        fs::write(&victim, "precious").unwrap();
        fs::create_dir_all(place.path("out.mp4.rife-part")).unwrap();
        symlink(&victim, place.path(planted)).unwrap();
        let args = [
            &["video", "in.y4m", "-o", "out.mp4", "-y", "--manifest"][..],
            &RANDOM,
        ]
        .concat();
        let ran = place.rife(&args);
        assert_eq!(ran.code, code, "{planted}: {}", ran.err);
        assert_eq!(fs::read(&victim).unwrap(), b"precious", "{planted}");
        let _ = fs::remove_file(place.path(planted));
    }
    // The same without a video: where the models are noted, and where a download was left.
    fs::create_dir(place.path("models")).unwrap();
    symlink(&victim, place.path("models/models.lock")).unwrap();
    place.rife(&["models", "list"]).failed(5);
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn pipes_and_devices_in_the_place_of_files_are_refused_at_once() {
    let place = Place::new();
    place.y4m("in.y4m", 3);
    let job = ["video", "in.y4m", "-o", "out.y4m"];
    pipe(&place.path("pipe"));
    symlink("/dev/zero", place.path("zero")).unwrap();
    for name in ["pipe", "zero"] {
        let run = |args: &[&str]| ended(started(&place, &[args, &RANDOM].concat()));
        let said = run(&[&job[..], &["--cuts", name]].concat()).failed(3);
        assert!(
            said.contains(name) && said.contains("not a regular file"),
            "{said}"
        );
        let said = ended(started(&place, &[&job[..], &["--model", name]].concat())).failed(5);
        assert!(said.contains(name), "{said}");
        let manifest = place.path("in.y4m.rife.json");
        symlink(place.path(name), &manifest).unwrap();
        let said = ended(started(&place, &["verify", "in.y4m"])).failed(3);
        assert!(said.contains("not a regular file"), "{said}");
        fs::remove_file(manifest).unwrap();
        fs::create_dir(place.path("models")).unwrap();
        symlink(place.path(name), place.path("models/models.lock")).unwrap();
        ended(started(&place, &["models", "list"])).failed(3);
        fs::remove_dir_all(place.path("models")).unwrap();
        if ffmpeg() {
            fs::create_dir(place.path("out.mp4.rife-part")).unwrap();
            symlink(place.path(name), place.path("out.mp4.rife-part/journal.json")).unwrap();
            let said = run(&["video", "in.y4m", "-o", "out.mp4"]).failed(3);
            assert!(said.contains("journal.json"), "{said}");
            fs::remove_dir_all(place.path("out.mp4.rife-part")).unwrap();
        }
    }
    // A device is no video, and none that is read through ffmpeg is waited for.
    for input in ["zero", "/dev/null"] {
        let said = ended(started(
            &place,
            &[&["video", input, "-o", "out.y4m"][..], &RANDOM].concat(),
        ));
        assert!(said.failed(3).contains("not a regular file"), "{input}");
    }
}

#[test]
fn a_named_pipe_is_a_stream_of_y4m_whatever_its_name() {
    let place = Place::new();
    let clip = fs::read(place.y4m("in.y4m", 3)).unwrap();
    for name in ["live.y4m", "live", "live.mp4"] {
        pipe(&place.path(name));
        let args = [&["video", name, "-o", "out.y4m", "-y"][..], &RANDOM].concat();
        let child = started(&place, &args);
        // It waits for somebody to write, and for the rest of a frame.
        let mut writer = fs::OpenOptions::new().write(true).open(place.path(name)).unwrap();
        for part in clip.chunks(10_000) {
            writer.write_all(part).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(writer);
        ended(child).ok();
        let made = fs::read(place.path("out.y4m")).unwrap();
        assert_eq!(made.windows(6).filter(|w| w == b"FRAME\n").count(), 6, "{name}");
    }
    let child = started(
        &place,
        &[&["video", "live.mp4", "-o", "no.y4m"][..], &RANDOM].concat(),
    );
    fs::write(place.path("live.mp4"), "not that\n").unwrap();
    let said = ended(child).failed(3);
    assert!(said.contains("no Y4M stream"), "{said}");
}
