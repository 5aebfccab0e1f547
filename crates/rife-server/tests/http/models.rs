//! Models over HTTP: what is listed, and what is refused. The page's tests add and remove one in a models folder of their own.

use serde_json::json;

use super::support::Server;

#[test]
fn public_checkpoints_are_listed_with_licence_size_and_cost() {
    let models = Server::start().get("/models").json();
    let known = models["available"].as_array().unwrap();
    let one = known.iter().find(|one| one["name"] == "4.26.heavy").unwrap();
    assert_eq!(one["license"], "MIT");
    assert!(one["url"].as_str().unwrap().starts_with("https://"));
    assert!(one["bytes"].as_u64().unwrap() > 1_000_000, "{one}");
    assert!(one["macs_per_pixel"].as_f64() > models["items"][0]["macs_per_pixel"].as_f64());
}

#[test]
fn what_is_no_model_is_refused_with_its_name() {
    let server = Server::start();
    let text = server.upload("mine.pkl", b"cos\nsystem\n(S'true'\ntR.");
    let answer = server.post("/models", &json!({"uploads": [text]}));
    answer.refused(422, "bad_input");
    assert!(answer.text().contains("mine.pkl"), "{}", answer.text());
    assert!(!server.data.join("incoming").exists());
    let named = json!({"uploads": [text], "name": "../x"});
    server.post("/models", &named).refused(422, "invalid_option");
    let none: [&str; 0] = [];
    server
        .post("/models", &json!({"uploads": none}))
        .refused(400, "bad_request");
    server
        .post("/models", &json!({"uploads": ["up_0"]}))
        .refused(404, "not_found");
    for name in ["no-such-model", "https:%2F%2Fexample.org%2Fa.pkl"] {
        let path = format!("/models/{name}");
        server
            .send("PUT", &path_of(&path), &[], b"")
            .refused(404, "not_found");
        server
            .send("DELETE", &path_of(&path), &[], b"")
            .refused(404, "not_found");
    }
}

/// Returns the full path of a route.
fn path_of(path: &str) -> String {
    format!("/api/v1{path}")
}

#[test]
fn fixed_models_are_listed_and_not_changed() {
    let server = Server::with(|config| config.fixed_models = true);
    assert_eq!(server.get("/models").json()["fixed"], true);
    let upload = server.upload("mine.pkl", b"weights");
    let added = server.post("/models", &json!({"uploads": [upload]}));
    let pulled = server.send("PUT", &path_of("/models/4.6"), &[], b"");
    let removed = server.send("DELETE", &path_of("/models/4.6"), &[], b"");
    for answer in [added, pulled, removed] {
        answer.refused(403, "forbidden");
        assert_eq!(answer.json()["error"]["reason"], "models_fixed");
    }
    assert_eq!(Server::start().get("/models").json()["fixed"], false);
}

#[test]
fn half_of_an_ncnn_model_is_refused() {
    let server = Server::start();
    for name in ["flownet.param", "flownet.bin"] {
        let upload = server.upload(name, b"7767517\n0 0\n");
        let answer = server.post("/models", &json!({"uploads": [upload]}));
        answer.refused(422, "bad_input");
        assert_eq!(answer.json()["error"]["params"]["name"], name);
    }
}
