//! `rife sample`: renders the sample clip, compares a result with its true clip, or draws the README's image.

use rife::media::CancelToken;
use rife::{Error, Result};
use rife_eval::benchmark;
use rife_eval::sample::{self, SampleSpec};
use serde_json::json;

use super::benchmark::print_against;
use super::{interpolator, shown};
use crate::args::SampleArgs;
use crate::output;

/// Frame rate of the true clip relative to the sample clip.
const FACTOR: u32 = 2;

/// Runs the task that the options select.
pub(crate) fn run(args: SampleArgs, cancel: &CancelToken) -> Result<()> {
    if let Some(picture) = &args.picture {
        sample::picture(picture, &interpolator(&args.model, cancel)?, args.overwrite)?;
        return written(std::slice::from_ref(picture), args.json);
    }
    if let (Some(result), Some(truth)) = (&args.compare, &args.truth) {
        let found = benchmark::compare_clips(truth, result, FACTOR, cancel)?;
        print_against(&found, args.json)?;
        if !args.json {
            output::line(&format!("the result is in {}", shown(result)))?;
        }
        return Ok(());
    }
    let output = args
        .output
        .ok_or_else(|| Error::Usage("a name for the sample is needed".into()))?;
    let [width, height] = args.size;
    if width % 2 + height % 2 > 0 {
        return Err(Error::Usage(format!(
            "the sample's sides are even, not {width}x{height}"
        )));
    }
    let mut spec = SampleSpec::default();
    (spec.width, spec.height, spec.seconds) = (width, height, args.seconds);
    let truth = args.truth.as_deref().map(|truth| (truth, FACTOR));
    written(
        &sample::write(&spec, &output, truth, args.overwrite, cancel)?,
        args.json,
    )
}

/// Prints the paths of written files.
fn written(files: &[std::path::PathBuf], json: bool) -> Result<()> {
    if json {
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        return output::line(&json!({ "files": files }).to_string());
    }
    files.iter().try_for_each(|file| output::line(&shown(file)))
}
