//! Conversion of the arguments of `rife video`, `rife join` and `rife info` to a video job.

use std::path::{Path, PathBuf};

use rife::media::sink::ImageFormat;
use rife::media::{Input, Output};
use rife::video::VideoJob;
use rife::{Error, Result};

use crate::args::TaskArgs;
use crate::output;

/// Default folder of output images, as in the original script.
const IMAGES: &str = "vid_out";

/// Makes the job of the arguments, which must have one input; without `output` the result is named after the input.
pub(super) fn build(args: TaskArgs, output: Option<&Path>) -> Result<VideoJob> {
    let input = args.img.clone().map(Input::Images).or_else(|| {
        let path = args.inputs.first().or(args.video.as_ref())?;
        Some(Input::parse(path))
    });
    let input = input.ok_or_else(|| Error::Usage("an input is needed".into()))?;
    if args.inputs.len() > 1 {
        return Err(Error::Usage(format!(
            "one input is taken here, not {}",
            args.inputs.len()
        )));
    }
    of_input(args, input, output)
}

/// Makes the job template of a batch, without input and output.
pub(super) fn template(args: TaskArgs) -> Result<VideoJob> {
    if args.encode.0.png {
        return Err(Error::Usage("--png takes one input".into()));
    }
    if args.only_report() {
        let text = "--duplicates report looks at one clip, with `rife video CLIP` or `rife info CLIP`";
        return Err(Error::Usage(text.into()));
    }
    of_input(args, Input::File(PathBuf::new()), None)
}

/// Makes the job of an input; chooses the kind of output by `output` and the options.
fn of_input(args: TaskArgs, input: Input, output: Option<&Path>) -> Result<VideoJob> {
    let options = args.options();
    let images = options.encode.png || args.img.is_some();
    let named_after_input = || {
        let extension = options.encode.ext.clone().unwrap_or_else(|| "mp4".to_owned());
        (Output::File(PathBuf::new()), Some(extension))
    };
    let mut folder = None;
    let (output, extension) = match output.map(|path| (path, Output::parse(path))) {
        Some((_, pattern @ Output::Images(..))) if pattern.is_pattern() => (pattern, None),
        Some((path, _)) if images => (Output::Images(path.into(), ImageFormat::Png), None),
        // A folder gets images if the input is a folder of images, else a video.
        Some((path, Output::Images(..))) if !matches!(input, Input::Images(_)) => {
            folder = Some(path.to_owned());
            named_after_input()
        }
        Some((_, output)) => (output, None),
        None if images => (Output::Images(PathBuf::from(IMAGES), ImageFormat::Png), None),
        None => named_after_input(),
    };
    let mut job = VideoJob::new(input, output);
    job.like_source = extension.is_some() && options.encode.ext.is_none();
    (job.extension, job.folder) = (extension, folder);
    options.apply(&mut job)?;
    Ok(job)
}

/// Returns the path of the default output name `usual` in `folder`, which is created if missing.
pub(super) fn in_folder(folder: &Path, usual: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    Ok(folder.join(usual.file_name().unwrap_or_default()))
}

/// Prints a note on the folder in which the unfinished work of a failed job is kept, if it exists.
pub(super) fn say_kept(error: &Error, folder: Option<PathBuf>, quiet: bool) {
    let folder = folder.filter(|folder| folder.is_dir());
    if let Some(folder) = folder.filter(|_| !quiet && error.code() != "job_changed") {
        let folder = rife_files::shown(&folder);
        let text = format!("what is done is kept in {folder}: the same command goes on from there");
        output::note(&text);
    }
}
