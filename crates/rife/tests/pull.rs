//! Download of checkpoints from a real HTTP server: complete, interrupted and resumed, changed, too large, refused.

#![cfg(feature = "download")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use rife::media::CancelToken;
use rife::models::{Download, LOCK_FILE, Lock, Pulled, download, installed};
use rife::{Error, Result};

/// Behaviour of the server for the next requests.
#[derive(Default)]
struct Script {
    content: Vec<u8>,
    /// How many bytes each of the next responses sends before the connection breaks.
    breaks: Vec<usize>,
    /// The status of every response, when not 200 or 206.
    status: Option<u16>,
    /// Whether it sends the length, an ETag, and understands ranges.
    plain: bool,
    /// The ranges that were asked for.
    ranges: Vec<Option<usize>>,
}

#[derive(Clone)]
struct Server {
    script: Arc<Mutex<Script>>,
    url: String,
}

impl Server {
    fn start(content: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/models/net.safetensors", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script {
            content: content.to_vec(),
            ..Script::default()
        }));
        let shared = script.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(&stream, &shared);
            }
        });
        Self { script, url }
    }

    fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    fn wanted(&self) -> Download {
        Download::parse(&self.url).unwrap()
    }
}

fn serve(mut stream: &TcpStream, script: &Mutex<Script>) -> std::io::Result<()> {
    let (mut range, mut same) = (None, None);
    for line in BufReader::new(stream).lines() {
        let line = line?.to_ascii_lowercase();
        if let Some(from) = line.strip_prefix("range: bytes=") {
            range = from.trim_end_matches('-').parse::<usize>().ok();
        }
        same = line.strip_prefix("if-range: ").map(str::to_owned).or(same);
        if line.is_empty() {
            break;
        }
    }
    let mut script = script.lock().unwrap();
    script.ranges.push(range);
    let tag = format!(
        "\"{}\"",
        script.content.iter().map(|byte| u64::from(*byte)).sum::<u64>()
    );
    let start = range
        .filter(|_| !script.plain && same.is_none_or(|same| same == tag))
        .unwrap_or(0);
    let status = script.status.unwrap_or(if start > 0 { 206 } else { 200 });
    let body = script.content[start.min(script.content.len())..].to_vec();
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    if !script.plain {
        head += &format!("Content-Length: {}\r\nETag: {tag}\r\n", body.len());
    }
    if status == 206 {
        let end = script.content.len();
        head += &format!("Content-Range: bytes {start}-{}/{end}\r\n", end - 1);
    }
    let send = if script.breaks.is_empty() {
        body.len()
    } else {
        script.breaks.remove(0).min(body.len())
    };
    stream.write_all((head + "\r\n").as_bytes())?;
    stream.write_all(&body[..send])
}

fn pull(folder: &Path, wanted: &Download) -> Result<Pulled> {
    download(folder, wanted, &|_| Ok(()), &mut |_, _| {}, &CancelToken::new())
}

fn content() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i * 7 % 251) as u8).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_pulled_pinned_and_found_again() {
    let (server, folder) = (Server::start(&content()), tempfile::tempdir().unwrap());
    let pulled = pull(folder.path(), &server.wanted()).unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), content());
    assert_eq!(
        names(folder.path()),
        [LOCK_FILE, "net.safetensors"],
        "no part is left"
    );
    assert_eq!(
        Lock::read(folder.path()).unwrap().models["net"].sha256,
        pulled.sha256
    );
    assert_eq!(installed(folder.path(), "net").unwrap(), pulled.path);
    let again = pull(folder.path(), &server.wanted()).unwrap();
    assert!(again.unchanged);
    assert_eq!(
        server.script.lock().unwrap().ranges.len(),
        1,
        "nothing was fetched twice"
    );
}

#[test]
fn a_broken_transfer_goes_on_where_it_stopped() {
    let (server, folder) = (Server::start(&content()), tempfile::tempdir().unwrap());
    server.set(|script| script.breaks = vec![100_000, 50_000]);
    let pulled = pull(folder.path(), &server.wanted()).unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), content());
    let ranges = server.script.lock().unwrap().ranges.clone();
    assert_eq!(ranges, [None, Some(100_000), Some(150_000)]);
}

#[test]
fn a_later_call_goes_on_and_a_changed_file_starts_afresh() {
    for changed in [false, true] {
        let (server, folder) = (Server::start(&content()), tempfile::tempdir().unwrap());
        server.set(|script| script.breaks = vec![100_000, 0, 0, 0]);
        let error = pull(folder.path(), &server.wanted()).unwrap_err();
        assert!(error.to_string().contains("100000 bytes"), "{error}");
        server.set(|script| script.content[0] += u8::from(changed));
        let pulled = pull(folder.path(), &server.wanted()).unwrap();
        let script = server.script.lock().unwrap();
        assert_eq!(script.ranges.last(), Some(&Some(100_000)));
        assert_eq!(
            std::fs::read(&pulled.path).unwrap(),
            script.content,
            "old and new are not mixed"
        );
    }
}

#[test]
fn a_server_without_lengths_and_ranges_serves_too() {
    let (server, folder) = (Server::start(&content()), tempfile::tempdir().unwrap());
    server.set(|script| script.plain = true);
    let pulled = pull(folder.path(), &server.wanted()).unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), content());
}

#[test]
fn too_many_bytes_are_refused_before_and_while_they_come() {
    for plain in [false, true] {
        let (server, folder) = (Server::start(&content()), tempfile::tempdir().unwrap());
        server.set(|script| script.plain = plain);
        let mut wanted = server.wanted();
        wanted.max_bytes = 200_000;
        let error = pull(folder.path(), &wanted).unwrap_err();
        assert!(error.to_string().contains("200000"), "{error}");
        assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
    }
}

#[test]
fn a_changed_hash_is_refused_and_the_old_file_stays() {
    let (server, folder) = (Server::start(&content()), tempfile::tempdir().unwrap());
    let pulled = pull(folder.path(), &server.wanted()).unwrap();
    std::fs::write(&pulled.path, b"tampered").unwrap();
    assert!(matches!(
        installed(folder.path(), "net"),
        Err(Error::HashChanged { .. })
    ));
    server.set(|script| script.content[5] ^= 1);
    let error = pull(folder.path(), &server.wanted()).unwrap_err();
    assert!(matches!(error, Error::HashChanged { .. }), "{error}");
    assert_eq!(
        std::fs::read(&pulled.path).unwrap(),
        b"tampered",
        "the refused file did not take its place"
    );
    let Error::HashChanged { found, .. } = error else {
        unreachable!()
    };
    let mut trusted = server.wanted();
    trusted.sha256 = Some(found.clone());
    assert_eq!(pull(folder.path(), &trusted).unwrap().sha256, found);
}

#[test]
fn what_cannot_be_fetched_says_why() {
    let (server, folder) = (Server::start(b""), tempfile::tempdir().unwrap());
    server.set(|script| script.status = Some(404));
    let error = pull(folder.path(), &server.wanted()).unwrap_err().to_string();
    assert!(error.contains("404") && error.contains(&server.url), "{error}");
    let mut plain = server.wanted();
    plain.url = "http://example.com/net.pkl".into();
    assert!(
        pull(folder.path(), &plain)
            .unwrap_err()
            .to_string()
            .contains("https")
    );
    assert!(
        Download::parse("4.999")
            .unwrap_err()
            .to_string()
            .contains("4.25.lite")
    );
    assert!(Download::parse("https://example.com/..").is_err());
}

#[test]
fn a_file_that_is_not_accepted_is_not_kept() {
    let (server, folder) = (
        Server::start(b"<html>no such page</html>"),
        tempfile::tempdir().unwrap(),
    );
    let refuse = |_: &Path| Err(Error::NoModel("it is no network".into()));
    let result = download(
        folder.path(),
        &server.wanted(),
        &refuse,
        &mut |_, _| {},
        &CancelToken::new(),
    );
    assert!(matches!(result, Err(Error::NoModel(_))));
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_cancelled_pull_can_be_taken_up() {
    let (server, folder) = (Server::start(&content()), tempfile::tempdir().unwrap());
    let cancel = CancelToken::new();
    let stop = |have: u64, _: Option<u64>| {
        if have > 0 {
            cancel.cancel()
        }
    };
    let result = download(
        folder.path(),
        &server.wanted(),
        &|_| Ok(()),
        &mut { stop },
        &cancel,
    );
    assert!(matches!(result, Err(Error::Cancelled)));
    assert!(pull(folder.path(), &server.wanted()).is_ok());
    assert!(server.script.lock().unwrap().ranges[1].is_some_and(|from| from > 0));
}
