//! Limits are charged before the work, and while it goes on.

use std::path::Path;

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
    assert_eq!(refused(&|job| job.source.limits.max_output_frames = 8), None);
    for (code, text) in [
        refused(&|job| job.source.limits.max_output_frames = 7),
        refused(&|job| job.source.limits.max_memory = 1000),
        refused(&|job| job.source.limits.max_side = 32),
    ]
    .into_iter()
    .flatten()
    {
        assert_eq!(code, "limit_exceeded", "{text}");
    }
    assert!(!folder.path().join("out.y4m").exists());
}

#[test]
fn a_source_that_goes_on_beyond_its_limit_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = CancelToken::new();
    let mut job = job(folder.path());
    job.source.limits.max_frames = 3;
    let error = job
        .open(&cancel)
        .and_then(|run| run.run(&mut |_| ()))
        .unwrap_err();
    assert_eq!(error.code(), "limit_exceeded", "{error}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing but the input is left"
    );
}
