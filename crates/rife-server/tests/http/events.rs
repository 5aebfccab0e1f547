//! Event streams: end, resumption by `Last-Event-ID`, clients that never read.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::support::{Server, can_run, clip};

/// Parsed event of a stream.
#[derive(Debug)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

/// Opens an event stream.
fn open(server: &Server, path: &str, last: Option<&str>) -> BufReader<TcpStream> {
    let mut stream = server.connect();
    let last: Vec<_> = last.iter().map(|id| ("Last-Event-ID", *id)).collect();
    let head = server.head("GET", &format!("/api/v1{path}"), &last);
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    BufReader::new(stream)
}

/// Reads the next event; `None` at the end of the stream.
fn next(stream: &mut BufReader<TcpStream>) -> Option<Event> {
    let mut event = Event {
        id: String::new(),
        name: String::new(),
        data: Value::Null,
    };
    let mut line = String::new();
    while stream.read_line(&mut line).unwrap_or(0) > 0 {
        match line.trim_end().split_once(": ") {
            Some(("id", id)) => event.id = id.to_owned(),
            Some(("event", name)) => event.name = name.to_owned(),
            Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
            None if line.trim_end().is_empty() && !event.name.is_empty() => return Some(event),
            _ => {}
        }
        line.clear();
    }
    None
}

#[test]
fn a_stream_tells_a_jobs_life_and_resumes() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("a.mp4", &clip(12, "96x64"));
    let mut all = open(&server, "/events", None);
    let id = server.job(&json!({"kind": "video", "inputs": [{"upload": upload}]}));
    let mut stream = open(&server, &format!("/jobs/{id}/events"), None);
    let mut events = Vec::new();
    while let Some(event) = next(&mut stream) {
        events.push(event);
    }
    assert_eq!(events.first().unwrap().name, "job");
    let last = events.last().unwrap();
    assert_eq!(
        (last.name.as_str(), &last.data["state"]),
        ("job", &json!("done")),
        "{events:?}"
    );
    assert!(
        events
            .iter()
            .any(|event| event.name == "progress" && event.data["progress"]["total"] == 24)
    );
    assert!(
        events
            .iter()
            .any(|event| event.data["plan"]["output_frames"] == 24)
    );
    // Those that came after the second event once more, and no other.
    let mut again = open(&server, &format!("/jobs/{id}/events"), Some(&events[1].id));
    let missed: Vec<String> = std::iter::from_fn(|| next(&mut again))
        .map(|event| event.id)
        .collect();
    let expected: Vec<String> = events[2..].iter().map(|event| event.id.clone()).collect();
    assert_eq!(missed, expected);
    // An id of another server's: the present state.
    let mut lost = open(&server, &format!("/jobs/{id}/events"), Some("00000000-3"));
    let state: Vec<Event> = std::iter::from_fn(|| next(&mut lost)).collect();
    assert_eq!((state.len(), &state[0].data["state"]), (1, &json!("done")));
    assert_eq!(server.delete(&format!("/jobs/{id}")).status, 204);
    let gone = std::iter::from_fn(|| next(&mut all))
        .find(|event| event.name == "deleted")
        .unwrap();
    assert_eq!(gone.data["id"], id.as_str());
}

#[test]
fn clients_that_never_read_hold_nobody_up() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let deaf: Vec<_> = (0..200).map(|_| open(&server, "/events", None)).collect();
    let upload = server.upload("a.mp4", &clip(12, "96x64"));
    let id = server.job(&json!({"kind": "video", "inputs": [{"upload": upload}], "options": {"factor": 8}}));
    server.done(&id);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("rife_event_streams 200"), "{metrics}");
    drop(deaf);
}

#[test]
fn the_order_of_the_queue_is_told_whenever_it_changes() {
    if !can_run() {
        return;
    }
    // Nobody works: everything waits.
    let server = Server::with(|config| config.workers = 0);
    let upload = server.upload("a.mp4", &clip(3, "64x48"));
    let mut all = open(&server, "/events", None);
    let request = json!({"kind": "video", "inputs": [{"upload": upload}]});
    let ids: Vec<String> = (0..3).map(|_| server.job(&request)).collect();
    let mut last = open(&server, &format!("/jobs/{}/events", ids[2]), None);
    assert_eq!(next(&mut last).unwrap().data["position"], 3);
    server.post(&format!("/jobs/{}/cancel", ids[0]), &json!({}));
    assert_eq!(server.delete(&format!("/jobs/{}", ids[1])).status, 204);
    let told = |stream: &mut BufReader<TcpStream>, count: usize| -> Vec<Value> {
        let events = std::iter::from_fn(|| next(stream)).filter(|event| event.name == "queue");
        events
            .take(count)
            .map(|event| event.data["jobs"].clone())
            .collect()
    };
    let orders = [
        json!(ids[..1]),
        json!(ids[..2]),
        json!(ids),
        json!(ids[1..]),
        json!(ids[2..]),
    ];
    assert_eq!(told(&mut all, 5), orders);
    assert_eq!(told(&mut last, 2), orders[3..]);
}
