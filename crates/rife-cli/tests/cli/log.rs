//! The log on standard error: levels, text and JSON, ffmpeg's commands, ids of requests and jobs.

#[cfg(target_os = "linux")]
use std::process::Stdio;

#[cfg(target_os = "linux")]
use super::signals::{ask, served, started};
use super::support::{Place, RANDOM, ffmpeg};

/// The lines of the log that have `word`.
fn lines<'a>(said: &'a str, word: &str) -> Vec<&'a str> {
    said.lines().filter(|line| line.contains(word)).collect()
}

#[test]
fn commands_of_ffmpeg_are_logged_when_asked_for() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("it's a clip.mp4", 3);
    let run = |given: &[&str]| {
        let args = ["video", "it's a clip.mp4", "-o", "out.mkv", "--overwrite"];
        let ran = place.rife(&[&args[..], &RANDOM, given].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.err
    };
    assert!(lines(&run(&[]), "ffmpeg started").is_empty());
    assert!(lines(&run(&["-v", "--log-level", "info"]), "started").is_empty());
    let said = run(&["-v"]);
    let commands = lines(&said, "ffmpeg started");
    assert!(commands.len() >= 2, "a decoder and an encoder: {said}");
    for line in &commands {
        assert!(line.contains(" DEBUG ") && line.contains(" pid="), "{line}");
    }
    assert!(
        !lines(&said, "model loaded").is_empty() && !lines(&said, "exit status 0").is_empty(),
        "{said}"
    );
    // What is logged can be run again in a shell.
    let (_, decoder) = commands
        .iter()
        .find(|line| line.contains("it'\\''s a clip.mp4"))
        .unwrap_or_else(|| panic!("{said}"))
        .split_once("command=")
        .unwrap();
    let again = std::process::Command::new("sh")
        .args(["-c", decoder])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert!(again.status.success(), "{decoder}");
    assert!(!again.stdout.is_empty(), "{decoder}");
    let json = run(&["--log-level", "debug", "--log-format", "json"]);
    let events: Vec<serde_json::Value> = json
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let decodes = |event: &&serde_json::Value| {
        event["message"] == "ffmpeg started" && event["command"].as_str().unwrap().contains("clip.mp4")
    };
    let event = events.iter().find(decodes).unwrap_or_else(|| panic!("{json}"));
    assert!(event["level"] == "DEBUG" && event["pid"].is_number(), "{event}");
    let refused = place
        .rife(&["info", "it's a clip.mp4", "--log-level", "loud"])
        .failed(2);
    assert!(refused.contains("loud") && refused.contains("debug"), "{refused}");
}

/// Requests have ids, in their responses and in the log.
#[cfg(target_os = "linux")]
#[test]
fn the_log_of_a_server_has_the_ids_of_requests_and_jobs() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place.clip("clip.mp4", 3);
    let options = ["--log-format", "json", "--log-level", "debug"];
    let log = std::fs::File::create(place.path("log")).unwrap();
    let (mut child, address) = served(&place, &options, Stdio::from(log));
    let answer = ask(
        &address,
        "GET /api/v1/jobs/job_0",
        "text/plain\r\nX-Request-Id: mine-7",
        b"",
    );
    assert!(answer.contains("x-request-id: mine-7\r\n"), "{answer}");
    let answer = ask(
        &address,
        "GET /api/v1/health",
        "text/plain\r\nX-Request-Id: a b",
        b"",
    );
    let given = answer.split("x-request-id: ").nth(1).unwrap();
    assert!(given[..16].bytes().all(|b| b.is_ascii_hexdigit()), "{answer}");
    let id = started(&address, &place.path("clip.mp4"), "{}");
    let state = || ask(&address, &format!("GET /api/v1/jobs/{id}"), "text/plain", b"");
    let start = std::time::Instant::now();
    while !state().contains("\"state\":\"done\"") {
        assert!(start.elapsed().as_secs() < 120, "{}", state());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    let said = std::fs::read_to_string(place.path("log")).unwrap();
    let events: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let one = |found: &dyn Fn(&serde_json::Value) -> bool| {
        let found = events.iter().find(|event| found(event));
        found.unwrap_or_else(|| panic!("{said}"))
    };
    let mine = one(&|event| event["span"]["request"] == "mine-7");
    assert!(
        mine["status"] == 404 && mine["span"]["path"] == "/api/v1/jobs/job_0",
        "{mine}"
    );
    one(&|event| event["span"]["request"] == given[..16]);
    let ended = one(&|event| event["message"] == "ended");
    assert!(
        ended["level"] == "INFO" && ended["state"] == "done" && ended["span"]["job"] == id.as_str(),
        "{ended}"
    );
}
