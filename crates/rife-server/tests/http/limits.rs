//! Limits: slow clients, connections, quota, free space, retention, shutdown.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{Server, can_run, clip, files};

#[test]
fn slow_heads_and_bodies_are_given_up_and_others_served() {
    let server = Server::with(|config| config.client_timeout = Duration::from_millis(600));
    let mut heads: Vec<_> = (0..200).map(|_| server.connect()).collect();
    heads
        .iter_mut()
        .for_each(|head| head.write_all(b"GET / HT").unwrap());
    let head = server.head(
        "POST",
        "/api/v1/uploads?name=a.mp4",
        &[
            ("Content-Type", "application/octet-stream"),
            ("Content-Length", "1000"),
        ],
    );
    let mut body = server.connect();
    body.write_all(format!("{head}\r\nabc").as_bytes()).unwrap();
    let start = Instant::now();
    assert_eq!(server.get("/health").status, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "others wait");
    let mut answer = String::new();
    let _ = body.read_to_string(&mut answer);
    assert!(
        answer.contains("408") && answer.contains("\"timeout\""),
        "{answer}"
    );
    for mut head in heads {
        let _ = head.read_to_end(&mut Vec::new());
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(files(&server.data.join("uploads")).is_empty());
}

/// One client holds as many connections as it can open, half of them with an incomplete request.
#[cfg(unix)]
#[test]
fn idle_connections_shut_nobody_out() {
    let server = Server::start();
    // Once the server is up this process may have as many files as the system allows it.
    let mut held = Vec::new();
    for index in 0..2500 {
        let Ok(mut stream) = std::net::TcpStream::connect(server.address) else {
            break;
        };
        if index % 2 == 0 {
            let _ = stream.write_all(b"GET / HT");
        }
        held.push(stream);
    }
    println!("{} connections are held", held.len());
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(server.get("/health").status, 200);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let server = Server::start();
    let long = "a".repeat(1 << 20);
    let answer = server.raw(format!("{}X-Long: {long}\r\n\r\n", server.head("GET", "/", &[])).as_bytes());
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    let many: String = (0..10_000).map(|index| format!("X-{index}: 1\r\n")).collect();
    let answer = server.raw(format!("{}{many}\r\n", server.head("GET", "/", &[])).as_bytes());
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[test]
fn what_is_old_goes_and_what_runs_stays() {
    let short = Duration::from_millis(700);
    let server = Server::with(|config| (config.retention, config.upload_idle) = (short, short));
    let whole = server.upload("a.bin", b"x");
    let part = server
        .post("/uploads", &json!({"name": "b.bin", "size": 10}))
        .id();
    assert_eq!(server.get(&format!("/uploads/{whole}")).status, 200);
    let start = Instant::now();
    while server.get(&format!("/uploads/{part}")).status == 200
        || server.get(&format!("/uploads/{whole}")).status == 200
    {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(files(&server.data.join("uploads")).is_empty());
    if !can_run() {
        return;
    }
    let upload = server.upload("a.mp4", &clip(60, "192x128"));
    let id =
        server.job(&json!({"kind": "video", "inputs": [{"upload": upload}], "options": {"factor": 256}}));
    server.wait(&id, |job| job["state"] == "running");
    std::thread::sleep(short * 3);
    assert_eq!(server.get(&format!("/jobs/{id}")).json()["state"], "running");
    server.post(&format!("/jobs/{id}/cancel"), &json!({}));
    let start = Instant::now();
    // Its files go after its row.
    while server.get(&format!("/jobs/{id}")).status == 200 || !files(&server.data.join("jobs")).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_job_does_not_outgrow_the_quota() {
    if !can_run() {
        return;
    }
    let content = clip(60, "192x128");
    let quota = content.len() as u64 + 300_000;
    let server = Server::with(|config| config.quota = quota);
    let upload = server.upload("a.mp4", &content);
    let options = json!({"factor": 256, "ext": "mkv", "codec": "ffv1"});
    let id = server.job(&json!({"kind": "video", "inputs": [{"upload": upload}], "options": options}));
    let job = server.wait(&id, |job| job["state"] == "failed");
    assert_eq!(job["error"]["code"], "quota", "{job}");
}

#[test]
fn the_folder_is_used_by_one_server_and_by_nobody_else() {
    let server = Server::start();
    let config = rife_server::Config {
        port: 0,
        ..rife_server::Config::new(server.data.clone())
    };
    let second = rife_server::serve(config, &rife::media::CancelToken::new(), |_| panic!("it serves"));
    assert!(second.unwrap_err().to_string().contains("another rife serve"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            server.data.metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
}

#[test]
fn a_listing_of_ten_thousand_is_quick() {
    let server = Server::start();
    drop_in(&server, 10_000);
    for path in ["/uploads", "/jobs", "/jobs?state=done&kind=video"] {
        // The best of a few: the machine has other work too.
        let times = (0..5).map(|_| {
            let start = Instant::now();
            let page = server.get(path).json();
            assert_eq!(page["items"].as_array().unwrap().len(), 50);
            assert!(page["next"].is_string());
            start.elapsed()
        });
        let best = times.min().unwrap();
        assert!(best < Duration::from_millis(100), "{path}: {best:?}");
    }
}

#[test]
fn a_disk_that_is_nearly_full_takes_nothing_more() {
    let server = Server::with(|config| config.free_space = u64::MAX / 2);
    let upload = json!({"name": "a.mp4", "size": 10});
    server.post("/uploads", &upload).refused(507, "quota");
    let bytes = [("Content-Type", "application/octet-stream")];
    server
        .send("POST", "/api/v1/uploads?name=a.mp4", &bytes, b"12345")
        .refused(507, "quota");
    assert!(files(&server.data.join("uploads")).is_empty());
}

/// Adds `count` rows of uploads and of finished jobs.
fn drop_in(server: &Server, count: usize) {
    let mut database = rusqlite::Connection::open(server.data.join("rife.db")).unwrap();
    let change = database.transaction().unwrap();
    for index in 0..count {
        change
            .execute(
                "INSERT INTO uploads (id, name, extension, size, complete, created_at, touched_at)
                 VALUES (?1, 'a.mp4', 'mp4', 1, 1, 0, 9999999999999)",
                [format!("up_{index:024x}")],
            )
            .unwrap();
        change
            .execute(
                "INSERT INTO jobs (id, kind, state, label, inputs, options, created_at, finished_at, files)
                 VALUES (?1, 'video', 'done', 'a.mp4', '[]', '{}', 0, 9999999999999, '[]')",
                [format!("job_{index:024x}")],
            )
            .unwrap();
    }
    change.commit().unwrap();
}

#[test]
fn a_picture_that_claims_more_memory_than_there_is_does_not_end_the_server() {
    let server = Server::start();
    let attribute = |name: &str, kind: &str, value: &[u8]| {
        let mut out = [name.as_bytes(), b"\0", kind.as_bytes(), b"\0"].concat();
        out.extend((value.len() as i32).to_le_bytes());
        out.extend(value);
        out
    };
    let window = |right: i32, bottom: i32| -> Vec<u8> {
        [0, 0, right, bottom]
            .iter()
            .flat_map(|v: &i32| v.to_le_bytes())
            .collect()
    };
    // An EXR that shows 64 by 64 pixels of a data window a thousand million wide.
    let mut channels = Vec::new();
    for name in [b"B", b"G", b"R"] {
        channels.extend([name.as_slice(), b"\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0"].concat());
    }
    channels.push(0);
    let mut exr = b"\x76\x2f\x31\x01\x02\0\0\0".to_vec();
    exr.extend(attribute("channels", "chlist", &channels));
    exr.extend(attribute("compression", "compression", &[3]));
    exr.extend(attribute("dataWindow", "box2i", &window(1_000_000_000, 15)));
    exr.extend(attribute("displayWindow", "box2i", &window(63, 63)));
    exr.extend(attribute("lineOrder", "lineOrder", &[0]));
    exr.extend(attribute("pixelAspectRatio", "float", &1_f32.to_le_bytes()));
    exr.extend(attribute("screenWindowCenter", "v2f", &[0; 8]));
    exr.extend(attribute("screenWindowWidth", "float", &1_f32.to_le_bytes()));
    exr.push(0);
    exr.extend([0; 64]);
    for name in ["a.exr", "b.png", "c.bin"] {
        let upload = server.upload(name, &exr);
        let answer = server.get(&format!("/uploads/{upload}/probe"));
        assert!((400..500).contains(&answer.status), "{}", answer.text());
        assert!(answer.text().contains("data window"), "{}", answer.text());
        let request =
            json!({"kind": "images", "inputs": [{"upload": upload}, {"upload": upload}], "options": {}});
        let refused = server.post("/jobs", &request);
        refused.refused(422, "bad_input");
        assert!(refused.text().contains("data window"), "{}", refused.text());
    }
    assert_eq!(server.get("/health").status, 200);
}
