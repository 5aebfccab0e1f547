//! API features that the page depends on: frames by time, order of the queue, errors and notes with codes, distinct names of
//! results.

use std::process::Command;

use serde_json::{Value, json};

use super::support::{Server, can_run, clip};

/// Renders a clip of variable rate: red for 8 frames, then blue with three times the frame duration.
fn two_colours() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    let filter = "color=red:size=96x64:rate=25:duration=0.32[a];color=blue:size=96x64:rate=25:duration=0.32[b];\
                  [a][b]concat,setpts='if(lt(N,8),N,8+3*(N-8))/25/TB'";
    let done = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            filter,
            "-fps_mode",
            "passthrough",
        ])
        .args(["-c:v", "ffv1", "-pix_fmt", "yuv444p"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(done.success());
    std::fs::read(path).unwrap()
}

/// Reports whether the middle pixel of a picture is blue.
fn is_blue(bytes: &[u8]) -> bool {
    let image = image::load_from_memory(bytes).unwrap().to_rgb8();
    let pixel = image.get_pixel(image.width() / 2, image.height() / 2);
    pixel[2] > 150 && pixel[0] < 100
}

#[test]
fn the_frame_of_a_time_is_that_of_the_source_by_its_own_clock() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("two.mkv", &two_colours());
    let id = server.job(&json!({"kind": "reencode", "inputs": [{"upload": upload}]}));
    server.done(&id);
    let input = format!("/jobs/{id}/inputs/0");
    for (time, blue) in [
        ("0", false),
        ("0.3", false),
        ("0.32", true),
        ("1.2", true),
        ("1000", true),
    ] {
        for of in [
            input.clone(),
            format!("/uploads/{upload}"),
            format!("/jobs/{id}/files/result.mp4"),
        ] {
            let answer = server.get(&format!("{of}/frames/at?time_s={time}&width=64"));
            assert_eq!(answer.header("content-type"), "image/jpeg", "{}", answer.text());
            assert_eq!(is_blue(&answer.body), blue, "{of} at {time}");
        }
    }
    assert!(is_blue(&server.get(&format!("{input}/frames/9")).body));
    let probe = server.get(&format!("{input}/probe")).json();
    assert_eq!((&probe["width"], &probe["kind"]), (&json!(96), &json!("video")));
    for wrong in ["time_s=-1", "time_s=NaN", "time_s=x", "width=64"] {
        let answer = server.get(&format!("{input}/frames/at?{wrong}"));
        answer.refused(400, "bad_request");
    }
    server
        .get(&format!("/jobs/{id}/inputs/1/frames/at?time_s=0"))
        .refused(404, "not_found");
}

#[test]
fn results_of_several_settings_have_names_of_their_own() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("a.mp4", &clip(3, "64x48"));
    let label = |options: Value| {
        let id = server.job(&json!({"kind": "video", "inputs": [{"upload": upload}], "options": options}));
        server.done(&id)["files"][0]["label"].as_str().unwrap().to_owned()
    };
    assert_eq!(label(json!({})), "a_2X_50fps.mp4");
    assert_eq!(label(json!({"crf": 30})), "a_2X_50fps (2).mp4");
    assert_eq!(label(json!({"mask_static": "off"})), "a_2X_50fps (3).mp4");
    assert_eq!(label(json!({"factor": 3})), "a_3X_75fps.mp4");
}

#[test]
fn a_part_is_converted_and_ends_outside_the_clip_are_refused_at_their_option() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("a.mp4", &clip(12, "64x48"));
    let request =
        |options: Value| json!({"kind": "video", "inputs": [{"upload": upload}], "options": options});
    let done = server.done(&server.job(&request(json!({"start": 0.12, "end": "8f"}))));
    assert_eq!(
        (&done["plan"]["input_frames"], &done["summary"]["frames_in"]),
        (&json!(5), &json!(5))
    );
    assert_eq!(done["files"][0]["label"], "a_0.12s-f8_2X_50fps.mp4");
    for (options, field, reason) in [
        (json!({"start": 9}), "start", "limit_exceeded"),
        (json!({"start": "8f", "end": "8f"}), "end", "limit_exceeded"),
        (json!({"end": "1h"}), "end", "option_position"),
        (json!({"start": -1}), "start", "option_position"),
        (json!({"start": true}), "start", "option_position"),
    ] {
        let answer = server.post("/plans", &request(options));
        answer.refused(422, "invalid_option");
        let error = &answer.json()["error"];
        assert_eq!(
            (&error["field"], &error["reason"]),
            (&json!(field), &json!(reason)),
            "{error}"
        );
    }
}

#[test]
fn refusals_are_sentences_with_names_and_parameters() {
    let server = Server::start();
    let id = server.upload("a.mp4", b"no video");
    let cases = [
        (
            json!({"passes": 2.5}),
            "option_whole",
            "passes is 2.5; it is a whole number",
        ),
        (
            json!({"factor": 257}),
            "option_factor",
            "factor is 257; a factor is from 1 to 256",
        ),
        (
            json!({"tta": "yes"}),
            "option_flag",
            "tta is \"yes\"; it is true or false",
        ),
        (
            json!({"fps": "fast"}),
            "option_rate",
            "fps is \"fast\"; a rate is above 0",
        ),
        (
            json!({"codec": "xvid"}),
            "option_choice",
            "it is one of h264, h265",
        ),
        (
            json!({"cut_fill": 3}),
            "option_choice",
            "it is one of repeat, blend",
        ),
        (json!({"fctor": 2}), "option_unknown", "there is no option fctor"),
        (json!({"scale": "big"}), "option_number", "scale is \"big\""),
        (json!({"preset": 4}), "option_text", "preset is 4"),
        (
            json!({"ext": 4}),
            "option_choice",
            "ext is 4; it is one of mp4, mov",
        ),
        (
            json!({"crf": 64}),
            "option_range",
            "crf is 64; it is from 0 to 63",
        ),
        (
            json!({"ext": "mp4", "codec": "ffv1"}),
            "codec_container",
            "a mp4 file holds no ffv1; it holds h264, h265, av1, vp9",
        ),
        (
            json!({"ext": "webm", "codec": "h264"}),
            "codec_container",
            "a webm file holds no h264; it holds av1, vp9",
        ),
        (
            json!({"ext": "gif", "codec": "h264"}),
            "codec_container",
            "a gif file holds no h264; it holds gif",
        ),
        (
            json!({"ext": "mp4", "codec": "prores"}),
            "codec_container",
            "holds no prores",
        ),
    ];
    for (options, reason, text) in cases {
        let request = json!({"kind": "video", "inputs": [{"upload": id}], "options": options});
        for route in ["/plans", "/jobs"] {
            let answer = server.post(route, &request);
            answer.refused(422, "invalid_option");
            let error = &answer.json()["error"];
            assert_eq!(error["reason"], reason, "{error}");
            assert!(error["message"].as_str().unwrap().contains(text), "{error}");
            assert_eq!(error["params"]["field"], error["field"], "{error}");
        }
    }
    let bodies = [
        ("{\"kind\": ", "body_json"),
        ("{\"kind\": \"video\"}", "body_missing"),
        (
            "{\"kind\": \"video\", \"inputs\": [], \"more\": 1}",
            "body_unknown",
        ),
        ("{\"kind\": \"fetch\", \"inputs\": []}", "body_value"),
        ("{\"kind\": \"video\", \"inputs\": 3}", "body_value"),
        ("[]", "body_value"),
    ];
    for (body, reason) in bodies {
        let headers = [("Content-Type", "application/json")];
        let answer = server.send("POST", "/api/v1/jobs", &headers, body.as_bytes());
        answer.refused(400, "bad_request");
        let error = &answer.json()["error"];
        assert_eq!(error["reason"], reason, "{error}");
        for word in ["u32", "expected", "invalid type", "variant", "struct"] {
            assert!(!error["message"].as_str().unwrap().contains(word), "{error}");
        }
    }
}

#[test]
fn a_plan_says_how_long_the_result_is_and_what_to_think_twice_about() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let upload = server.upload("a.mp4", &clip(10, "64x48"));
    let plan = |options: Value| {
        let request = json!({"kind": "video", "inputs": [{"upload": upload}], "options": options});
        server.post("/plans", &request).json()
    };
    let codes = |plan: &Value, list: &str| -> Vec<String> {
        let notes = plan[list].as_array().unwrap().iter();
        notes
            .map(|note| note["code"].as_str().unwrap().to_owned())
            .collect()
    };
    let near =
        |value: &Value, wanted: f64| assert!((value.as_f64().unwrap() - wanted).abs() < 0.05, "{value}");
    let slow = plan(json!({"factor": 4, "slow_motion": true}));
    near(&slow["input_duration_s"], 0.4);
    near(&slow["duration_s"], 1.6);
    assert_eq!(codes(&slow, "notes"), ["rule_factor", "stretched"]);
    assert_eq!(codes(&slow, "streams"), ["stream_interpolated", "stream_dropped"]);
    assert_eq!(slow["streams"][1]["params"]["why"]["code"], "slow_drops_sound");
    let usual = plan(json!({}));
    near(&usual["duration_s"], 0.4);
    assert_eq!(codes(&usual, "streams"), ["stream_interpolated", "stream_copied"]);
    assert_eq!(
        codes(&plan(json!({"factor": 1})), "notes"),
        ["rule_same", "nothing_new"]
    );
    assert_eq!(
        codes(&plan(json!({"fps": 20})), "notes"),
        ["rule_rate", "rate_below"]
    );
    assert_eq!(
        codes(&plan(json!({"fps": 25})), "notes"),
        ["rule_rate", "rate_same"]
    );
    assert_eq!(codes(&plan(json!({"fps": 26})), "notes"), ["rule_rate"]);
}

#[test]
fn a_single_picture_is_no_clip() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let mut png = Vec::new();
    let picture = image::RgbImage::from_pixel(64, 48, image::Rgb([200, 10, 10]));
    picture
        .write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png)
        .unwrap();
    for (name, bytes) in [("a.mp4", clip(1, "64x48")), ("b.png", png)] {
        let upload = server.upload(name, &bytes);
        let request = json!({"kind": "video", "inputs": [{"upload": upload}]});
        for route in ["/plans", "/jobs"] {
            let answer = server.post(route, &request);
            answer.refused(422, "bad_input");
            let error = &answer.json()["error"];
            assert_eq!(
                (&error["reason"], &error["params"]["name"]),
                (&json!("single_picture"), &json!(name))
            );
        }
    }
}
