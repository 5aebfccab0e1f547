//! Test fixtures: a server in this process, a raw HTTP client, and small clips.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rife::media::CancelToken;
use rife_server::{Config, serve};
use rife_testing::Need;
use serde_json::Value;
use tempfile::TempDir;

/// Running server, stopped on drop.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    folder: Option<TempDir>,
    stop: CancelToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(tempfile::tempdir().unwrap(), change)
    }

    /// Stops the server and starts a new one on the same folder.
    pub(crate) fn again(self) -> Self {
        self.again_after(|_| {})
    }

    /// Stops the server, calls a function with the folder, and starts a new server on it.
    pub(crate) fn again_after(mut self, change: impl FnOnce(&Path)) -> Self {
        self.end();
        change(&self.data);
        Self::over(self.folder.take().unwrap(), |_| {})
    }

    /// Stops the server and returns the error with which a new one fails to start on the folder.
    pub(crate) fn refused_after(mut self, change: impl FnOnce(&Path)) -> String {
        self.end();
        change(&self.data);
        refusal(&self.data)
    }

    /// Opens the server's database.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.data.join("rife.db")).unwrap()
    }

    fn over(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let data = folder.path().canonicalize().unwrap().join("data");
        let mut server = Self::on(data, change);
        server.folder = Some(folder);
        server
    }

    /// Starts a server on a given folder.
    pub(crate) fn on(data: PathBuf, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(data.clone());
        config.port = 0;
        config.free_space = 1 << 20;
        change(&mut config);
        let stop = CancelToken::new();
        let (ready, address) = mpsc::channel();
        let cancel = stop.clone();
        let thread = std::thread::spawn(move || {
            serve(config, &cancel, move |address| ready.send(address).unwrap()).unwrap();
        });
        Self {
            address: address.recv_timeout(Duration::from_secs(20)).unwrap(),
            data,
            folder: None,
            stop,
            thread: Some(thread),
        }
    }

    fn end(&mut self) {
        self.stop.cancel();
        let _ = self.thread.take().map(JoinHandle::join);
    }

    /// Sends `bytes` on a new connection and reads until it is closed.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Formats the head of a request, with the server's `Host` unless another is given.
    pub(crate) fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head
    }

    /// Sends a request and returns its response; asserts that no response contains a path of this machine.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut bytes = self.head(method, path, headers).into_bytes();
        if !body.is_empty() || matches!(method, "POST" | "PUT") {
            bytes.extend(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        let answer = Answer::parse(&self.raw(&bytes));
        self.check(&answer);
        answer
    }

    fn check(&self, answer: &Answer) {
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains(&*self.data.to_string_lossy()), "{text}");
        if answer.status >= 400 {
            let error = &answer.json()["error"];
            assert!(
                error["code"].is_string() && error["message"].is_string(),
                "{text}"
            );
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", &format!("/api/v1{path}"), &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("Content-Type", "application/json")];
        self.send(
            "POST",
            &format!("/api/v1{path}"),
            &headers,
            body.to_string().as_bytes(),
        )
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", &format!("/api/v1{path}"), &[], b"")
    }

    /// Uploads `bytes` in a single request and returns the id.
    pub(crate) fn upload(&self, name: &str, bytes: &[u8]) -> String {
        let headers = [("Content-Type", "application/octet-stream")];
        let answer = self.send("POST", &format!("/api/v1/uploads?name={name}"), &headers, bytes);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.id()
    }

    /// Creates a job and returns its id.
    pub(crate) fn job(&self, request: &Value) -> String {
        let answer = self.post("/jobs", request);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.id()
    }

    /// Waits until `wanted` accepts the state of a job, and returns the job.
    pub(crate) fn wait(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let job = self.get(&format!("/jobs/{id}")).json();
            if wanted(&job) {
                return job;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "{job}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Waits for the end of a job, and returns the job.
    pub(crate) fn done(&self, id: &str) -> Value {
        let job = self.wait(id, |job| {
            !matches!(job["state"].as_str(), Some("queued" | "running"))
        });
        assert_eq!(job["state"], "done", "{job}");
        job
    }
}

/// Returns the error with which a server fails to start on a folder.
pub(crate) fn refusal(data: &Path) -> String {
    let config = Config {
        port: 0,
        ..Config::new(data.to_owned())
    };
    let served = serve(config, &CancelToken::new(), |_| panic!("it serves"));
    served.unwrap_err().to_string()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Parsed response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let body = bytes[end + 4..].to_vec();
        let chunked = headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if chunked { unchunk(&body) } else { body };
        Self {
            status,
            headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Asserts that the response is an API error with this code.
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{}",
            self.text()
        );
    }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        let rest = &body[end + 2..];
        whole.extend(&rest[..length.min(rest.len())]);
        body = rest.get(length + 2..).unwrap_or_default();
    }
    whole
}

/// Reports whether ffmpeg and a network are available; prints why a test is skipped.
pub(crate) fn can_run() -> bool {
    let built_in = rife::nets::default_weights().is_some();
    rife_testing::ffmpeg() && Need::Weights.is_met(built_in, "no network is built in")
}

/// Renders a moving clip with audio.
pub(crate) fn clip(frames: u32, size: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let video = format!("testsrc2=size={size}:rate=25");
    let seconds = format!("{:.3}", f64::from(frames) / 25.0);
    let done = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            &video,
            "-f",
            "lavfi",
            "-i",
            "sine=440:sample_rate=16000",
        ])
        .args([
            "-t",
            &seconds,
            "-frames:v",
            &frames.to_string(),
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
        ])
        .args(["-pix_fmt", "yuv420p", "-c:a", "aac"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(done.success());
    std::fs::read(path).unwrap()
}

/// Returns all files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            path => vec![path],
        })
        .collect()
}
