//! `rife image`: names, counts, times.

use rife::media::Limits;
use rife::media::source::read_image;

use super::support::{Place, RANDOM, names};

fn image<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["image"][..], args, &RANDOM].concat()
}

fn pair() -> Place {
    let place = Place::new();
    place.picture("a.png", 0.0);
    place.picture("b.png", 3.0);
    place
}

#[test]
fn a_folder_gets_both_ends_and_all_between() {
    let place = pair();
    place
        .rife(&image(&["--img", "a.png", "b.png", "--exp", "2"]))
        .ok();
    assert_eq!(
        names(&place.path("output")),
        ["img0.png", "img1.png", "img2.png", "img3.png", "img4.png"]
    );
    let read = |name: &str| read_image(&place.path(name), &Limits::default()).unwrap();
    assert_eq!(read("output/img0.png"), read("a.png"));
    assert_eq!(read("output/img4.png"), read("b.png"));
    assert_ne!(read("output/img1.png"), read("output/img3.png"));
    assert!(
        place
            .rife(&image(&["a.png", "b.png", "--exp", "2"]))
            .failed(4)
            .contains("exists")
    );
    place.rife(&image(&["a.png", "b.png", "--exp", "2", "-y"])).ok();
}

#[test]
fn one_picture_goes_into_one_file() {
    let place = pair();
    let out = place
        .rife(&image(&[
            "a.png",
            "b.png",
            "--timestep",
            "1/3",
            "-o",
            "third.png",
        ]))
        .ok();
    assert_eq!(out, "third.png\n");
    let (frame, _) = read_image(&place.path("third.png"), &Limits::default()).unwrap();
    assert_eq!((frame.width, frame.height), (64, 48));
    assert!(
        place
            .rife(&image(&["a.png", "b.png", "--exp", "2", "-o", "one.png"]))
            .failed(2)
            .contains("3 pictures")
    );
}

#[test]
fn a_ratio_is_met_by_bisection() {
    let place = pair();
    let ran = place
        .rife(&image(&[
            "a.png", "b.png", "--ratio", "0.3", "-o", "steps", "--json",
        ]))
        .json();
    assert_eq!(names(&place.path("steps")), ["img0.png", "img1.png", "img2.png"]);
    assert!(ran[0]["method"].as_str().unwrap().contains("middles of middles"));
    assert_eq!(ran[0]["made"], 1);
    place
        .rife(&image(&[
            "a.png", "b.png", "--ratio", "0.005", "-o", "near", "--json",
        ]))
        .ok();
    let read = |name: &str| read_image(&place.path(name), &Limits::default()).unwrap();
    assert_eq!(
        read("near/img1.png"),
        read("a.png"),
        "a ratio near an end is that end"
    );
}

#[test]
fn pictures_that_do_not_fit_are_named() {
    let place = pair();
    let other = rife::media::Frame::zeroed(32, 32, rife::media::PixelFormat::RGB8);
    let tags = rife::media::ColorTags::SRGB;
    rife::media::sink::write_image(&place.path("small.png"), &other, &tags, true).unwrap();
    std::fs::write(place.path("text.png"), "no picture").unwrap();
    let error = place.rife(&image(&["a.png", "small.png"])).failed(3);
    assert!(error.contains("64x48") && error.contains("32x32"), "{error}");
    assert!(
        place
            .rife(&image(&["a.png", "text.png"]))
            .failed(3)
            .contains("text.png")
    );
    assert!(!place.path("output").exists());
}
