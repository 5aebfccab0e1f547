//! Compares the OpenAPI document with the server: every path and method, and the schemas of responses.

use serde_json::{Value, json};

use super::support::{Server, can_run, clip};

fn document(server: &Server) -> Value {
    server.get("/openapi.json").json()
}

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

#[test]
fn the_methods_of_every_path_are_those_of_the_document() {
    let server = Server::start();
    let document = document(&server);
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        let filled = ["{id}", "{name}", "{number}", "{index}"]
            .iter()
            .fold(path.clone(), |path, part| path.replace(part, "0"));
        // The stream of all events has no end.
        for method in METHODS
            .into_iter()
            .filter(|method| path != "/events" || *method != "GET")
        {
            let answer = server.send(method, &format!("/api/v1{filled}"), &[], b"");
            let documented = methods.get(method.to_lowercase()).is_some();
            assert_eq!(
                answer.status != 405,
                documented,
                "{method} {path}: {}",
                answer.status
            );
        }
    }
}

/// Validates `value` against `schema`, with the JSON Schema keywords that the document uses except string formats.
fn fits(value: &Value, schema: &Value, document: &Value) -> Result<(), String> {
    let wrong = || Err(format!("{value} is not {schema}"));
    if let Some(name) = schema["$ref"].as_str() {
        return fits(value, document.pointer(&name[1..]).unwrap(), document);
    }
    for several in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[several].as_array() {
            let good = choices
                .iter()
                .filter(|one| fits(value, one, document).is_ok())
                .count();
            return if good == 1 { Ok(()) } else { wrong() };
        }
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|values| !values.contains(value))
        || schema.get("const").is_some_and(|one| one != value)
    {
        return wrong();
    }
    let is_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => true,
    };
    if !is_type {
        return wrong();
    }
    let mut items = value.as_array().into_iter().flatten();
    items.try_for_each(|item| fits(item, &schema["items"], document))?;
    fields_fit(value, schema, document)
}

fn fields_fit(value: &Value, schema: &Value, document: &Value) -> Result<(), String> {
    let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) else {
        return Ok(());
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(required.as_str().unwrap()) {
            return Err(format!("{value} lacks {required}"));
        }
    }
    for (name, field) in fields {
        match known.get(name) {
            Some(schema) => fits(field, schema, document)?,
            None if schema["additionalProperties"] == false => return Err(format!("{value} has {name}")),
            None => {}
        }
    }
    Ok(())
}

#[test]
fn what_comes_back_is_what_the_document_says() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let document = document(&server);
    let check = |value: &Value, name: &str| {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        assert_eq!(fits(value, &schema, &document), Ok(()), "{name}");
    };
    let upload = server.upload("a.mp4", &clip(4, "64x48"));
    check(&server.get(&format!("/uploads/{upload}")).json(), "Upload");
    check(&server.get("/uploads").json(), "Uploads");
    check(&server.get("/health").json(), "Health");
    check(&server.get("/models").json(), "Models");
    check(&server.get(&format!("/uploads/{upload}/probe")).json(), "Probe");
    check(&server.get("/nothing").json(), "Error");
    let request = json!({"kind": "video", "inputs": [{"upload": upload}], "options": {"factor": 2}});
    check(&request, "JobRequest");
    check(&server.post("/plans", &request).json(), "Plan");
    let wrong = json!({"kind": "video", "inputs": [{"upload": upload}], "options": {"factory": 2}});
    assert!(
        fits(
            &wrong,
            &json!({"$ref": "#/components/schemas/JobRequest"}),
            &document
        )
        .is_err()
    );
    check(&server.post("/jobs", &wrong).json(), "Error");
    let id = server.job(&request);
    check(&server.done(&id), "Job");
    check(&server.get("/jobs").json(), "Jobs");
    check(&server.get("/queue").json(), "Queue");
    check(&json!({"jobs": [id], "paused": false}), "QueueRequest");
    check(
        &json!({"kind": "video", "options": {"factor": 2}}),
        "PresetRequest",
    );
    check(&server.get("/presets").json(), "Presets");
    check(
        &server.get(&format!("/uploads/{upload}/analysis")).json(),
        "Analysis",
    );
    let verified = server.get(&format!("/jobs/{id}/files/result.mp4/verification"));
    check(&verified.json(), "Verification");
}
