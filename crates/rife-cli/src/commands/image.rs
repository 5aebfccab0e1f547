//! `rife image`: the pictures between two pictures.

use std::path::PathBuf;

use rife::Result;
use rife::image::{Between, ImageJob};
use rife::media::CancelToken;
use serde_json::json;

use super::shown;
use crate::args::ImageArgs;
use crate::output;
use crate::progress::Progress;

/// Where the original writes its pictures.
const FOLDER: &str = "output";
/// The original's number of passes.
const EXP: u32 = 4;

pub(crate) fn run(args: ImageArgs, cancel: &CancelToken) -> Result<()> {
    if args.model.fp16 {
        output::note("--fp16 is ignored: the CPU computes in f32");
    }
    let between = match (args.timestep, args.ratio) {
        (Some(at), _) => Between::Timestep(at),
        (None, Some(ratio)) => Between::Ratio(ratio),
        (None, None) => Between::Exp(args.exp.unwrap_or(EXP)),
    };
    let mut pictures = [args.pictures, args.img].concat().into_iter();
    let mut next = || pictures.next().unwrap_or_default();
    let job = ImageJob {
        first: next(),
        second: next(),
        between,
        output: args.output.unwrap_or_else(|| PathBuf::from(FOLDER)),
        overwrite: args.overwrite,
        interpolator: match between {
            Between::Ratio(_) => args.model.recursive_spec(),
            Between::Timestep(_) | Between::Exp(_) => args.model.spec(),
        },
    };
    let mut progress = Progress::frames(None, false, args.json);
    let result = job.run(
        &mut |done, total| progress.set(done as u64, Some(total as u64), || json!({})),
        cancel,
    );
    progress.finish();
    let summary = result?;
    if args.json {
        let files: Vec<_> = summary
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let object =
            json!({"files": files, "made": summary.made, "model": summary.model, "method": summary.method});
        return output::line(&object.to_string());
    }
    output::note(&format!("model: {}\ntimes: {}", summary.model, summary.method));
    summary
        .files
        .iter()
        .try_for_each(|file| output::line(&shown(file)))
}
