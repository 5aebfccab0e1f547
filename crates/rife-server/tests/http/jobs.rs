//! Jobs of every kind from upload to result; cancellation, retry, full queue, restart.

use serde_json::{Value, json};

use super::support::{Server, can_run, clip};

/// Creates a job that runs longer than any test unless cancelled, and returns its id.
fn endless(server: &Server) -> String {
    let id = server.upload("clip.mp4", &clip(60, "192x128"));
    server.job(&json!({"kind": "video", "inputs": [{"upload": id}], "options": {"factor": 256}}))
}

fn probe(server: &Server, job: &str, file: &str) -> Value {
    let answer = server.get(&format!("/jobs/{job}/files/{file}/probe"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_clip_becomes_smoother() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let content = clip(10, "96x64");
    let upload = server.upload("My%20clip.mp4", &content);
    let info = server.get(&format!("/uploads/{upload}/probe")).json();
    assert_eq!(
        (&info["frames"], &info["rate"], &info["width"]),
        (&json!(10), &json!("25"), &json!(96))
    );
    let request = json!({"kind": "video", "inputs": [{"upload": upload}], "options": {"passes": 1}});
    let plan = server.post("/plans", &request).json();
    assert_eq!(
        (&plan["output_frames"], &plan["output_rate"]),
        (&json!(20), &json!("50"))
    );
    assert!(plan["memory_bytes"].as_u64().unwrap() > 1_000_000 && plan["estimated_s"].is_number());
    let id = server.job(&request);
    // The job has its own copy of what it needs.
    assert_eq!(server.delete(&format!("/uploads/{upload}")).status, 204);
    let job = server.done(&id);
    assert_eq!(
        (&job["summary"]["frames_out"], &job["attempts"]),
        (&json!(20), &json!(1)),
        "{job}"
    );
    assert_eq!(job["files"][0]["label"], "My clip_2X_50fps.mp4");
    assert_eq!(probe(&server, &id, "result.mp4")["frames"], 20);
    let file = server.get(&format!("/jobs/{id}/files/result.mp4?download=1"));
    assert_eq!((file.status, file.header("content-type")), (200, "video/mp4"));
    assert!(
        file.header("content-disposition")
            .starts_with("attachment; filename=\"My clip_2X_50fps.mp4\"")
    );
    assert_eq!(file.body.len() as u64, job["files"][0]["bytes"].as_u64().unwrap());
    assert_eq!(server.get(&format!("/jobs/{id}/inputs/0")).body, content);
    server
        .get(&format!("/jobs/{id}/files/other.mp4"))
        .refused(404, "not_found");
    server
        .get(&format!("/jobs/{id}/preview"))
        .refused(404, "no_preview");
    // A result is another job's input.
    let again = json!({"kind": "reencode", "inputs": [{"job": id, "file": "result.mp4"}], "options": {"profile": "latentsync"}});
    let second = server.job(&again);
    assert_eq!(server.delete(&format!("/jobs/{id}")).status, 204);
    server.done(&second);
    assert_eq!(probe(&server, &second, "result.mp4")["rate"], "25");
}

#[test]
fn confidence_comes_beside_the_result() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("a.mp4", &clip(6, "96x64"));
    let request = json!({"kind": "video", "inputs": [{"upload": upload}], "options": {"confidence": true}});
    let id = server.job(&request);
    let job = server.done(&id);
    let names: Vec<_> = job["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["name"])
        .collect();
    assert_eq!(names, ["result.mp4", "confidence.json"]);
    assert_eq!(job["files"][0]["label"], "a_2X_50fps.mp4");
    let file = server.get(&format!("/jobs/{id}/files/confidence.json"));
    assert_eq!(file.header("content-type"), "application/json");
    let frames = file.json();
    let frames = frames.as_array().unwrap();
    assert_eq!(frames.len() as u64, job["summary"]["made"].as_u64().unwrap());
    for (index, frame) in frames.iter().enumerate() {
        let (time, confidence) = (
            frame["time"].as_f64().unwrap(),
            frame["confidence"].as_f64().unwrap(),
        );
        assert!((time - (0.02 + 0.04 * index as f64)).abs() < 1e-9, "{frame}");
        assert!((0.0..=1.0).contains(&confidence), "{frame}");
    }
}

#[test]
fn frames_of_clips_become_morphs_and_chains() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("a.mp4", &clip(8, "96x64"));
    let thumbnail = server.get(&format!("/uploads/{upload}/frames/8?width=48"));
    assert_eq!(
        (thumbnail.status, thumbnail.header("content-type")),
        (200, "image/jpeg")
    );
    for (width, size) in [(48, [48, 32]), (40, [40, 27]), (95, [95, 63]), (1000, [96, 64])] {
        let made = server.get(&format!("/uploads/{upload}/frames/1?width={width}"));
        let made = image::load_from_memory(&made.body).unwrap();
        assert_eq!([made.width(), made.height()], size, "{width}");
    }
    server
        .get(&format!("/uploads/{upload}/frames/9?width=48"))
        .refused(422, "no_frame");
    server
        .get(&format!("/uploads/{upload}/frames/0?width=48"))
        .refused(422, "no_frame");
    server
        .get(&format!("/uploads/{upload}/frames/1?width=9"))
        .refused(400, "bad_request");
    let frame = |number: u32| {
        let kept = server.post("/frames", &json!({"input": {"upload": upload}, "frame": number}));
        assert_eq!(kept.status, 201, "{}", kept.text());
        json!({"upload": kept.id()})
    };
    let pictures = [frame(1), frame(8)];
    let job = |kind: &str, inputs: &[Value], options: Value| {
        let id = server.job(&json!({"kind": kind, "inputs": inputs, "options": options}));
        (server.done(&id), id)
    };
    let (_, morph) = job("images", &pictures, json!({"passes": 2}));
    assert_eq!(probe(&server, &morph, "result.mp4")["frames"], 5);
    // A loop has the way back to the first picture, without that picture again.
    let (looped, circle) = job("images", &pictures, json!({"passes": 2, "loop": true}));
    assert_eq!(probe(&server, &circle, "result.mp4")["frames"], 8);
    assert_eq!(looped["summary"]["made"], 6);
    let (folder, _) = job("images", &pictures, json!({"passes": 1, "ext": "png"}));
    let names: Vec<_> = folder["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["name"])
        .collect();
    assert_eq!(names, ["img0.png", "img1.png", "img2.png"]);
    let (one, id) = job("images", &pictures, json!({"timestep": 0.5, "ext": "png"}));
    assert_eq!(
        (
            &one["files"][0]["media_type"],
            probe(&server, &id, "result.png")["kind"].clone()
        ),
        (&json!("image/png"), json!("image"))
    );
    let clips = [
        json!({"upload": upload}),
        json!({"job": morph, "file": "result.mp4"}),
    ];
    let (chain, id) = job("chain", &clips, json!({"passes": 1}));
    assert_eq!(chain["summary"]["clips"], 2);
    assert!(probe(&server, &id, "result.mp4")["frames"].as_u64().unwrap() >= 12);
}

#[test]
fn jobs_are_cancelled_in_any_state_and_tried_again() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let (running, waiting) = (endless(&server), endless(&server));
    server.wait(&running, |job| job["progress"]["preview"].is_number());
    assert_eq!(server.get(&format!("/jobs/{waiting}")).json()["position"], 1);
    let preview = server.get(&format!("/jobs/{running}/preview"));
    assert_eq!(
        (preview.status, preview.header("content-type")),
        (200, "image/jpeg")
    );
    for id in [&waiting, &running] {
        for _ in 0..2 {
            assert_eq!(server.post(&format!("/jobs/{id}/cancel"), &json!({})).status, 200);
        }
        server.wait(id, |job| job["state"] == "cancelled");
    }
    let again = server.post(&format!("/jobs/{running}/retry"), &json!({}));
    assert_eq!(again.status, 200);
    server
        .post(&format!("/jobs/{running}/retry"), &json!({}))
        .refused(409, "busy");
    let job = server.wait(&running, |job| job["progress"]["preview"].is_number());
    assert_eq!(job["attempts"], 2);
    assert_eq!(server.delete(&format!("/jobs/{running}")).status, 204);
    server.get(&format!("/jobs/{running}")).refused(404, "not_found");
    assert!(!server.data.join("jobs").join(&running).exists());
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    if !can_run() {
        return;
    }
    let server = Server::with(|config| config.queue_limit = 3);
    let first = endless(&server);
    server.wait(&first, |job| job["state"] == "running");
    let upload = server.upload("clip.mp4", &clip(3, "96x64"));
    let request = json!({"kind": "video", "inputs": [{"upload": upload}]});
    let answers: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| server.post("/jobs", &request)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!(
        (
            answers.iter().filter(|answer| answer.status == 201).count(),
            refused.len()
        ),
        (3, 97)
    );
    assert!(
        refused
            .iter()
            .all(|answer| answer.code() == "queue_full" && answer.header("retry-after") == "30")
    );
    assert_eq!(
        server.get("/jobs?state=running").json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let folders = std::fs::read_dir(server.data.join("jobs")).unwrap().count();
    assert_eq!(folders, 4, "a refused job leaves nothing");
    // Queued ones run in the order in which they came.
    server.post(&format!("/jobs/{first}/cancel"), &json!({}));
    let listed = server.get("/jobs?limit=200").json();
    let newest_first = listed["items"].as_array().unwrap();
    let queue: Vec<&str> = newest_first
        .iter()
        .rev()
        .map(|job| job["id"].as_str().unwrap())
        .collect();
    assert_eq!((queue.len(), queue[0]), (4, first.as_str()));
    let times = |name: &str| -> Vec<String> {
        let job = |id: &&str| server.get(&format!("/jobs/{id}")).json();
        let text = |job: Value| job[name].as_str().unwrap().to_owned();
        queue.iter().map(job).map(text).collect()
    };
    queue[1..].iter().for_each(|id| {
        server.done(id);
    });
    let (started, finished) = (times("started_at"), times("finished_at"));
    assert!(started.is_sorted(), "{started:?}");
    // One worker: none begins before the one before it has ended.
    let one_by_one = started[1..].iter().zip(&finished);
    one_by_one.for_each(|(start, end)| assert!(start >= end, "{started:?} {finished:?}"));
}

#[test]
fn what_a_stopped_server_leaves_is_gone_on_with() {
    if !can_run() {
        return;
    }
    let mut server = Server::start();
    let (long, other) = (clip(400, "96x64"), clip(20, "96x64"));
    let inputs = [server.upload("a.mp4", &long), server.upload("b.mp4", &other)];
    let inputs = inputs.map(|id| json!({"upload": id}));
    let chain = server.job(&json!({"kind": "chain", "inputs": inputs, "options": {"fps": 50}}));
    let waiting = server.job(&json!({"kind": "reencode", "inputs": [inputs[1]], "options": {"force": true}}));
    // Past the first piece that is kept.
    server.wait(&chain, |job| job["progress"]["done"].as_u64() > Some(300));
    server = server.again();
    let job = server.done(&chain);
    assert_eq!(
        (&job["attempts"], &job["resumed"]),
        (&json!(2), &json!(true)),
        "{job}"
    );
    // 420 frames at twice the rate, and three in the transition.
    assert_eq!(job["summary"]["frames_out"], 843, "{job}");
    assert!(job["summary"]["made"].as_u64() < Some(300), "{job}");
    assert_eq!(probe(&server, &chain, "result.mp4")["frames"], 843);
    let job = server.done(&waiting);
    assert_eq!((&job["attempts"], &job["resumed"]), (&json!(1), &json!(false)));
}

#[test]
fn images_that_a_stopped_server_leaves_are_resumed() {
    if !can_run() {
        return;
    }
    let mut server = Server::start();
    let upload = server.upload("clip.mp4", &clip(12, "96x64"));
    let pictures: Vec<Value> = (1..=12)
        .map(|frame| {
            let body = json!({"input": {"upload": upload}, "frame": frame});
            json!({"upload": server.post("/frames", &body).id()})
        })
        .collect();
    let options = json!({"passes": 6, "ext": "png"});
    let id = server.job(&json!({"kind": "images", "inputs": pictures, "options": options}));
    server.wait(&id, |job| job["progress"]["done"].as_u64() > Some(100));
    server = server.again();
    let job = server.done(&id);
    assert_eq!(
        (&job["attempts"], &job["resumed"]),
        (&json!(2), &json!(true)),
        "{job}"
    );
    let summary = &job["summary"];
    assert_eq!(summary["frames_out"], 11 * 64 + 1, "{job}");
    assert!(summary["resumed"].as_u64() > Some(100), "{job}");
    assert_eq!(job["files"].as_array().unwrap().len(), 11 * 64 + 1);
}

#[test]
fn pages_are_stable_while_jobs_come() {
    let server = Server::start();
    let ids: Vec<String> = (0..7)
        .map(|index| server.upload(&format!("{index}.bin"), b"x"))
        .collect();
    let first = server.get("/uploads?limit=3").json();
    let newest = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(newest(&first), [&ids[6], &ids[5], &ids[4]].map(String::clone));
    server.upload("later.bin", b"x");
    let next = first["next"].as_str().unwrap();
    let second = server.get(&format!("/uploads?limit=3&cursor={next}")).json();
    assert_eq!(newest(&second), [&ids[3], &ids[2], &ids[1]].map(String::clone));
    let next = second["next"].as_str().unwrap();
    let last = server.get(&format!("/uploads?limit=3&cursor={next}")).json();
    assert_eq!(
        (newest(&last), &last["next"]),
        (vec![ids[0].clone()], &Value::Null)
    );
}
