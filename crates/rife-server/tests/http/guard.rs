//! Access control: `Host`, `Origin`, tokens, sessions and client addresses.

use std::net::{IpAddr, Ipv4Addr};

use rife::media::CancelToken;
use rife_server::{Config, serve};
use serde_json::{Value, json};

use super::support::{Answer, Server};

/// Returns every path of the API, with ids of valid form, and of the page.
fn paths() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(include_str!("../../src/api/openapi.json")).unwrap();
    let mut paths = vec![("GET".into(), "/".into()), ("GET".into(), "/none.js".into())];
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", "job_0123456789abcdef01234567")
            .replace("{name}", "result.mp4")
            .replace("{number}", "1")
            .replace("{index}", "0");
        // An answer to HEAD has no body to tell why it is refused.
        for method in methods
            .as_object()
            .unwrap()
            .keys()
            .filter(|method| *method != "head")
        {
            paths.push((method.to_uppercase(), format!("/api/v1{path}")));
        }
    }
    paths
}

#[test]
fn another_name_or_origin_is_refused_on_every_route() {
    let server = Server::start();
    let (here, paths) = (server.address.to_string(), paths());
    assert!(paths.len() > 25);
    for (method, path) in &paths {
        let hosts = [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:7860",
            "192.168.7.7",
            "",
        ];
        for host in hosts {
            server
                .send(method, path, &[("Host", host)], b"")
                .refused(421, "bad_host");
        }
        let two = [("Host", here.as_str()), ("Host", "evil.example")];
        server.send(method, path, &two, b"").refused(421, "bad_host");
        let forwarded = [("X-Forwarded-Host", "evil.example")];
        server
            .send(method, path, &forwarded, b"")
            .refused(421, "bad_host");
        for origin in ["https://evil.example", "null", "http://127.0.0.1:1", ""] {
            server
                .send(method, path, &[("Origin", origin)], b"")
                .refused(403, "bad_origin");
        }
        server
            .send(method, path, &[("Sec-Fetch-Site", "cross-site")], b"")
            .refused(403, "bad_origin");
    }
    // A form of another site's, whatever it says it is, and also with our cookie.
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
    ] {
        for cookie in ["", "rife_session=0123456789abcdef"] {
            let form = [
                ("Content-Type", kind),
                ("Cookie", cookie),
                ("Sec-Fetch-Site", "same-site"),
            ];
            server
                .send("POST", "/api/v1/uploads?name=a.mp4", &form, b"12345")
                .refused(403, "bad_origin");
        }
    }
    let none = "GET /api/v1/health HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned();
    Answer::parse(&server.raw(none.as_bytes())).refused(421, "bad_host");
    let absolute = format!("GET http://evil.example/ HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n");
    Answer::parse(&server.raw(absolute.as_bytes())).refused(421, "bad_host");
}

#[test]
fn our_own_page_is_let_in_and_links_to_it_are_followed() {
    let server = Server::start();
    let origin = format!("http://{}", server.address);
    let headers = [("Origin", origin.as_str()), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(server.send("GET", "/api/v1/health", &headers, b"").status, 200);
    let link = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    let page = server.send("GET", "/", &link, b"");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'self'")
    );
    assert!(!page.header("content-security-policy").contains("unsafe"));
    server
        .send("GET", "/api/v1/health", &link, b"")
        .refused(403, "bad_origin");
    let localhost = format!("localhost:{}", server.address.port());
    assert_eq!(server.send("GET", "/", &[("Host", &localhost)], b"").status, 200);
}

#[test]
fn a_token_is_shown_in_a_header_or_exchanged_for_a_cookie() {
    let server = Server::with(|config| config.token = Some("open-sesame".into()));
    let paths = paths();
    let guarded = paths.iter().filter(|(_, path)| path.starts_with("/api/"));
    for (index, (method, path)) in guarded.enumerate() {
        if path.ends_with("/health") || path.ends_with("/session") {
            continue;
        }
        // Each from another client, as a proxy tells: many wrong tokens of one have to wait.
        let client = format!("10.0.0.{index}");
        for wrong in [
            &[][..],
            &[
                ("Authorization", "Bearer open-sesam"),
                ("X-Forwarded-For", &client),
            ],
            &[("Cookie", "rife_session=open-sesame")],
        ] {
            server.send(method, path, wrong, b"").refused(401, "unauthorized");
        }
        let query = format!("{path}?token=open-sesame");
        server.send(method, &query, &[], b"").refused(401, "unauthorized");
    }
    let health = server.get("/health").json();
    assert_eq!(
        (&health["auth"], &health["used"]),
        (&json!("token"), &Value::Null)
    );
    let shown = [("Authorization", "Bearer open-sesame")];
    assert_eq!(server.send("GET", "/api/v1/jobs", &shown, b"").status, 200);
    server
        .post("/session", &json!({"token": "wrong"}))
        .refused(401, "unauthorized");
    let opened = server.post("/session", &json!({"token": "open-sesame"}));
    let cookie = opened.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains("open-sesame"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(
        server
            .send("GET", "/api/v1/jobs", &[("Cookie", cookie)], b"")
            .status,
        200
    );
    assert_eq!(
        server.send("GET", "/", &[], b"").status,
        200,
        "the page is public"
    );
    // Another session, and what closing one does: it opens nothing any more, the other does.
    let other = server.post("/session", &json!({"token": "open-sesame"}));
    let other = other.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_ne!(other, cookie);
    let closed = server.send("DELETE", "/api/v1/session", &[("Cookie", cookie)], b"");
    assert!(closed.status == 204 && closed.header("set-cookie").contains("Max-Age=0"));
    let jobs = |cookie: &str| server.send("GET", "/api/v1/jobs", &[("Cookie", cookie)], b"");
    jobs(cookie).refused(401, "unauthorized");
    assert_eq!(jobs(&other).status, 200);
}

#[test]
fn an_open_address_needs_a_token_or_insecure() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: 0,
        ..Config::new(folder.path().into())
    };
    let refused = serve(config, &CancelToken::new(), |_| panic!("it listens")).unwrap_err();
    assert!(refused.to_string().contains("--token"), "{refused}");
    let config = Config {
        token: Some("with space".into()),
        ..Config::new(folder.path().into())
    };
    assert!(serve(config, &CancelToken::new(), |_| panic!("it listens")).is_err());
}

#[test]
fn a_token_that_can_be_guessed_is_refused() {
    for weak in ["a", "1234567", "aaaaaaaaaaaaaaaa", ""] {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            token: Some(weak.into()),
            ..Config::new(folder.path().join("data"))
        };
        let refused = serve(config, &CancelToken::new(), |_| panic!("it listens")).unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains("openssl rand -hex 16") && text.contains("8 characters"),
            "{text}"
        );
        assert!(!folder.path().join("data").exists());
    }
}

/// Tests the rate limit on every route that checks a token; sessions, and other clients of a proxy, are not limited.
#[test]
fn wrong_tokens_in_a_row_have_to_wait() {
    let server = Server::with(|config| config.token = Some("open-sesame".into()));
    let opened = server.post("/session", &json!({"token": "open-sesame"}));
    let cookie = opened.header("set-cookie").split(';').next().unwrap().to_owned();
    let jobs = |headers: &[(&str, &str)]| server.send("GET", "/api/v1/jobs", headers, b"");
    let mut statuses: Vec<u16> = (0..41)
        .map(|index| jobs(&[("Authorization", &format!("Bearer wrong-{index}"))]).status)
        .collect();
    statuses.dedup();
    assert_eq!(statuses, [401, 429]);
    let right = ("Authorization", "Bearer open-sesame");
    let waits = jobs(&[right]);
    waits.refused(429, "too_many");
    assert!(
        (1..=10).contains(&waits.header("retry-after").parse().unwrap()),
        "{waits:?}"
    );
    server
        .post("/session", &json!({"token": "open-sesame"}))
        .refused(429, "too_many");
    let health = server.send("GET", "/api/v1/health", &[right], b"");
    assert_eq!((health.status, &health.json()["used"]), (200, &Value::Null));
    assert_eq!(jobs(&[("Cookie", &cookie)]).status, 200);
    jobs(&[]).refused(401, "unauthorized");
    assert_eq!(
        jobs(&[right, ("X-Forwarded-For", "1.2.3.4, 10.0.0.9")]).status,
        200
    );
}

#[test]
fn odd_methods_and_framing_are_refused() {
    let server = Server::start();
    for method in ["TRACE", "PATCH", "OPTIONS", "BREW"] {
        server
            .send(method, "/api/v1/jobs", &[], b"")
            .refused(405, "method_not_allowed");
    }
    assert!(
        server
            .send("OPTIONS", "/api/v1/jobs", &[], b"")
            .header("access-control-allow-origin")
            .is_empty()
    );
    let old = String::from_utf8_lossy(&server.raw(b"GET /\r\n\r\n")).into_owned();
    assert!(!old.contains("200"), "{old}");
    // Two framings: what follows the body is not taken for a request.
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         GET /api/v1/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        server.address
    );
    let answer = String::from_utf8_lossy(&server.raw(head.as_bytes())).into_owned();
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    let upgrade = [("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")];
    assert_eq!(
        server.send("GET", "/api/v1/health", &upgrade, b"").status,
        200,
        "h2c is not offered"
    );
}
