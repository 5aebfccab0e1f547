//! Turns a video to slow motion, with its audio stretched and its pitch kept:
//! `cargo run --release -p rife --example slow_motion IN.mp4 OUT.mp4 [FACTOR]`; the result lasts FACTOR times as long, by
//! default twice.

use std::error::Error;

use rife::media::{CancelToken, Input, Output, time};
use rife::video::{Motion, Rate, VideoJob};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    run(&arguments)
}

/// Runs the job with the command-line arguments `IN OUT [FACTOR]`.
pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [input, output, factor @ ..] = arguments else {
        return Err("usage: slow_motion IN.mp4 OUT.mp4 [FACTOR]".into());
    };
    let factor = factor.first().map_or("2", String::as_str);
    let factor = time::parse_factor(factor).ok_or(format!("FACTOR is 1 to 256, not {factor}"))?;

    let mut job = VideoJob::new(Input::parse(input), Output::parse(output));
    job.rate = Rate::times(factor);
    job.motion = Motion::Slow {
        fps: None,
        stretch_audio: true,
    };
    let run = job.open(&CancelToken::new())?;
    // The plan says what happens to the frames and to each stream.
    eprint!("{}", run.plan());
    let summary = run.run(&mut |_| ())?;
    for warning in &summary.warnings {
        eprintln!("warning: {warning}");
    }
    println!(
        "{output}: {} frames, {:.2} s",
        summary.written.frames,
        time::seconds(summary.written.duration)
    );
    Ok(())
}
