//! `rife benchmark` and `rife sample`.

use super::support::{Place, RANDOM, ffmpeg};

fn triplets(place: &Place, count: usize) {
    for index in 0..count {
        for (step, name) in ["frame10", "frame10i11", "frame11"].iter().enumerate() {
            place.picture(&format!("set/{index}/{name}.png"), (index + step) as f32);
        }
    }
}

#[test]
fn a_set_is_one_object_of_figures() {
    let place = Place::new();
    triplets(&place, 3);
    let args = [
        &["benchmark", "set", "--json", "--verbose", "--limit", "2"][..],
        &RANDOM,
    ]
    .concat();
    let object = place.rife(&args).json().remove(0);
    assert_eq!(
        (&object["count"], &object["layout"]),
        (&2.into(), &"triplets".into())
    );
    for key in ["psnr", "ssim", "ie"] {
        assert!(
            object[key].is_f64() && object["averaging"][key].is_f64(),
            "{object}"
        );
    }
    assert_eq!(object["items"].as_array().map(Vec::len), Some(2));
    assert!(
        object["averaging"]["psnr"].as_f64().unwrap() > 30.0,
        "waves one pixel apart blend well"
    );
    let table = place.rife(&[&["benchmark", "set"][..], &RANDOM].concat()).ok();
    assert!(table.contains("PSNR dB") && table.contains("averaging"));
}

#[test]
fn a_folder_without_triplets_is_an_input_error() {
    let place = Place::new();
    std::fs::create_dir(place.path("set")).unwrap();
    assert!(place.rife(&["benchmark", "set"]).failed(3).contains("UCF101"));
    assert!(
        place
            .rife(&["benchmark", "nowhere"])
            .failed(3)
            .contains("nowhere")
    );
}

#[test]
fn speed_is_measured() {
    let place = Place::new();
    let args = [
        &["benchmark", "--time", "--size", "64x48", "--runs", "2", "--json"][..],
        &RANDOM,
    ]
    .concat();
    let object = place.rife(&args).json().remove(0);
    assert!(object["median_ms"].as_f64().unwrap() > 0.0);
    for key in ["tier", "precision", "threads"] {
        assert!(!object[key].is_null(), "{object}");
    }
}

#[test]
fn the_sample_is_rendered_and_compared() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place
        .rife(&[
            "sample",
            "sample.mp4",
            "--truth",
            "truth.mp4",
            "--size",
            "128x96",
            "--seconds",
            "1",
        ])
        .ok();
    let (frames, seconds, sound) = super::support::probe(&place.path("sample.mp4"));
    assert!(
        frames == 15 && sound == 1 && (seconds - 1.0).abs() < 0.1,
        "{frames} frames, {seconds} s"
    );
    assert_eq!(super::support::probe(&place.path("truth.mp4")).0, 30);
    assert_eq!(
        place.names(),
        ["sample.mp4", "truth.mp4"],
        "the sound's file is gone"
    );
    let compare = |result: &str| {
        place
            .rife(&["sample", "--compare", result, "--truth", "truth.mp4", "--json"])
            .json()
            .remove(0)
    };
    let itself = compare("truth.mp4");
    assert_eq!(itself["count"], 14);
    assert!(
        itself["blending"]["psnr"].as_f64().unwrap() < 40.0,
        "blending is not the truth: {itself}"
    );
    place
        .rife(&[&["video", "sample.mp4", "-o", "smooth.mp4"][..], &RANDOM].concat())
        .ok();
    assert_eq!(compare("smooth.mp4")["count"], 14);
    place
        .rife(&[&["sample", "--picture", "row.png"][..], &RANDOM].concat())
        .ok();
    assert!(place.path("row.png").exists());
}
