//! The arguments of `rife video` and `rife info` as a video job.

use std::path::{Path, PathBuf};

use rife::media::sink::ImageFormat;
use rife::media::{Input, Output};
use rife::video::VideoJob;
use rife::{Error, Result};

use crate::args::TaskArgs;
use crate::output;

/// Where the original puts its pictures.
const PICTURES: &str = "vid_out";

/// The job that the arguments describe, into `output` or beside the input.
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

/// The job for inputs that are named later, into files beside them.
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

fn of_input(args: TaskArgs, input: Input, output: Option<&Path>) -> Result<VideoJob> {
    let options = args.options();
    let pictures = options.encode.png || args.img.is_some();
    let beside = || {
        let extension = options.encode.ext.clone().unwrap_or_else(|| "mp4".to_owned());
        (Output::File(PathBuf::new()), Some(extension))
    };
    let mut folder = None;
    let (output, beside) = match output.map(|path| (path, Output::parse(path))) {
        Some((_, pattern @ Output::Images(..))) if pattern.is_pattern() => (pattern, None),
        Some((path, _)) if pictures => (Output::Images(path.into(), ImageFormat::Png), None),
        // Of pictures more pictures are made, of a video a video in this folder.
        Some((path, Output::Images(..))) if !matches!(input, Input::Images(_)) => {
            folder = Some(path.to_owned());
            beside()
        }
        Some((_, output)) => (output, None),
        None if pictures => (Output::Images(PathBuf::from(PICTURES), ImageFormat::Png), None),
        None => beside(),
    };
    let mut job = VideoJob::new(input, output);
    job.like_source = beside.is_some() && options.encode.ext.is_none();
    (job.extension, job.folder) = (beside, folder);
    options.apply(&mut job)?;
    Ok(job)
}

/// A result's usual name in a folder that was named, which is made where it is missing.
pub(super) fn in_folder(folder: &Path, usual: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    Ok(folder.join(usual.file_name().unwrap_or_default()))
}

/// Says where the work of a job that did not come to its end is kept, where this folder is there.
pub(super) fn say_kept(error: &Error, folder: Option<PathBuf>, quiet: bool) {
    let folder = folder.filter(|folder| folder.is_dir());
    if let Some(folder) = folder.filter(|_| !quiet && error.code() != "job_changed") {
        let folder = rife_files::shown(&folder);
        let text = format!("what is done is kept in {folder}: the same command goes on from there");
        output::note(&text);
    }
}
