//! What an editor does with jobs: change the order of the queue and pause it, save presets, get all results as one archive,
//! look at cuts and repeated frames, verify results, and measure quality.

use std::io::{Cursor, Read};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Answer, Server, can_run, clip};

fn put(server: &Server, path: &str, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json")];
    server.send(
        "PUT",
        &format!("/api/v1{path}"),
        &headers,
        body.to_string().as_bytes(),
    )
}

#[test]
fn a_paused_queue_keeps_its_order_and_goes_on_with_it() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    assert_eq!(server.get("/queue").json(), json!({"jobs": [], "paused": false}));
    assert_eq!(
        put(&server, "/queue", &json!({"paused": true})).json()["paused"],
        true
    );
    let upload = server.upload("a.mp4", &clip(4, "64x48"));
    let request = json!({"kind": "video", "inputs": [{"upload": upload}], "options": {}});
    let [first, second, third] = [(); 3].map(|()| server.job(&request));
    let moved = put(
        &server,
        "/queue",
        &json!({"jobs": [third, "job_000000000000000000000000", second]}),
    );
    assert_eq!(moved.json()["jobs"], json!([third, second, first]));
    assert_eq!(server.get(&format!("/jobs/{second}")).json()["position"], 2);
    for (body, code) in [
        (json!({"jobs": ["../x"]}), "bad_request"),
        (json!({"jobs": 1}), "bad_request"),
        (json!({"order": []}), "bad_request"),
    ] {
        put(&server, "/queue", &body).refused(400, code);
    }
    // Order and pause outlast a restart.
    let server = server.again();
    std::thread::sleep(Duration::from_millis(700));
    let state = server.get("/queue").json();
    assert_eq!(state, json!({"jobs": [third, second, first], "paused": true}));
    assert_eq!(put(&server, "/queue", &json!({"paused": false})).status, 200);
    let started =
        [third, second, first].map(|id| server.done(&id)["started_at"].as_str().unwrap().to_owned());
    assert!(started.is_sorted(), "{started:?}");
}

#[test]
fn a_running_job_waits_while_the_queue_is_paused() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("a.mp4", &clip(50, "192x128"));
    let id = server.job(&json!({"kind": "video", "inputs": [{"upload": upload}], "options": {"factor": 16}}));
    let done = |job: &Value| job["progress"]["done"].as_u64().unwrap_or(0);
    server.wait(&id, |job| done(job) > 0);
    put(&server, "/queue", &json!({"paused": true}));
    // The frame that is being made is still finished.
    std::thread::sleep(Duration::from_millis(600));
    let before = done(&server.get(&format!("/jobs/{id}")).json());
    std::thread::sleep(Duration::from_millis(900));
    let job = server.get(&format!("/jobs/{id}")).json();
    assert_eq!((done(&job), &job["state"]), (before, &json!("running")));
    put(&server, "/queue", &json!({"paused": false}));
    server.wait(&id, |job| done(job) > before);
    // It can be cancelled while it waits.
    put(&server, "/queue", &json!({"paused": true}));
    server.post(&format!("/jobs/{id}/cancel"), &json!({}));
    server.wait(&id, |job| job["state"] == "cancelled");
}

#[test]
fn presets_are_saved_listed_replaced_and_deleted() {
    let server = Server::start();
    assert_eq!(server.get("/presets").json(), json!({"items": []}));
    let anime = json!({"kind": "video", "options": {"factor": 3, "duplicates": "smooth"}});
    let saved = put(&server, "/presets/Anime%20on%20twos", &anime);
    let wanted =
        json!({"name": "Anime on twos", "kind": "video", "options": {"factor": 3, "duplicates": "smooth"}});
    assert_eq!((saved.status, saved.json()), (200, wanted));
    put(
        &server,
        "/presets/Anime%20on%20twos",
        &json!({"kind": "video", "options": {"factor": 4}}),
    );
    put(&server, "/presets/A", &json!({"kind": "reencode"}));
    let server = server.again();
    let items = server.get("/presets").json()["items"].clone();
    assert_eq!(
        (items[0]["name"].as_str(), items[1]["options"]["factor"].as_u64()),
        (Some("A"), Some(4))
    );
    put(
        &server,
        "/presets/B",
        &json!({"kind": "video", "options": {"factory": 2}}),
    )
    .refused(422, "invalid_option");
    put(
        &server,
        "/presets/B",
        &json!({"kind": "video", "options": {"crf": null}}),
    )
    .refused(422, "invalid_option");
    put(&server, "/presets/%20", &json!({"kind": "video"})).refused(400, "bad_request");
    put(
        &server,
        &format!("/presets/{}", "a".repeat(61)),
        &json!({"kind": "video"}),
    )
    .refused(400, "bad_request");
    put(&server, "/presets/B", &json!({"kind": "film"})).refused(400, "bad_request");
    assert_eq!(server.delete("/presets/A").status, 204);
    server.delete("/presets/A").refused(404, "not_found");
}

/// Renders a clip of two shots, the second of which shows every picture twice.
fn two_shots() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let graph = "testsrc2=size=192x128:rate=25:duration=1[a];mandelbrot=size=192x128:rate=12.5,trim=duration=1.6,fps=25,\
                 setpts=PTS-STARTPTS[b];[a][b]concat=unsafe=1,format=yuv420p";
    let done = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-filter_complex",
            graph,
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-crf",
            "10",
        ])
        .arg(&path)
        .status()
        .unwrap();
    assert!(done.success());
    std::fs::read(path).unwrap()
}

#[test]
fn cuts_repeated_frames_quality_and_checks_of_a_clip_are_told() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("two%20shots.mp4", &two_shots());
    let analysis = server.get(&format!("/uploads/{upload}/analysis")).json();
    assert_eq!(
        analysis["cuts"],
        json!([{"frame": 25, "time_s": 1.0}]),
        "{analysis}"
    );
    assert_eq!(analysis["frames"], 65);
    let repeated = &analysis["repeated"][0];
    assert_eq!(repeated["pattern"], "on twos", "{analysis}");
    assert!(repeated["from_s"].as_f64().unwrap() >= 1.0 && repeated["held"].as_u64().unwrap() > 10);
    // A list of cuts replaces detection: none at 25, one at 10.
    let input = json!([{"upload": upload}]);
    let options =
        json!({"cut_list": "10, 0:00:01.2", "end": 1.5, "fallback": "blend", "fallback_below": 0.2});
    let id = server.job(&json!({"kind": "video", "inputs": input, "options": options}));
    let job = server.done(&id);
    assert_eq!(job["summary"]["cuts"], 2, "{job}");
    for (options, field) in [
        (json!({"cut_list": "10", "cut_threshold": 0.3}), "cut_list"),
        (json!({"fallback_below": 0.2}), "fallback_below"),
    ] {
        let refused = server.post(
            "/plans",
            &json!({"kind": "video", "inputs": input, "options": options}),
        );
        refused.refused(422, "invalid_option");
        assert_eq!(refused.json()["error"]["field"], field);
    }
    server
        .post(
            "/plans",
            &json!({"kind": "video", "inputs": input, "options": {"cut_list": "ten"}}),
        )
        .refused(422, "invalid_option");
    // The result has a manifest, which is not listed.
    let path = format!("/jobs/{id}/files/result.mp4");
    let verified = server.get(&format!("{path}/verification")).json();
    assert_eq!(
        (&verified["right"], &verified["manifest"]),
        (&json!(true), &json!(true)),
        "{verified}"
    );
    assert_eq!(job["files"].as_array().unwrap().len(), 1);
    let stored = server.data.join("jobs").join(&id).join("out/result.mp4");
    let mut bytes = std::fs::read(&stored).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    std::fs::write(&stored, bytes).unwrap();
    let verified = server.get(&format!("{path}/verification")).json();
    assert_eq!(verified["right"], false, "{verified}");
    // Quality of the same clip.
    let id = server.job(&json!({"kind": "report", "inputs": input}));
    let job = server.done(&id);
    let labels: Vec<_> = job["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["two shots_report.html", "report.json", "worst.json"]);
    let report = server.get(&format!("/jobs/{id}/files/report.json")).json();
    assert_eq!(report["clip"], "two shots.mp4");
    assert_eq!(
        json!(report["frames"].as_array().unwrap().len()),
        job["summary"]["measured"]
    );
    let worst = server.get(&format!("/jobs/{id}/files/worst.json")).json();
    assert!(
        worst[0]["network"]
            .as_str()
            .unwrap()
            .starts_with("data:image/jpeg;base64,")
    );
    let page = server.get(&format!("/jobs/{id}/files/report.html"));
    assert!(
        page.header("content-disposition").starts_with("attachment"),
        "{:?}",
        page.headers
    );
    assert_eq!(page.header("content-type"), "application/octet-stream");
    archive(&server, &id);
}

/// Gets the results of the report `report` and of two jobs of one label as an archive.
fn archive(server: &Server, report: &str) {
    let upload = server.upload("a.mp4", &clip(4, "64x48"));
    let request = json!({"kind": "reencode", "inputs": [{"upload": upload}], "options": {"force": true}});
    let [first, second] = [(); 2].map(|()| server.job(&request));
    server.done(&first);
    server.done(&second);
    let answer = server.get(&format!("/files.zip?jobs={first},{report},{second}"));
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/zip")
    );
    let mut found = zip::ZipArchive::new(Cursor::new(&answer.body)).unwrap();
    let names: Vec<String> = found.file_names().map(str::to_owned).collect();
    let wanted = [
        "a_reencoded.mp4",
        "two shots/two shots_report.html",
        "two shots/report.json",
        "two shots/worst.json",
        "a_reencoded (2).mp4",
    ];
    assert_eq!(names, wanted);
    let mut bytes = Vec::new();
    found
        .by_name("a_reencoded.mp4")
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, server.get(&format!("/jobs/{first}/files/result.mp4")).body);
    for wrong in ["", "jobs=", "jobs=x", "jobs=job_1,,"] {
        server
            .get(&format!("/files.zip?{wrong}"))
            .refused(400, "bad_request");
    }
    server
        .get("/files.zip?jobs=job_000000000000000000000000")
        .refused(404, "not_found");
}

#[test]
fn files_of_allowed_folders_are_used_without_an_upload_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("incoming");
    std::fs::create_dir_all(root.join("day 1")).unwrap();
    std::fs::write(root.join("day 1/b.mp4"), b"0123").unwrap();
    for (name, content) in [
        ("a.png", "x"),
        (".hidden.png", "x"),
        ("notes.txt", "x"),
        ("empty.png", ""),
    ] {
        std::fs::write(root.join(name), content).unwrap();
    }
    std::fs::write(folder.path().join("secret.png"), "secret").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret.png"), root.join("link.png")).unwrap();
    let server = Server::with(|config| config.folders = vec![root.clone()]);
    assert_eq!(
        server.get("/folders").json(),
        json!({"items": [{"index": 0, "name": "incoming"}]})
    );
    let listed = server.get("/folders/0").json();
    assert_eq!(listed["folders"], json!(["day 1"]));
    assert_eq!(
        listed["files"],
        json!([{"name": "a.png", "bytes": 1}, {"name": "empty.png", "bytes": 0}])
    );
    assert_eq!(
        server.get("/folders/0?path=day%201").json()["files"][0]["name"],
        "b.mp4"
    );
    let taken = server.post("/folders/0", &json!({"path": "a.png"}));
    assert_eq!(
        (taken.status, &taken.json()["state"], &taken.json()["size"]),
        (201, &json!("complete"), &json!(1))
    );
    assert_eq!(server.get(&format!("/uploads/{}/content", taken.id())).body, b"x");
    // Deleting the upload leaves the file.
    assert_eq!(server.delete(&format!("/uploads/{}", taken.id())).status, 204);
    assert!(root.join("a.png").exists());
    for path in ["../secret.png", "/etc/passwd", "day 1/../../secret.png"] {
        server
            .post("/folders/0", &json!({"path": path}))
            .refused(400, "bad_request");
    }
    for path in ["link.png", "none.png", "day 1", ""] {
        server
            .post("/folders/0", &json!({"path": path}))
            .refused(404, "not_found");
    }
    server
        .post("/folders/0", &json!({"path": "empty.png"}))
        .refused(400, "bad_request");
    server.get("/folders/1").refused(404, "not_found");
    server.get("/folders/0?path=..").refused(400, "bad_request");
    let none = Server::start();
    assert_eq!(none.get("/folders").json(), json!({"items": []}));
    none.get("/folders/0").refused(404, "not_found");
}

/// Renders an AVI file and returns its first half.
fn half_an_avi() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.avi");
    let done = std::process::Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=64x48:rate=25",
            "-t",
            "2",
        ])
        .args(["-c:v", "mjpeg"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(done.success());
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(bytes.len() / 2);
    bytes
}

#[test]
fn warnings_and_values_of_verifications_have_codes() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("half.avi", &half_an_avi());
    let id = server.job(&json!({"kind": "video", "inputs": [{"upload": upload}], "options": {"ext": "mp4"}}));
    let job = server.done(&id);
    let warnings = job["summary"]["warnings"].as_array().unwrap();
    let cut_off = warnings
        .iter()
        .find(|one| one["params"]["cause"]["code"] == "cut_off");
    let cut_off = cut_off.unwrap_or_else(|| panic!("{warnings:?}"));
    assert_eq!(
        (&cut_off["code"], &cut_off["params"]["name"]),
        (&json!("of_file"), &json!("half.avi"))
    );
    assert!(warnings.iter().all(|one| one["code"] != "other"), "{warnings:?}");
    let verified = server
        .get(&format!("/jobs/{id}/files/result.mp4/verification"))
        .json();
    let checks = verified["checks"].as_array().unwrap();
    let check = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(
        (
            &check("order")["expected"]["code"],
            &check("order")["found"]["code"]
        ),
        (&json!("times_rise"), &json!("so_it_is"))
    );
    let frames = &check("frames")["found"];
    assert_eq!(
        (&frames["code"], &frames["message"]),
        (&json!("other"), &json!(job["summary"]["frames_out"].to_string()))
    );
}
