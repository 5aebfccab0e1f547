//! Limits are charged before the work, and while it goes on.

use std::path::Path;
use std::time::Duration;

use rife::chain::ChainJob;
use rife::media::{CancelToken, Input, Output};
use rife::nets::Version;
use rife::video::VideoJob;
use rife::{InterpolatorSpec, ModelChoice};

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
    job.interpolator = InterpolatorSpec {
        model: ModelChoice::Random("4.17.lite".parse::<Version>().unwrap()),
        ..InterpolatorSpec::default()
    };
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

/// A source that does not say how long it is.
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
