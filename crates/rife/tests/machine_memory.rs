//! Jobs that do not fit into the machine's memory. Alone in its process, whose memory is part of the estimate: that of other tests
//! would be, too.

use rife::ModelChoice;
use rife::media::{CancelToken, Input, Output};
use rife::nets::Version;
use rife::video::VideoJob;

/// A job that does not fit into the machine's memory is computed in tiles and says so; if the smallest tiles do not fit
/// either, it is refused with the memory that would suffice.
#[test]
fn pictures_too_large_for_the_machine_are_made_in_tiles_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = b"YUV4MPEG2 W1024 H512 F25:1 Ip A1:1 C444\n".to_vec();
    for index in 0..2 {
        bytes.extend(b"FRAME\n");
        bytes.extend(std::iter::repeat_n(40 * index as u8, 3 * 1024 * 512));
    }
    let open = |total: u64| {
        let [input, output] = ["in.y4m", "out.y4m"].map(|name| folder.path().join(name));
        std::fs::write(&input, &bytes).unwrap();
        let mut job = VideoJob::new(Input::File(input), Output::File(output));
        job.interpolator.model = ModelChoice::Random("4.17.lite".parse::<Version>().unwrap());
        (job.source.limits.max_total_memory, job.sink.overwrite) = (total, true);
        job.open(&CancelToken::new())
    };
    let whole = open(u64::MAX).unwrap().plan().clone();
    assert!(!whole.method.contains("tiles"), "{}", whole.method);
    // A little less than it takes with ffmpeg.
    let ffmpeg = 100_000_000 + 240 * 1024 * 512;
    let run = open(whole.memory + ffmpeg - 1).unwrap();
    let plan = run.plan().clone();
    assert!(plan.memory < whole.memory, "{} of {}", plan.memory, whole.memory);
    assert!(
        plan.method.contains("tiles") && plan.method.contains("this machine"),
        "{}",
        plan.method
    );
    assert_eq!(run.run(&mut |_| ()).unwrap().counts.stream.frames_out, 4);
    for total in [0, 1_000_000, ffmpeg + (65 << 20)] {
        let error = open(total).err().unwrap();
        let text = error.to_string();
        assert!(
            error.code() == "limit_exceeded"
                && text.contains("ffmpeg's included")
                && text.contains("smaller frames"),
            "{text}"
        );
    }
}
