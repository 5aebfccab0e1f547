//! Uploads: in a single request, by ranges, interrupted, too large, with malicious names.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{Answer, Server, files};

const BYTES: (&str, &str) = ("Content-Type", "application/octet-stream");

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 % 251) as u8).collect()
}

#[test]
fn an_upload_by_ranges_goes_on_where_it_was() {
    let (server, content) = (Server::start(), content(100_000));
    let id = server
        .post("/uploads", &json!({"name": "a.mp4", "size": content.len()}))
        .id();
    let path = format!("/api/v1/uploads/{id}");
    let put = |from: usize, to: usize| {
        let range = format!("bytes {from}-{}/{}", to - 1, content.len());
        server.send(
            "PUT",
            &path,
            &[BYTES, ("Content-Range", &range)],
            &content[from..to],
        )
    };
    assert_eq!(put(0, 30_000).json()["received"], 30_000);
    let wrong = put(40_000, 50_000);
    wrong.refused(409, "upload_offset");
    assert_eq!(wrong.json()["error"]["received"], 30_000);
    server
        .get(&format!("/uploads/{id}/content"))
        .refused(409, "upload_incomplete");
    assert_eq!(put(30_000, 60_000).json()["state"], "receiving");
    // Without a range: the rest.
    let rest = server.send("PUT", &path, &[BYTES], &content[60_000..]);
    assert_eq!(
        (rest.status, rest.json()["state"].clone()),
        (200, json!("complete"))
    );
    assert_eq!(server.get(&format!("/uploads/{id}/content")).body, content);
    put(0, 10).refused(409, "upload_offset");
}

#[test]
fn what_came_before_a_broken_connection_is_kept_in_ranges_and_not_in_one_go() {
    let server = Server::start();
    let id = server
        .post("/uploads", &json!({"name": "a.mp4", "size": 90_000}))
        .id();
    let third = |path: &str, method: &str| {
        let head = server.head(method, path, &[BYTES, ("Content-Length", "90000")]);
        let mut stream = server.connect();
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        stream.write_all(&content(30_000)).unwrap();
        stream.flush().unwrap();
        std::thread::sleep(Duration::from_millis(200));
    };
    third(&format!("/api/v1/uploads/{id}"), "PUT");
    let start = Instant::now();
    while server.get(&format!("/uploads/{id}")).json()["received"] != 30_000 {
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(50));
    }
    // It may take a moment until the broken connection is known to be broken.
    while server.delete(&format!("/uploads/{id}")).status != 204 {
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(50));
    }
    third("/api/v1/uploads?name=a.mp4", "POST");
    while !files(&server.data.join("uploads")).is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "a partial file is left"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.get("/uploads").json()["items"], json!([]));
}

#[test]
fn limits_hold_before_and_while_bytes_come() {
    let server = Server::with(|config| (config.max_upload, config.quota) = (50_000, 80_000));
    server
        .post("/uploads", &json!({"name": "a", "size": 50_001}))
        .refused(413, "too_large");
    server
        .post("/uploads", &json!({"name": "a", "size": 0}))
        .refused(400, "bad_request");
    // Refused by its length, without a byte of it having been sent.
    let head = server.head("POST", "/api/v1/uploads", &[BYTES, ("Content-Length", "50001")]);
    let answer = String::from_utf8_lossy(&server.raw(format!("{head}\r\n").as_bytes())).into_owned();
    assert!(answer.contains("413") && answer.contains("too_large"), "{answer}");
    // Of unknown length: refused when it has come too far.
    let head = server.head(
        "POST",
        "/api/v1/uploads",
        &[BYTES, ("Transfer-Encoding", "chunked")],
    );
    let mut request = format!("{head}\r\n").into_bytes();
    for _ in 0..60 {
        request.extend(b"400\r\n");
        request.extend([0; 1024]);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let answer = String::from_utf8_lossy(&server.raw(&request)).into_owned();
    assert!(answer.contains("too_large"), "{answer}");
    // What has been promised counts.
    let first = server
        .post("/uploads", &json!({"name": "a", "size": 50_000}))
        .id();
    server
        .post("/uploads", &json!({"name": "b", "size": 40_000}))
        .refused(507, "quota");
    assert_eq!(server.delete(&format!("/uploads/{first}")).status, 204);
    assert_eq!(
        server
            .post("/uploads", &json!({"name": "b", "size": 40_000}))
            .status,
        201
    );
}

#[test]
fn no_name_becomes_a_path() {
    let server = Server::start();
    let names = [
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e",
        "..\\..\\x.mp4",
        "C:%5Cx.mp4",
        "%5C%5Chost%5Cshare",
        "a%00b.mp4",
        ".",
        "",
        "%3Cimg%20src=x%20onerror=alert(1)%3E.html",
        "a%0Ab%1B[2J.mp4",
        "x.mp4",
        "x.mp4",
    ];
    for name in names {
        let id = server.upload(name, b"12345");
        let upload = server.get(&format!("/uploads/{id}")).json();
        let label = upload["name"].as_str().unwrap();
        assert!(
            !label.contains(['/', '\\', '\0', '\n', '\x1b']) && !label.is_empty(),
            "{label:?}"
        );
        let content = server.get(&format!("/uploads/{id}/content?download=1"));
        assert!(
            content
                .header("content-disposition")
                .starts_with("attachment; filename=\"")
        );
        assert_eq!(content.header("x-content-type-options"), "nosniff");
        assert!(!content.header("content-type").contains("html"));
    }
    let stored = files(&server.data);
    let inside = |path: &std::path::PathBuf| path.starts_with(&server.data);
    assert!(stored.iter().all(inside));
    assert_eq!(
        stored
            .iter()
            .filter(|path| path.starts_with(server.data.join("uploads")))
            .count(),
        names.len()
    );
}

#[test]
fn bodies_of_another_type_are_refused() {
    let server = Server::start();
    for kind in [
        "text/plain",
        "multipart/mixed; boundary=x",
        "application/x-www-form-urlencoded",
    ] {
        let answer = server.send("POST", "/api/v1/uploads", &[("Content-Type", kind)], b"{}");
        answer.refused(415, "unsupported_type");
    }
    server
        .post(
            "/uploads",
            &json!({"name": "a", "size": 1, "url": "http://127.0.0.1:1/"}),
        )
        .refused(400, "bad_request");
    server
        .post("/uploads", &json!({"name": "a", "size": -1}))
        .refused(400, "bad_request");
}

#[test]
fn an_empty_file_is_refused_however_it_comes() {
    let server = Server::start();
    let empty = server.send("POST", "/api/v1/uploads?name=a.mp4", &[BYTES], b"");
    empty.refused(400, "bad_request");
    assert!(empty.text().contains("empty"), "{}", empty.text());
    let chunked = format!(
        "{}Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        server.head("POST", "/api/v1/uploads?name=a.mp4", &[])
    );
    Answer::parse(&server.raw(chunked.as_bytes())).refused(400, "bad_request");
    server
        .post("/uploads", &json!({"name": "a.mp4", "size": 0}))
        .refused(400, "bad_request");
    assert_eq!(server.get("/uploads").json()["items"], json!([]));
    assert!(files(&server.data.join("uploads")).is_empty());
}

#[test]
fn ranges_of_a_file() {
    let (server, content) = (Server::start(), content(10_000));
    let id = server.upload("a.mp4", &content);
    let path = format!("/api/v1/uploads/{id}/content");
    let get = |range: &str| server.send("GET", &path, &[("Range", range)], b"");
    let part = get("bytes=100-199");
    assert_eq!(
        (part.status, part.header("content-range")),
        (206, "bytes 100-199/10000")
    );
    assert_eq!(part.body, content[100..200]);
    assert_eq!(get("bytes=-5").body, content[9995..]);
    assert_eq!(get("bytes=9990-99999").body, content[9990..]);
    // A suffix that is longer than the file is the file, and numbers beyond all files are its end.
    for (range, from) in [
        ("bytes=-10001", 0),
        ("bytes=-99999999999999999999999", 0),
        ("bytes=0-99999999999999999999999", 0),
        ("BYTES=9000-10000", 9000),
    ] {
        let answer = get(range);
        assert_eq!(
            (answer.status, answer.body.len()),
            (206, 10_000 - from),
            "{range}"
        );
        assert_eq!(answer.header("content-range"), format!("bytes {from}-9999/10000"));
    }
    get("bytes=10000-").refused(416, "range");
    get("bytes=-0").refused(416, "range");
    get("bytes=200-100").refused(416, "range");
    let many = format!("bytes={}", vec!["0-1"; 10_000].join(","));
    assert_eq!(
        get(&many).body.len(),
        10_000,
        "many ranges are answered by the whole"
    );
    let whole = server.send("GET", &path, &[], b"");
    assert_eq!((whole.status, whole.header("accept-ranges")), (200, "bytes"));
    let tag = whole.header("etag").to_owned();
    let fresh = server.send("GET", &path, &[("Range", "bytes=0-1"), ("If-Range", &tag)], b"");
    assert_eq!(fresh.status, 206);
    // A unit that is not known is no range at all.
    assert_eq!(get("lines=1-2").status, 200);
    let stale = server.send(
        "GET",
        &path,
        &[("Range", "bytes=0-1"), ("If-Range", "\"other\"")],
        b"",
    );
    assert_eq!(stale.status, 200);
    let head = server.send("HEAD", &path, &[], b"");
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, "10000", 0)
    );
}

/// A client with the current version of a file gets 304.
#[test]
fn what_a_client_has_is_not_sent_again() {
    let (server, content) = (Server::start(), content(10_000));
    let id = server.upload("a.mp4", &content);
    let path = format!("/api/v1/uploads/{id}/content");
    let get = |headers: &[(&str, &str)]| server.send("GET", &path, headers, b"");
    let whole = get(&[]);
    let (tag, date) = (
        whole.header("etag").to_owned(),
        whole.header("last-modified").to_owned(),
    );
    assert!(tag.len() > 4 && date.ends_with("GMT"), "{tag} {date}");
    let weak = format!("W/{tag}");
    let list = format!("\"other\", {tag}");
    let before = ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT");
    for known in [
        &[("If-None-Match", tag.as_str())][..],
        &[("If-None-Match", &weak)],
        &[("If-None-Match", &list)],
        &[("If-None-Match", "*")],
        &[("If-None-Match", &tag), ("Range", "bytes=0-9")],
        &[("If-None-Match", &tag), before],
        &[("If-Modified-Since", &date)],
    ] {
        let answer = get(known);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{known:?}");
        assert!(known[0].0 == "If-Modified-Since" || answer.header("etag") == tag);
    }
    for other in [
        &[("If-None-Match", "\"other\"")][..],
        &[("If-None-Match", "\"o\""), ("If-Modified-Since", &date)],
    ] {
        assert_eq!(get(other).body.len(), 10_000, "{other:?}");
    }
    let part = |known: &str| get(&[("Range", "bytes=0-1"), ("If-Range", known)]).status;
    assert_eq!(
        (
            part(&tag),
            part(&date),
            part(&weak),
            part("Thu, 01 Jan 1970 00:00:00 GMT")
        ),
        (206, 206, 200, 200)
    );
    let page = server.send("GET", "/", &[], b"");
    let fresh = server.send(
        "GET",
        "/",
        &[("If-None-Match", &format!("W/{}", page.header("etag")))],
        b"",
    );
    assert_eq!(fresh.status, 304);
}

#[test]
fn a_slow_reader_holds_nobody_up_and_keeps_what_is_deleted_under_it() {
    use std::io::Read;
    let (server, content) = (Server::start(), content(40 << 20));
    let id = server.upload("a.mp4", &content);
    // More than sockets hold between them, and more of them than the server has threads for files.
    let head = server.head("GET", &format!("/api/v1/uploads/{id}/content"), &[]);
    let mut slow: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
    }
    let start = Instant::now();
    assert_eq!(server.get(&format!("/uploads/{id}")).status, 200);
    assert_eq!(server.delete(&format!("/uploads/{id}")).status, 204);
    assert!(start.elapsed() < Duration::from_secs(2), "others wait");
    server
        .get(&format!("/uploads/{id}/content"))
        .refused(404, "not_found");
    let mut rest = Vec::new();
    slow[0].read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&content[content.len() - 1000..]));
    assert!(files(&server.data.join("uploads")).is_empty());
}

#[test]
fn a_form_brings_its_one_file() {
    let server = Server::start();
    let send = |parts: &[(&str, &[u8])]| {
        let mut body = Vec::new();
        for (head, bytes) in parts {
            body.extend(format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
            body.extend(*bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--XX--\r\n");
        let headers = [("Content-Type", "multipart/form-data; boundary=XX")];
        server.send("POST", "/api/v1/uploads", &headers, &body)
    };
    let file = "name=\"file\"; filename=\"my clip.mp4\"";
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let answer = send(&[("name=\"note\"", b"hello"), (file, &bytes)]);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let upload = answer.json();
    assert_eq!(
        (&upload["name"], &upload["state"]),
        (&json!("my clip.mp4"), &json!("complete"))
    );
    assert_eq!(upload["size"], bytes.len());
    let content = server.get(&format!("/uploads/{}/content", answer.id()));
    assert_eq!(content.body, bytes);
    // Nothing is lost without a word, and nothing is left of what is refused.
    send(&[(file, b"one"), (file, b"two")]).refused(400, "bad_request");
    send(&[("name=\"note\"", b"hello")]).refused(400, "bad_request");
    let headers = [("Content-Type", "multipart/form-data")];
    server
        .send("POST", "/api/v1/uploads", &headers, b"--XX--")
        .refused(400, "bad_request");
    let cut = b"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.mp4\"\r\n\r\nhalf";
    let headers = [("Content-Type", "multipart/form-data; boundary=XX")];
    server
        .send("POST", "/api/v1/uploads", &headers, cut)
        .refused(400, "bad_request");
    assert_eq!(
        server.get("/uploads").json()["items"].as_array().unwrap().len(),
        1
    );
}
