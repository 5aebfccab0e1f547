//! The crate's examples, run on small frames.

#[allow(dead_code)]
#[path = "../examples/frames_in_memory.rs"]
mod frames_in_memory;
#[allow(dead_code)]
#[path = "../examples/progress.rs"]
mod progress;
#[allow(dead_code)]
#[path = "../examples/slow_motion.rs"]
mod slow_motion;
#[allow(dead_code)]
#[path = "../examples/two_images.rs"]
mod two_images;

use std::path::Path;

use rife::media::{CancelToken, Input, SourceSpec, open_source, time};
use rife::{Interpolator, InterpolatorSpec, RgbImage};
use rife_eval::sample::render;

/// Reports whether the default network is built in; prints a message if the test is skipped.
fn has_network() -> bool {
    let there = rife::nets::default_weights().is_some();
    rife_testing::Need::Weights.is_met(there, "no network is built in")
}

/// Writes a Y4M clip of `frames` frames at 10 frames per second.
fn clip(path: &Path, frames: u32) {
    let mut bytes = b"YUV4MPEG2 W64 H48 F10:1 Ip A1:1 C444\n".to_vec();
    for index in 0..frames {
        bytes.extend(b"FRAME\n");
        let image = render(f64::from(index) / 30.0, 64, 48);
        bytes.extend(image.data.iter().map(|value| (16.0 + 219.0 * value) as u8));
    }
    std::fs::write(path, bytes).unwrap();
}

/// Returns the number of frames and the duration in seconds.
fn length(path: &Path) -> (usize, f64) {
    let mut source = open_source(&SourceSpec::new(Input::File(path.to_owned()))).unwrap();
    let (mut frames, mut end) = (0, 0.0);
    while let Some(frame) = source.next_frame().unwrap() {
        frames += 1;
        end = time::seconds(frame.pts + frame.duration);
    }
    (frames, end)
}

fn arguments(folder: &Path, names: &[&str]) -> Vec<String> {
    let named = |name: &&str| match name.contains('.') {
        true => folder.join(name).display().to_string(),
        false => (*name).to_owned(),
    };
    names.iter().map(named).collect()
}

#[test]
fn two_images_give_the_one_between() {
    if !has_network() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = |name: &str| folder.path().join(name);
    render(0.0, 320, 180).save(here("a.png")).unwrap();
    render(0.05, 320, 180).save(here("b.png")).unwrap();
    two_images::run(&arguments(folder.path(), &["a.png", "b.png", "half.png"])).unwrap();
    let made = RgbImage::open(here("half.png")).unwrap();
    let distance = |other: &RgbImage| {
        let differences = made.data.iter().zip(&other.data).map(|(a, b)| (a - b).abs());
        differences.sum::<f32>() / made.data.len() as f32
    };
    let (truth, first) = (render(0.025, 320, 180), render(0.0, 320, 180));
    assert!(
        distance(&truth) < 0.6 * distance(&first),
        "{} from the truth, {} from the first picture",
        distance(&truth),
        distance(&first)
    );
    let error = two_images::run(&arguments(folder.path(), &["a.png"])).unwrap_err();
    assert!(error.to_string().contains("usage"), "{error}");
}

#[test]
fn slow_motion_takes_longer() {
    if !has_network() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    clip(&folder.path().join("in.y4m"), 4);
    slow_motion::run(&arguments(folder.path(), &["in.y4m", "out.y4m", "3"])).unwrap();
    let (frames, end) = length(&folder.path().join("out.y4m"));
    assert_eq!(frames, 12);
    assert!((end - 1.2).abs() < 1e-9, "{end}");
}

#[test]
fn progress_is_told_and_the_job_stops() {
    if !has_network() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    clip(&folder.path().join("in.y4m"), 4);
    let names = arguments(folder.path(), &["in.y4m", "out.y4m"]);
    let cancel = CancelToken::new();
    progress::run(&names, &cancel).unwrap();
    assert_eq!(length(&folder.path().join("out.y4m")).0, 8);
    cancel.cancel();
    let names = arguments(folder.path(), &["in.y4m", "other.y4m"]);
    assert!(progress::run(&names, &cancel).is_err());
    assert!(!folder.path().join("other.y4m").exists());
}

#[test]
fn frames_in_memory_are_multiplied() {
    if !has_network() {
        return;
    }
    let frames: Vec<Vec<u8>> = (0..3)
        .map(|index| render(f64::from(index) / 30.0, 64, 48).to_rgb8())
        .collect();
    let mut out = Vec::new();
    let names = ["64x48", "3"].map(str::to_owned);
    frames_in_memory::run(&names, &mut frames.concat().as_slice(), &mut out).unwrap();
    let made: Vec<&[u8]> = out.chunks(3 * 64 * 48).collect();
    assert_eq!(made.len(), 7);
    assert_eq!(
        [made[0], made[3], made[6]],
        [&frames[0][..], &frames[1], &frames[2]]
    );
    assert!(made[1] != made[0] && made[1] != made[3]);
    assert!(frames_in_memory::run(&names, &mut &frames.concat()[1..], &mut out).is_err());
}

#[test]
fn pictures_with_alpha_keep_what_nobody_sees_hidden() {
    if !has_network() {
        return;
    }
    let interpolator = Interpolator::new(&InterpolatorSpec::default()).unwrap();
    // White, where it can be seen; below, bright red that cannot.
    let mut image = RgbImage::new(32, 32, vec![1.0; 3 * 32 * 32]);
    image.data[32 * 32..]
        .iter_mut()
        .enumerate()
        .for_each(|(at, value)| {
            *value = if at % (32 * 32) < 16 * 32 { 1.0 } else { 0.0 };
        });
    image.alpha = Some((0..32 * 32).map(|at| f32::from(at < 16 * 32)).collect());
    let made = interpolator.interpolate(&image, &image, 0.5).unwrap();
    let alpha = made.alpha.as_ref().unwrap();
    let seen = (0..32 * 32).filter(|at| alpha[*at] > 0.1);
    for at in seen {
        let [red, green, blue] = made.channels().map(|plane| plane[at]);
        assert!(
            (red - green).abs() < 0.1 && (red - blue).abs() < 0.1,
            "{at}: {red} {green} {blue}"
        );
    }
    let opaque = RgbImage::new(32, 32, vec![1.0; 3 * 32 * 32]);
    assert!(
        interpolator
            .interpolate(&image, &opaque, 0.5)
            .unwrap()
            .alpha
            .is_some()
    );
}

#[test]
fn what_cannot_be_interpolated_is_refused() {
    if !has_network() {
        return;
    }
    let [a, b] = [[32, 32], [48, 32]]
        .map(|[width, height]| RgbImage::new(width, height, vec![0.5; 3 * (width * height) as usize]));
    for memory_limit in [None, Some(1 << 40)] {
        let mut spec = InterpolatorSpec::default();
        spec.memory_limit = memory_limit;
        let interpolator = Interpolator::new(&spec).unwrap();
        let error = interpolator.interpolate(&a, &b, 0.5).unwrap_err().to_string();
        assert_eq!(error, "the two frames differ in size: 32x32 and 48x32");
        for time in [-0.1, 1.5, f64::NAN, f64::INFINITY, 1e300] {
            let error = interpolator.interpolate(&a, &a, time).unwrap_err().to_string();
            assert!(error.contains("not between 0 and 1"), "{time}: {error}");
        }
        assert_eq!(interpolator.interpolate(&a, &a, 0.0).unwrap(), a);
        assert_eq!(interpolator.interpolate(&a, &a, 1.0).unwrap(), a);
    }
}
