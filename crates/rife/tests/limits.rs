//! Resource limits: checked before a job and while it runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rife::chain::ChainJob;
use rife::media::{CancelToken, Input, Output, RgbImage};
use rife::nets::Version;
use rife::video::VideoJob;
use rife::{Error, ErrorKind, Interpolator, InterpolatorSpec, ModelChoice};

fn clip(path: &Path, frames: usize) {
    let mut bytes = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444\n".to_vec();
    for index in 0..frames {
        bytes.extend(b"FRAME\n");
        bytes.extend(std::iter::repeat_n(40 * index as u8, 3 * 64 * 48));
    }
    std::fs::write(path, bytes).unwrap();
}

fn job(folder: &Path) -> VideoJob {
    clip(&folder.join("in.y4m"), 4);
    let mut job = VideoJob::new(
        Input::File(folder.join("in.y4m")),
        Output::File(folder.join("out.y4m")),
    );
    job.interpolator.model = ModelChoice::Random("4.17.lite".parse::<Version>().unwrap());
    job
}

#[test]
fn a_job_beyond_its_limits_is_refused_before_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = CancelToken::new();
    let refused = |change: &dyn Fn(&mut VideoJob)| {
        let mut job = job(folder.path());
        change(&mut job);
        job.open(&cancel)
            .err()
            .map(|error| (error.code(), error.to_string()))
    };
    assert_eq!(refused(&|_| ()), None);
    for (told, refusal) in [
        (
            "the memory of this job",
            refused(&|job| job.source.limits.max_memory = 1000),
        ),
        (
            "the time that a frame takes",
            refused(&|job| job.source.limits.max_frame_time = Duration::ZERO),
        ),
        ("64x48", refused(&|job| job.source.limits.max_side = 32)),
    ] {
        let (code, text) = refusal.expect(told);
        assert!(code == "limit_exceeded" && text.contains(told), "{text}");
    }
    assert!(!folder.path().join("out.y4m").exists());
}

/// A source of unknown length is stopped at the limit of frames.
#[test]
fn a_source_that_goes_on_beyond_its_limit_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = CancelToken::new();
    let run = |change: &dyn Fn(&mut VideoJob)| {
        let mut job = job(folder.path());
        job.sink.overwrite = true;
        change(&mut job);
        job.open(&cancel).and_then(|run| run.run(&mut |_| ()))
    };
    for (told, result) in [
        ("of frames is 4", run(&|job| job.source.limits.max_frames = 3)),
        (
            "frames to be written is 8",
            run(&|job| job.source.limits.max_output_frames = 7),
        ),
    ] {
        let error = result.unwrap_err();
        assert!(
            error.code() == "limit_exceeded" && error.to_string().contains(told),
            "{error}"
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing but the input is left"
        );
    }
    run(&|job| job.source.limits.max_output_frames = 8).unwrap();
}

#[test]
fn a_chain_beyond_its_limits_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = CancelToken::new();
    let template = job(folder.path());
    let refused = |change: &dyn Fn(&mut ChainJob)| {
        let clips = vec![folder.path().join("in.y4m"); 2];
        let mut job = ChainJob::new(clips, Output::File(folder.path().join("out.y4m")));
        job.interpolator = template.interpolator.clone();
        change(&mut job);
        job.open(&cancel)
            .and_then(|run| run.run(&mut |_| ()))
            .err()
            .map(|error| (error.code(), error.to_string()))
    };
    // Twice four frames, and three between them.
    let memory = refused(&|job| job.source.limits.max_memory = 1_000_000).unwrap();
    assert!(memory.1.contains("the memory of this job"), "{}", memory.1);
    let frames = refused(&|job| job.source.limits.max_output_frames = 10).unwrap();
    assert!(
        frames.0 == "limit_exceeded" && frames.1.contains("is 11"),
        "{}",
        frames.1
    );
    assert!(!folder.path().join("out.y4m").exists());
    assert_eq!(refused(&|job| job.source.limits.max_output_frames = 11), None);
}

/// Makes an image of moving sine waves.
fn waves(width: u32, height: u32, shift: f32) -> Arc<RgbImage> {
    let value =
        |i: u32| 0.5 + 0.4 * ((i % width) as f32 * 0.2 + (i / width % height) as f32 * 0.1 - shift).sin();
    Arc::new(RgbImage::new(
        width,
        height,
        (0..3 * width * height).map(value).collect(),
    ))
}

#[test]
fn a_frame_is_given_up_in_its_middle() {
    let cancel = CancelToken::new();
    let mut spec = InterpolatorSpec::default();
    spec.model = ModelChoice::Random("4.26".parse::<Version>().unwrap());
    spec.threads = Some(2);
    spec.cancel = cancel.clone();
    let interpolator = Interpolator::new(&spec).unwrap();
    let [first, second] = [0.0, 1.0].map(|shift| interpolator.prepare(waves(960, 576, shift)).unwrap());
    let middle = || {
        let start = Instant::now();
        let made = interpolator.between(&first, &second).at((1, 2).into());
        (made, start.elapsed())
    };
    let (made, whole) = middle();
    assert!(made.is_ok());
    let stopped = cancel.clone();
    let asked = std::thread::spawn(move || {
        std::thread::sleep(whole / 10);
        stopped.cancel();
    });
    let (made, part) = middle();
    asked.join().unwrap();
    assert!(matches!(made, Err(Error::Cancelled)), "{made:?}");
    assert!(part < whole / 2, "{part:?} of {whole:?}");
    // What comes later is no picture either.
    assert!(matches!(middle().0, Err(Error::Cancelled)));
}

#[test]
fn weights_that_overflow_are_an_error_that_names_the_model() {
    let mut refused = 0;
    let folder = tempfile::tempdir().unwrap();
    for version in ["4.17.lite", "4.26", "rife"] {
        let version: Version = version.parse().unwrap();
        for factor in [1e12, 1e25] {
            let sound = rife::nets::deterministic::weights(version);
            let mut weights = rife::nets::Weights::new();
            for (key, tensor) in sound.iter() {
                let mut tensor = tensor.clone();
                tensor.data.iter_mut().for_each(|value| *value *= factor);
                weights.insert(key, tensor);
            }
            let path = folder.path().join("huge.safetensors");
            let dtype = rife::nets::checkpoint::Dtype::F32;
            rife::nets::checkpoint::save_safetensors(&path, &weights, dtype, &BTreeMap::new()).unwrap();
            let mut spec = InterpolatorSpec::default();
            spec.model = ModelChoice::Named(path.display().to_string());
            spec.version = Some(version);
            let interpolator = Interpolator::new(&spec).unwrap();
            let [first, second] = [0.0, 1.0].map(|shift| interpolator.prepare(waves(64, 64, shift)).unwrap());
            // What overflows within may be cut back to finite numbers, which nothing tells from a bad network's.
            match interpolator.between(&first, &second).at((1, 2).into()) {
                Ok(made) => assert!(
                    made.data.iter().any(|value| *value > 0.05),
                    "{version} {factor}: black"
                ),
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.kind(), ErrorKind::Model, "{version} {factor}");
                    assert!(error.to_string().contains("huge.safetensors"), "{error}");
                }
            }
        }
    }
    assert!(refused > 0, "none of them is told");
}
