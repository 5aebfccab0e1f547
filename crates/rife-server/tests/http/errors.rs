//! Malicious paths and bodies: every error has the format of the API and contains nothing about the machine.

use serde_json::json;

use super::support::{Server, can_run, clip, files};

#[test]
fn no_path_parameter_leads_out() {
    let server = Server::start();
    std::fs::write(server.data.join("canary"), "canary").unwrap();
    let id = server.upload("a.mp4", b"12345");
    let long = "a".repeat(4096);
    let parts = [
        "..",
        "..%2f..%2fcanary",
        "%2e%2e%2fcanary",
        "..%5ccanary",
        "%2Fetc%2Fpasswd",
        "C:%5C",
        "%5C%5Chost%5Cshare",
        "%00",
        "%c0%ae%c0%ae",
        ";",
        "canary",
        &long,
        "up_",
        "job_0123456789abcdef01234567",
        "up_%2e%2e",
    ];
    for part in parts {
        for path in [
            format!("/uploads/{part}"),
            format!("/uploads/{part}/content"),
            format!("/uploads/{part}/probe"),
            format!("/jobs/{part}"),
            format!("/jobs/{part}/events"),
            format!("/jobs/{part}/files/{part}"),
            format!("/jobs/job_0123456789abcdef01234567/files/{part}"),
            format!("/uploads/{id}/frames/{part}"),
        ] {
            let answer = server.get(&path);
            assert!(
                answer.status == 404 && !answer.text().contains("canary"),
                "{path}: {}",
                answer.text()
            );
        }
        let page = server.send("GET", &format!("/{part}"), &[], b"");
        assert!(page.status >= 400, "{part}");
    }
}

#[cfg(unix)]
#[test]
fn a_planted_link_is_not_followed() {
    let server = Server::start();
    let id = server.upload("a.mp4", b"12345");
    let stored = files(&server.data.join("uploads")).remove(0);
    std::fs::remove_file(&stored).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &stored).unwrap();
    server
        .get(&format!("/uploads/{id}/content"))
        .refused(404, "not_found");
    server
        .get(&format!("/uploads/{id}/probe"))
        .refused(404, "not_found");
}

#[test]
fn bodies_that_make_no_sense() {
    let server = Server::start();
    let json = [("Content-Type", "application/json")];
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{} {}",
        "{\"kind\": \"video\"}",
        "{\"kind\":\"video\",\"kind\":\"video\",\"inputs\":[]}",
    ] {
        server
            .send("POST", "/api/v1/jobs", &json, body.as_bytes())
            .refused(400, "bad_request");
    }
    let deep = "[".repeat(100_000);
    server
        .send("POST", "/api/v1/jobs", &json, deep.as_bytes())
        .refused(400, "bad_request");
    let large = format!("{{\"kind\":\"{}\"}}", "a".repeat(1 << 20));
    server
        .send("POST", "/api/v1/jobs", &json, large.as_bytes())
        .refused(413, "too_large");
    server
        .post("/jobs", &json!({"kind": "fetch", "inputs": [], "options": {}}))
        .refused(400, "bad_request");
    for reference in [
        json!({"url": "http://127.0.0.1:1/"}),
        json!({"path": "/etc/passwd"}),
        json!("file:///etc/passwd"),
    ] {
        server
            .post("/jobs", &json!({"kind": "video", "inputs": [reference]}))
            .refused(400, "bad_request");
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=1",
        "cursor=c",
        "state=lost",
        "kind=fetch",
    ] {
        server.get(&format!("/jobs?{query}")).refused(400, "bad_request");
    }
}

/// A playlist disguised as a clip: no route that probes it opens the files and URLs in it.
#[test]
fn a_playlist_is_refused_and_calls_nobody() {
    if !rife_testing::ffmpeg() {
        return;
    }
    let server = Server::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}/x.ts", listener.local_addr().unwrap());
    let playlists = [
        format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\n{address}\n#EXT-X-ENDLIST\n"),
        format!("ffconcat version 1.0\nfile {address}\n"),
        "ffconcat version 1.0\nfile /etc/hostname\n".to_owned(),
    ];
    for (playlist, name) in playlists
        .iter()
        .flat_map(|text| [(text, "a.mp4"), (text, "a.m3u8")])
    {
        let id = server.upload(name, playlist.as_bytes());
        let input = json!({"upload": id});
        let request = json!({"kind": "reencode", "inputs": [input]});
        for answer in [
            server.get(&format!("/uploads/{id}/probe")),
            server.get(&format!("/uploads/{id}/frames/1?width=64")),
            server.post("/frames", &json!({"input": input, "frame": 1})),
            server.post("/plans", &request),
            server.post("/jobs", &request),
        ] {
            answer.refused(422, "bad_input");
        }
    }
    let called = listener.accept().map(|_| ()).unwrap_err();
    assert_eq!(called.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn options_are_checked_by_name_and_value() {
    let server = Server::start();
    let id = server.upload("a.mp4", b"no video");
    let cases = [
        ("video", json!({"passes": 5}), "passes"),
        ("video", json!({"factor": 257}), "factor"),
        ("video", json!({"factor": "twice"}), "factor"),
        ("video", json!({"passes": 1, "factor": 2}), "factor"),
        ("video", json!({"fps": 60, "factor": 2}), "fps"),
        ("video", json!({"fps": "60/0"}), "fps"),
        ("video", json!({"fps": 0}), "fps"),
        ("video", json!({"scale": 3}), "scale"),
        ("video", json!({"precision": "f16"}), "precision"),
        ("video", json!({"device": "abacus"}), "device"),
        ("video", json!({"device": "gpu:no such card"}), "device"),
        ("video", json!({"model": "../../etc/passwd"}), "model"),
        ("video", json!({"ext": "html"}), "ext"),
        ("video", json!({"ext": "../x.mp4"}), "ext"),
        ("video", json!({"preset": "slow -f"}), "preset"),
        ("video", json!({"preset": "-vf"}), "preset"),
        ("video", json!({"crf": 64}), "crf"),
        ("video", json!({"cut_threshold": 2}), "cut_threshold"),
        ("video", json!({"stretch_audio": true}), "stretch_audio"),
        ("video", json!({"fctor": 2}), "fctor"),
        ("video", json!({"url": "http://127.0.0.1:1/"}), "url"),
        ("reencode", json!({"profile": "tv"}), "profile"),
        ("reencode", json!({"factor": 2}), "factor"),
        ("images", json!({}), "inputs"),
        ("chain", json!({}), "inputs"),
    ];
    for (kind, options, field) in cases {
        let request = json!({"kind": kind, "inputs": [{"upload": id}], "options": options});
        for route in ["/jobs", "/plans"] {
            let answer = server.post(route, &request);
            answer.refused(422, "invalid_option");
            assert_eq!(answer.json()["error"]["field"], field, "{}", answer.text());
        }
    }
    assert_eq!(server.get("/jobs").json()["items"], json!([]));
}

#[test]
fn a_file_that_is_no_media_is_the_clients_fault() {
    let server = Server::start();
    if !rife_testing::ffmpeg() {
        return;
    }
    let id = server.upload("a.mp4", b"no video");
    server
        .get(&format!("/uploads/{id}/probe"))
        .refused(422, "bad_input");
    server
        .get(&format!("/uploads/{id}/frames/1?width=64"))
        .refused(422, "bad_input");
    let request = json!({"kind": "video", "inputs": [{"upload": id}]});
    for route in ["/plans", "/jobs"] {
        let answer = server.post(route, &request);
        answer.refused(422, "bad_input");
        assert!(answer.text().contains("a.mp4"), "{}", answer.text());
    }
    assert_eq!(server.get("/jobs").json()["items"], json!([]));
}

/// Unusable files of a batch are refused when they are added; the others are processed.
#[test]
fn one_frame_is_no_clip_and_bad_rows_of_a_batch_are_not_queued() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let good = server.upload("good.mp4", &clip(3, "96x64"));
    let one = server.upload("one.mp4", &clip(1, "96x64"));
    let picture = server
        .post("/frames", &json!({"input": {"upload": good}, "frame": 1}))
        .id();
    let cut = clip(8, "96x64");
    let cut = server.upload("cut.mp4", &cut[..cut.len() / 3]);
    let request = |kind: &str, inputs: &[&str]| {
        let inputs: Vec<_> = inputs.iter().map(|id| json!({"upload": id})).collect();
        json!({"kind": kind, "inputs": inputs})
    };
    for (kind, inputs, told) in [
        ("video", &[one.as_str()][..], "single picture"),
        ("video", &[&picture], "single picture"),
        ("video", &[&cut], "cut.mp4"),
        ("images", &[&picture, &good], "good.mp4"),
        ("chain", &[&good, &cut], "cut.mp4"),
    ] {
        for route in ["/plans", "/jobs"] {
            let answer = server.post(route, &request(kind, inputs));
            answer.refused(422, "bad_input");
            assert!(answer.text().contains(told), "{}", answer.text());
        }
    }
    assert_eq!(server.get("/jobs").json()["items"], json!([]));
    assert_eq!(files(&server.data.join("jobs")), Vec::<std::path::PathBuf>::new());
    server.done(&server.job(&request("video", &[&good])));
    server.done(&server.job(&request("reencode", &[&one])));
}
