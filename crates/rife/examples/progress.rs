//! Doubles a video's frame rate with a line of progress, and stops when Enter is pressed:
//! `cargo run --release -p rife --example progress IN.mp4 OUT.mp4`. Started again, it resumes after the last complete
//! segment.

use std::error::Error;
use std::thread;
use std::time::Instant;

use rife::ErrorKind;
use rife::media::{CancelToken, Input, Output};
use rife::video::{Progress, VideoJob};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cancel = CancelToken::new();
    let stop = cancel.clone();
    thread::spawn(move || {
        // The end of standard input does not stop the job.
        if std::io::stdin()
            .read_line(&mut String::new())
            .is_ok_and(|read| read > 0)
        {
            stop.cancel();
        }
    });
    run(&arguments, &cancel)
}

/// Runs the job with the command-line arguments `IN OUT`.
pub(crate) fn run(arguments: &[String], cancel: &CancelToken) -> Result<(), Box<dyn Error>> {
    let [input, output] = arguments else {
        return Err("usage: progress IN.mp4 OUT.mp4".into());
    };
    let run = VideoJob::new(Input::parse(input), Output::parse(output)).open(cancel)?;
    let start = Instant::now();
    let result = run.run(&mut |progress| eprint!("\r{}", line(progress, start)));
    eprintln!();
    match result {
        Ok(summary) => {
            println!("{output}: {:.1} frames a second", summary.frames_per_second());
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::Cancelled => Err("stopped; start it again to go on".into()),
        Err(error) => Err(error.into()),
    }
}

/// Formats the progress with an estimate of the remaining time.
fn line(progress: &Progress, start: Instant) -> String {
    // Frames of an earlier run do not count for the speed.
    let done = progress.stream.frames_out - progress.resumed;
    let Some(total) = progress.total_out.filter(|total| *total > 0 && done > 0) else {
        return format!("{} frames", progress.stream.frames_out);
    };
    let each = start.elapsed().as_secs_f64() / done as f64;
    let left = each * total.saturating_sub(progress.stream.frames_out) as f64;
    let percent = 100 * progress.stream.frames_out / total;
    format!(
        "{percent:3} %  {} of {total} frames, {left:.0} s left ",
        progress.stream.frames_out
    )
}
