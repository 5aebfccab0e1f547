//! `rife image`: interpolates between images and prints plan, progress and the written files.

use std::path::PathBuf;

use rife::image::{ImageJob, ImagePlan, Timesteps};
use rife::media::{CancelToken, counted};
use rife::{Result, TimestepMethod};
use serde_json::json;

use super::{job, shown};
use crate::args::ImageArgs;
use crate::output;
use crate::progress::Progress;

/// Default output folder, as in the original script.
const FOLDER: &str = "output";

/// Runs the job.
pub(crate) fn run(args: ImageArgs, cancel: &CancelToken) -> Result<()> {
    if args.model.0.fp16 && args.model.0.device == rife::Device::Cpu {
        output::say("--fp16 is ignored: the CPU computes in f32");
    }
    let json = args.json;
    let run = build(args).open(cancel)?;
    let plan = run.plan().clone();
    if !json {
        output::say(&output::plain(&plan_text(&plan)));
    }
    let mut progress = Progress::frames(Some(plan.frames as u64), false, json);
    let kept = run.unfinished();
    let result = run.run(&mut |counts| {
        progress.set(counts.written as u64, Some(counts.total as u64), || json!({}));
    });
    progress.finish();
    let summary = result.inspect_err(|error| job::say_kept(error, kept, false))?;
    if json {
        let files: Vec<_> = summary
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let object = json!({
            "files": files, "frames": summary.frames, "made": summary.made, "resumed": summary.resumed, "size": plan.size,
            "duration_s": plan.duration, "model": plan.model, "method": plan.method,
            "memory_bytes": plan.memory, "disk_bytes": plan.disk, "peak_bytes": summary.peak_memory,
            "notes": summary.notes,
        });
        return output::line(&object.to_string());
    }
    for note in summary.notes.iter().filter(|note| !plan.notes.contains(note)) {
        output::say(&output::one_line(&format!("note: {note}")));
    }
    summary
        .files
        .iter()
        .try_for_each(|file| output::line(&shown(file)))
}

/// Makes the job of the arguments.
fn build(args: ImageArgs) -> ImageJob {
    let options = args.options.0;
    let timesteps = options.timesteps();
    let output = args.output.unwrap_or_else(|| PathBuf::from(FOLDER));
    let mut job = ImageJob::new([args.pictures, args.img].concat(), timesteps, output);
    options.apply(&mut job);
    job.overwrite = args.overwrite;
    job.keep = args.keep.keep();
    job.interpolator = args.model.0.spec();
    if let Timesteps::Ratio(_) = timesteps {
        job.interpolator.method = TimestepMethod::Recursive;
    }
    job
}

/// Formats a plan as text.
fn plan_text(plan: &ImagePlan) -> String {
    let [width, height] = plan.size;
    let lasts = plan
        .duration
        .map_or(String::new(), |seconds| format!(", {seconds:.2} s"));
    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
    let disk = match plan.disk {
        0 => String::new(),
        bytes => format!(" and {} MB of disk", megabytes(bytes)),
    };
    let notes: String = plan
        .notes
        .iter()
        .map(|note| format!("\nnote:  {}", output::one_line(note)))
        .collect();
    format!(
        "out:   {} of {width}x{height} ({} made){lasts}\nmodel: {}\ntimes: {}\nneeds: {} MB of memory{disk}{notes}",
        counted(plan.frames as u64, "frame"),
        plan.made,
        plan.model,
        plan.method,
        megabytes(plan.memory)
    )
}
