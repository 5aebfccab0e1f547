//! The arguments of `rife video` and `rife info` as a video job.

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife::media::scene::{CutList, CutRule};
use rife::media::sink::ImageFormat;
use rife::media::{Codec, Fit, Input, Output};
use rife::video::{CutFill, Duplicates, Fallback, Motion, Rate, VideoJob};
use rife::{Error, Result};

use crate::args::TaskArgs;
use crate::args::{CodecArg, CutFillArg, DuplicatesArg, FallbackArg, FitArg, MaskStaticArg};
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
    if args.encode.png {
        return Err(Error::Usage("--png takes one input".into()));
    }
    of_input(args, Input::File(PathBuf::new()), None)
}

fn of_input(args: TaskArgs, input: Input, output: Option<&Path>) -> Result<VideoJob> {
    let pictures = args.encode.png || args.img.is_some();
    let beside = || {
        let extension = args.encode.ext.clone().unwrap_or_else(|| "mp4".to_owned());
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
    job.like_source = beside.is_some() && args.encode.ext.is_none();
    (job.extension, job.folder) = (beside, folder);
    (job.rate, job.motion) = timing(&args)?;
    job.source.frame_rate = args.rate.input_fps;
    (job.source.deinterlace, job.source.allow_interlaced) =
        (args.scene.deinterlace, args.scene.allow_interlaced);
    job.source.inverse_telecine = args.scene.inverse_telecine;
    job.cuts = match &args.scene.cuts {
        Some(path) => CutRule::Listed(read_cuts(path)?),
        None => CutRule::Detect(args.scene.cut_threshold),
    };
    job.cuts_out = args.scene.cuts_out.clone();
    job.cut_fill = match args.scene.cut_fill {
        CutFillArg::Repeat => CutFill::Repeat,
        CutFillArg::Blend => CutFill::Blend,
    };
    job.fallback = args.scene.fallback.map(|how| Fallback {
        below: args.scene.fallback_below,
        fill: match how {
            FallbackArg::Blend => CutFill::Blend,
            FallbackArg::Hold => CutFill::Repeat,
        },
    });
    job.mask_static = args.scene.mask_static == MaskStaticArg::Auto;
    job.duplicates = match args.scene.duplicates {
        DuplicatesArg::Smooth => Duplicates::Smooth,
        DuplicatesArg::Keep => Duplicates::Keep,
        DuplicatesArg::Report => {
            let text = "--duplicates report looks at one clip, with `rife video CLIP` or `rife info CLIP`";
            return Err(Error::Usage(text.into()));
        }
    };
    job.sink.codec = args.encode.codec.map(codec);
    (job.sink.crf, job.sink.preset) = (args.encode.crf, args.encode.preset.clone());
    job.sink.encoder = args.encode.encoder.clone();
    job.source.hwaccel = (args.encode.hwaccel != "none").then(|| args.encode.hwaccel.clone());
    (job.video_only, job.montage) = (args.encode.video_only, args.encode.montage);
    job.interpolator = args.model.spec();
    Ok(job)
}

/// A list of cuts; longer files are none.
fn read_cuts(path: &Path) -> Result<CutList> {
    const MOST: u64 = 16 << 20;
    let io = |error| Error::io("read", path, error);
    let text = rife_files::read_regular(path, MOST).map_err(io)?;
    let list = CutList::parse(&String::from_utf8_lossy(&text));
    list.map_err(|error| Error::Usage(format!("{}: {error}", path.display())))
}

fn timing(args: &TaskArgs) -> Result<(Rate, Motion)> {
    let rate = &args.rate;
    let factor = rate.factor.or(rate.exp.map(|exp| Ratio::from(1 << exp)));
    let usual = Ratio::from(2);
    if rate.slow_motion {
        let motion = Motion::Slow {
            fps: rate.fps,
            stretch_audio: rate.stretch_audio,
        };
        return Ok((Rate::times(factor.unwrap_or(usual)), motion));
    }
    match (rate.fps, factor) {
        (Some(_), Some(_)) => Err(Error::Usage(
            "--fps is a target rate and needs no factor; to play a factor's frames at that rate, add --slow-motion".into(),
        )),
        (Some(fps), None) => Ok((Rate::Fps(fps), Motion::Normal)),
        (None, factor) => Ok((Rate::times(factor.unwrap_or(usual)), Motion::Normal)),
    }
}

/// The codec that an option names.
pub(super) fn codec(codec: CodecArg) -> Codec {
    match codec {
        CodecArg::H264 => Codec::H264,
        CodecArg::H265 => Codec::H265,
        CodecArg::Av1 => Codec::Av1,
        CodecArg::Vp9 => Codec::Vp9,
        CodecArg::Prores => Codec::ProRes,
        CodecArg::Ffv1 => Codec::Ffv1,
        CodecArg::Gif => Codec::Gif,
    }
}

/// The rule that an option names.
pub(super) fn fit(fit: FitArg) -> Fit {
    match fit {
        FitArg::Pad => Fit::Pad,
        FitArg::Crop => Fit::Crop,
        FitArg::Stretch => Fit::Stretch,
    }
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
