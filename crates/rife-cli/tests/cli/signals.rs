//! Cancellation by Ctrl-C and closed pipes, and the files and processes that remain.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{Place, RANDOM, ffmpeg};

#[cfg(unix)]
fn signal(child: &Child, signal: &str) {
    assert!(
        Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Waits for a process to end, with a timeout.
fn wait(child: &mut Child) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    panic!("it did not stop");
}

/// Lists the processes whose command line contains this folder.
#[cfg(target_os = "linux")]
fn processes_of(place: &Place) -> usize {
    let folder = place.path("").display().to_string();
    let folder = folder.trim_end_matches('/').as_bytes().to_vec();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| line.windows(folder.len()).any(|window| window == folder))
        .count()
}

/// Starts a long job and waits until it is running.
#[cfg(target_os = "linux")]
fn running(place: &Place) -> Child {
    place.clip("clip.mp4", 200);
    let args = [
        &["video", "clip.mp4", "-o", "out.mp4", "--factor", "16", "--json"][..],
        // No segment is complete when it stops.
        &["--segment-frames", "4000"],
        &RANDOM,
    ]
    .concat();
    let mut child = place
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .find(|line| line.as_ref().is_ok_and(|line| line.contains("progress")))
        .unwrap()
        .unwrap();
    // Read on, so that it does not stop because nobody does.
    std::thread::spawn(move || lines.map_while(Result::ok).count());
    child
}

#[cfg(target_os = "linux")]
#[test]
fn one_interrupt_stops_cleanly() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    let mut child = running(&place);
    assert!(processes_of(&place) >= 1, "ffmpeg is at work");
    signal(&child, "-INT");
    assert_eq!(wait(&mut child), Some(130));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("cancelled") && !text.contains("panicked"), "{text}");
    assert!(text.contains("the same command goes on from there"), "{text}");
    assert_eq!(
        place.names(),
        ["clip.mp4", "out.mp4.rife-part"],
        "nothing half is left"
    );
    assert_eq!(
        super::support::names(&place.path("out.mp4.rife-part")),
        ["journal.json", "unfinished.frames"]
    );
    assert_eq!(processes_of(&place), 0, "no child is left");
}

#[cfg(target_os = "linux")]
#[test]
fn every_signal_stops_and_a_second_one_at_once() {
    if !ffmpeg() {
        return;
    }
    for signals in [&["-TERM"][..], &["-HUP"], &["-INT", "-INT"]] {
        let place = Place::new();
        let mut child = running(&place);
        for name in signals {
            signal(&child, name);
        }
        let start = Instant::now();
        assert_eq!(wait(&mut child), Some(130), "{signals:?}");
        assert!(start.elapsed() < Duration::from_secs(2), "{signals:?}");
        // What a job that ends at once does not wait for ends by itself.
        while processes_of(&place) > 0 {
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{signals:?}: a child is left"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!place.path("out.mp4").exists(), "{signals:?}");
    }
}

/// Standard input and a named pipe that nobody writes to, or no more: one signal ends the wait, and nothing is left.
#[cfg(target_os = "linux")]
#[test]
fn one_signal_ends_the_wait_for_input() {
    let place = Place::new();
    let clip = std::fs::read(place.y4m("in.y4m", 3)).unwrap();
    let pipe = Command::new("mkfifo").arg(place.path("pipe.y4m")).status();
    assert!(pipe.unwrap().success());
    for (input, written) in [
        ("-", 0),
        ("-", 10),
        ("-", 15_000),
        ("pipe.y4m", 0),
        ("pipe.y4m", 15_000),
    ] {
        let args = [&["video", input, "-o", "out.y4m"][..], &RANDOM].concat();
        let mut command = place.command(&args);
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut writer: Box<dyn Write> = match input {
            "-" => Box::new(child.stdin.take().unwrap()),
            // Without a writer, where nothing is to be written.
            _ if written == 0 => Box::new(std::io::sink()),
            _ => Box::new(
                std::fs::OpenOptions::new()
                    .write(true)
                    .open(place.path(input))
                    .unwrap(),
            ),
        };
        writer.write_all(&clip[..written]).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        signal(&child, if written == 10 { "-INT" } else { "-TERM" });
        let start = Instant::now();
        assert_eq!(wait(&mut child), Some(130), "{input} after {written} bytes");
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(
            place.names(),
            ["in.y4m", "pipe.y4m"],
            "{input} after {written} bytes"
        );
        drop(writer);
    }
}

/// Lists the ffmpeg processes whose command line contains `word`.
#[cfg(target_os = "linux")]
fn children_with(parent: &Child, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let parent_id = read("stat")
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        if parent_id == Some(parent.id()) && read("cmdline").contains(word) {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_that_dies_ends_the_job() {
    if !ffmpeg() {
        return;
    }
    // The encoder is found by its segments' folder, the decoder by one of its options.
    for word in ["out.mp4.rife-part", "-noautorotate"] {
        let place = Place::new();
        place.clip("clip.mp4", 400);
        let args = [
            &["video", "clip.mp4", "-o", "out.mp4", "--factor", "2", "--json"][..],
            // No segment is complete when it dies.
            &["--segment-frames", "4000"],
            &RANDOM,
        ]
        .concat();
        let mut child = place
            .command(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines
            .find(|line| line.as_ref().is_ok_and(|line| line.contains("progress")))
            .unwrap()
            .unwrap();
        // An encoder starts with the first frame of its segment.
        let start = Instant::now();
        let mut doomed = children_with(&child, word);
        while doomed.is_empty() && start.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
            doomed = children_with(&child, word);
        }
        assert!(!doomed.is_empty(), "ffmpeg with {word} is at work");
        for id in doomed {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
        }
        let errors = std::thread::spawn(move || lines.map_while(Result::ok).last());
        assert_ne!(wait(&mut child), Some(0), "killed: {word}");
        assert!(
            errors
                .join()
                .unwrap()
                .is_some_and(|line| line.contains("\"error\""))
        );
        // The frames that had been made are kept, where there were any.
        let mut names = place.names();
        names.retain(|name| name != "out.mp4.rife-part");
        assert_eq!((names, processes_of(&place)), (vec!["clip.mp4".to_owned()], 0));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let place = Place::new();
    let mut child = place
        .command(&["models", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(wait(&mut child), Some(0));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "");
}

#[test]
fn a_reader_of_y4m_that_goes_away_is_no_panic() {
    let place = Place::new();
    place.y4m("in.y4m", 30);
    let args = [&["video", "in.y4m", "-o", "-", "--quiet"][..], &RANDOM].concat();
    let mut child = place
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut start = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    assert_eq!(&start, b"YUV4MPEG2 ");
    assert_eq!(wait(&mut child), Some(0));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(!text.contains("panicked"), "{text}");
}

/// Sends a request to a local server and returns the response as text.
#[cfg(target_os = "linux")]
pub(crate) fn ask(address: &str, request: &str, kind: &str, body: &[u8]) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Uploads a clip and starts a video job with it on a local server; returns the job's id.
#[cfg(target_os = "linux")]
pub(crate) fn started(address: &str, clip: &std::path::Path, options: &str) -> String {
    let clip = std::fs::read(clip).unwrap();
    let upload = ask(
        address,
        "POST /api/v1/uploads?name=a.mp4",
        "application/octet-stream",
        &clip,
    );
    let upload = &upload[upload.find("up_").unwrap()..][..27];
    let job = format!(r#"{{"kind": "video", "inputs": [{{"upload": "{upload}"}}], "options": {options}}}"#);
    let job = ask(address, "POST /api/v1/jobs", "application/json", job.as_bytes());
    job[job.find("job_").unwrap()..][..28].to_owned()
}

/// Starts a server on a free port with more options; returns its process and address.
#[cfg(target_os = "linux")]
pub(crate) fn served(place: &Place, options: &[&str], stderr: Stdio) -> (Child, String) {
    let data = place.path("data").display().to_string();
    let mut child = place
        .command(&["serve", "--port", "0", "--data", &data])
        .args(options)
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = said.find_map(|line| {
        line.unwrap()
            .split_once("http://")
            .map(|(_, rest)| rest.to_owned())
    });
    let address = line.unwrap().split(['/', ' ']).next().unwrap().to_owned();
    (child, address)
}

/// A server that is asked to stop in the middle of a job ends at once, well, and without leaving anything behind; the
/// job goes on when it is started again.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_is_stopped_goes_on_with_its_job_later() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 100);
    let (mut child, address) = served(&place, &[], Stdio::null());
    let id = started(&address, &place.path("clip.mp4"), r#"{"factor": 8}"#);
    let state = |address: &str, wanted: &str| {
        let answer = ask(address, &format!("GET /api/v1/jobs/{id}"), "text/plain", b"");
        answer.contains(&format!("\"state\":\"{wanted}\""))
    };
    let until = |address: &str, wanted: &str| {
        let start = Instant::now();
        while !state(address, wanted) {
            assert!(start.elapsed() < Duration::from_secs(120), "never {wanted}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until(&address, "running");
    let term = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(term.unwrap().success());
    assert_eq!(wait(&mut child), Some(0));
    assert_eq!(processes_of(&place), 0);
    let (mut child, address) = served(&place, &[], Stdio::null());
    until(&address, "done");
    let done = ask(&address, &format!("GET /api/v1/jobs/{id}"), "text/plain", b"");
    assert!(
        done.contains("\"frames_out\":800") && done.contains("\"attempts\":2"),
        "{done}"
    );
    let _ = child.kill();
    let _ = child.wait();
}

/// Without ffmpeg nothing can be done: said at the start, by `/health`, and before an upload is taken.
#[cfg(target_os = "linux")]
#[test]
fn a_server_without_ffmpeg_says_so_before_it_takes_anything() {
    let place = Place::new();
    let data = place.path("data").display().to_string();
    let mut child = place
        .command(&["serve", "--port", "0", "--data", &data])
        .env("RIFE_FFMPEG", "/nowhere/ffmpeg")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().trim_start_matches("http://").to_owned();
    let mut told = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut told)
        .unwrap();
    assert!(told.contains("ffmpeg was not found"), "{told}");
    let health = ask(&address, "GET /api/v1/health", "text/plain", b"");
    assert!(
        health.contains("\"ffmpeg\":null") && health.contains("ffmpeg was not found"),
        "{health}"
    );
    for (kind, body) in [
        ("application/octet-stream", &b"12345"[..]),
        ("application/json", br#"{"name": "a.mp4", "size": 5}"#),
    ] {
        let answer = ask(&address, "POST /api/v1/uploads?name=a.mp4", kind, body);
        assert!(
            answer.contains(" 503 ") && answer.contains("no_ffmpeg"),
            "{answer}"
        );
        assert!(!answer.contains("/nowhere"), "{answer}");
    }
    let picture = ask(
        &address,
        "POST /api/v1/uploads?name=a.png",
        "application/octet-stream",
        b"12345",
    );
    assert!(picture.contains(" 201 "), "{picture}");
    child.kill().unwrap();
    child.wait().unwrap();
}
