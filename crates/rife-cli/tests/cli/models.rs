//! `rife models`: list, file information, conversion, and downloads from a local server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use rife::nets::checkpoint::save_pkl;
use rife::nets::{Version, deterministic};

use super::support::Place;

fn weights(place: &Place, name: &str, version: &str) {
    let version: Version = version.parse().unwrap();
    save_pkl(&place.path(name), &deterministic::weights(version)).unwrap();
}

#[test]
fn every_version_is_listed() {
    let place = Place::new();
    let table = place.rife(&["models", "list"]).ok();
    for version in Version::all() {
        assert!(
            table.lines().any(|line| line.starts_with(version.name())),
            "{version}"
        );
    }
    let object = place.rife(&["models", "list", "--json"]).json().remove(0);
    let row = |name: &str| {
        object["models"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["version"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&row("4.25.lite")["size_multiple"], &row("rife")["timestep"]),
        (&128.into(), &false.into())
    );
    assert_eq!(row("4.6")["ensemble"], true);
}

#[test]
fn networks_to_choose_from_have_purpose_quality_and_time() {
    let place = Place::new();
    let table = place.rife(&["models", "list"]).ok();
    let first = table.lines().nth(1).unwrap();
    assert!(first.contains("r7.lite") && first.contains("built in"), "{first}");
    let object = place
        .rife(&["models", "list", "--time", "64x48", "--json"])
        .json()
        .remove(0);
    let rows = object["suggestions"].as_array().unwrap();
    assert!(rows.len() >= 4);
    for row in rows {
        assert!(row["milliseconds"].as_f64().unwrap() > 0.0, "{row}");
        assert!(
            row["for"].as_str().is_some_and(|purpose| !purpose.is_empty()),
            "{row}"
        );
    }
    // The figures are those of the model card.
    let card = include_str!("../../../../docs/model-card.md");
    for (set, key) in [("UCF101", "psnr_ucf101"), ("DAVIS", "psnr_davis")] {
        let line = card
            .lines()
            .find(|line| line.starts_with(&format!("| {set} triplets")));
        let figures: Vec<_> = line.unwrap().split('|').skip(3).collect();
        for (row, figure) in rows.iter().zip(&figures[..2]) {
            let (row, figure) = (row[key].as_f64().unwrap(), figure.trim().parse::<f64>().unwrap());
            assert_eq!(row, figure, "{set}");
        }
    }
}

#[test]
fn a_file_is_inspected_converted_and_used() {
    let place = Place::new();
    weights(&place, "flownet.pkl", "4.6");
    let object = place
        .rife(&["models", "info", "flownet.pkl", "--json"])
        .json()
        .remove(0);
    assert_eq!(object["version"], "4.6");
    assert!(object["parameters"].as_u64().unwrap() > 1_000_000);
    place
        .rife(&["models", "convert", "flownet.pkl", "net.safetensors"])
        .ok();
    assert!(
        place
            .rife(&["models", "convert", "flownet.pkl", "net.safetensors"])
            .failed(4)
            .contains("exists")
    );
    let converted = place
        .rife(&["models", "info", "net.safetensors", "--json"])
        .json()
        .remove(0);
    assert_eq!(
        (&converted["version"], &converted["parameters"]),
        (&object["version"], &object["parameters"])
    );
    place.picture("a.png", 0.0);
    place.picture("b.png", 2.0);
    let make = |model: &str, output: &str| {
        place
            .rife(&[
                "image",
                "a.png",
                "b.png",
                "--timestep",
                "0.5",
                "-o",
                output,
                "--model",
                model,
            ])
            .ok();
        std::fs::read(place.path(output)).unwrap()
    };
    assert_eq!(make("flownet.pkl", "x.png"), make("net.safetensors", "y.png"));
    assert_eq!(
        make("flownet.pkl", "z.png"),
        make(".", "folder.png"),
        "a folder of flownet.pkl is that file"
    );
}

/// Starts an HTTP server that answers every request with the same bytes; returns the address of a file on it.
fn serve(content: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/files/flownet_v4.6.pkl", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                content.len()
            );
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&content));
        }
    });
    url
}

#[test]
fn a_pulled_model_is_used_by_its_name() {
    let place = Place::new();
    weights(&place, "upstream.pkl", "4.6");
    let url = serve(std::fs::read(place.path("upstream.pkl")).unwrap());
    let pulled = place
        .rife(&["models", "pull", &url, "--as", "mine", "--json"])
        .json()
        .remove(0);
    assert_eq!(pulled["sha256"].as_str().map(str::len), Some(64));
    assert!(place.path("models/models.lock").exists());
    place.picture("a.png", 0.0);
    place.picture("b.png", 2.0);
    place
        .rife(&[
            "image",
            "a.png",
            "b.png",
            "--timestep",
            "0.5",
            "-o",
            "c.png",
            "--model",
            "mine",
        ])
        .ok();
    let wrong = "0".repeat(64);
    let refused = place.rife(&["models", "pull", &url, "--as", "other", "--sha256", &wrong]);
    assert!(refused.failed(5).contains("has changed"));
    let taken = place.rife(&["models", "pull", &url, "--as", "fast"]);
    assert!(taken.failed(2).contains("another name"));
    assert!(place.rife(&["models", "list"]).ok().contains("mine"));
}

#[test]
fn a_page_instead_of_weights_is_not_kept() {
    let place = Place::new();
    let url = serve(b"<html>not found</html>".to_vec());
    let error = place.rife(&["models", "pull", &url]).failed(5);
    assert!(error.contains("no checkpoint"), "{error}");
    assert!(super::support::names(&place.path("models")).is_empty());
    assert!(
        place
            .rife(&["models", "pull", "4.999"])
            .failed(5)
            .contains("4.25.lite")
    );
}
