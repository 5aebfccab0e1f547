//! `rife image` reproduces the images of the reference implementation with its weights.

use std::path::PathBuf;

use rife::media::sink::write_image;
use rife::media::{ColorTags, Frame, Limits, PixelFormat, RgbImage, read_image};

use super::support::Place;
use rife_testing::Need;

/// Returns the folder of reference data; prints a message if there is none and the test is skipped.
fn folder() -> Option<PathBuf> {
    let folder = rife_testing::shared().join("reference");
    let found = folder.is_dir();
    Need::Reference
        .is_met(found, format!("no reference in {}", folder.display()))
        .then_some(folder)
}

/// Reads a tensor of a `.safetensors` file: height, width and values (bytes divided by 255, or floats).
fn tensor(file: &[u8], key: &str) -> (u32, u32, Vec<f32>) {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let entry = &header[key];
    let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
    let data = &file[8 + length..][number(&entry["data_offsets"][0])..number(&entry["data_offsets"][1])];
    let values = match entry["dtype"].as_str().unwrap() {
        "U8" => data.iter().map(|&byte| f32::from(byte) / 255.0).collect(),
        _ => data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect(),
    };
    (
        number(&entry["shape"][1]) as u32,
        number(&entry["shape"][2]) as u32,
        values,
    )
}

#[test]
fn pictures_are_the_published_networks() {
    let Some(folder) = folder() else { return };
    for (version, time) in [("4.25.lite", "0.5"), ("4.6", "0.25"), ("rife", "0.5")] {
        let place = Place::new();
        let file = std::fs::read(folder.join(format!("{version}.safetensors"))).unwrap();
        for (key, name) in [("img0", "a.png"), ("img1", "b.png")] {
            let (height, width, data) = tensor(&file, key);
            let frame = Frame::from_rgb(
                &RgbImage::new(width, height, data),
                PixelFormat::RGB8,
                &ColorTags::SRGB,
            );
            write_image(&place.path(name), &frame, &ColorTags::SRGB, false).unwrap();
        }
        let args = [
            "image",
            "a.png",
            "b.png",
            "--timestep",
            time,
            "-o",
            "made.png",
            "--random-weights",
        ];
        place
            .rife(&[&args[..], &["--model-version", version]].concat())
            .ok();
        let (frame, tags) = read_image(&place.path("made.png"), &Limits::default()).unwrap();
        let (_, _, wanted) = tensor(&file, &format!("s1.0_t{time}/merged"));
        let worst = frame
            .to_rgb(&tags)
            .data
            .iter()
            .zip(&wanted)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            worst <= 0.502 / 255.0,
            "{version}: off by {worst}, more than rounding to 8 bits"
        );
    }
}
