//! `rife info`: prints the streams of a file and the plan of a video job for it, optionally with the time of each layer.

use std::path::{Path, PathBuf};

use rife::batch::expand;
use rife::media::probe::{MediaStream, StreamKind};
use rife::media::{CancelToken, Input, MediaInfo, counted, time};
use rife::video::VideoRun;
use rife::{Error, ErrorKind, Interpolator, Result};
use rife_eval::benchmark::{self, LayerTime};
use serde_json::{Value, json};

use super::{job, video};
use crate::args::InfoArgs;
use crate::output;

/// Plans the job and prints streams, plan and layers as text or JSON; of several files, a summary of each.
pub(crate) fn run(args: InfoArgs, cancel: &CancelToken) -> Result<()> {
    let mut files = Vec::new();
    for input in &args.task.inputs {
        files.extend(expand(input)?);
    }
    if files.len() > 1 || files != args.task.inputs {
        return summaries(args, files, cancel);
    }
    let report = args.task.only_report();
    let job = job::build(args.task, None)?;
    if report {
        return video::report_duplicates(&job, args.json, false, cancel);
    }
    let mut spec = job.interpolator.clone();
    spec.cancel = cancel.clone();
    let run = job.open(cancel)?;
    let layers = match args.plan {
        true => benchmark::measure_layers(&Interpolator::new(&spec)?, run.plan().size)?,
        false => Vec::new(),
    };
    if args.json {
        let mut object = json!({ "plan": video::plan_json(run.plan()) });
        if args.plan {
            object["layers"] = json!(layers);
        }
        if let Some(media) = run.media() {
            object["media"] = media_json(media);
        }
        return output::line(&object.to_string());
    }
    if let Some(media) = run.media() {
        output::line(&output::plain(&media_text(media)))?;
    }
    output::line(&output::plain(&run.plan().to_string()))?;
    layers
        .iter()
        .try_for_each(|layer| output::line(&layer_text(layer)))
}

/// Prints a summary of each file: what it is, the result's name, and the cost. A file that cannot be read does not stop the others.
fn summaries(args: InfoArgs, files: Vec<PathBuf>, cancel: &CancelToken) -> Result<()> {
    if args.plan {
        return Err(Error::Usage("--plan takes one file".into()));
    }
    let template = job::template(args.task)?;
    let (total, mut failed) = (files.len() as u64, Vec::new());
    for file in files {
        let mut job = template.clone();
        job.source.input = Input::File(file.clone());
        match job.open(cancel) {
            Ok(run) => summary(&run, &file, args.json)?,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => {
                let text = output::one_line(&error.to_string());
                if args.json {
                    let object =
                        json!({"path": file.display().to_string(), "code": error.code(), "message": text});
                    output::line(&object.to_string())?;
                } else {
                    output::note(&format!("{} {text}", output::error_prefix()));
                }
                failed.push(error.kind());
            }
        }
    }
    let Some(first) = failed.first() else {
        return Ok(());
    };
    let kind = match failed.iter().all(|kind| kind == first) {
        true => *first,
        false => ErrorKind::Failure,
    };
    let message = format!(
        "{} of {} cannot be processed",
        failed.len(),
        counted(total, "file")
    );
    Err(Error::Several { message, kind })
}

/// Prints the summary of one file.
fn summary(run: &VideoRun, file: &Path, as_json: bool) -> Result<()> {
    if as_json {
        let mut object = json!({"path": file.display().to_string(), "plan": video::plan_json(run.plan())});
        if let Some(media) = run.media() {
            object["media"] = media_json(media);
        }
        return output::line(&object.to_string());
    }
    let plan = run.plan().to_string();
    let lines = plan.lines().filter(|line| {
        ["in:", "out:", "needs:"]
            .iter()
            .any(|start| line.starts_with(start))
    });
    lines.map(output::plain).try_for_each(|line| output::line(&line))
}

/// Formats one convolution: kind, channels, size, time, speed and kernel.
fn layer_text(layer: &LayerTime) -> String {
    let [channels, height, width] = layer.input;
    format!(
        "  {:4} {channels:3} -> {:3} at {:9} {:7.2} ms {:6.0} G multiply-adds/s  {}",
        layer.kind,
        layer.output,
        format!("{width}x{height}"),
        layer.ms,
        layer.gmacs_a_second,
        layer.kernel
    )
}

/// Formats a file's streams as JSON.
fn media_json(media: &MediaInfo) -> Value {
    let stream = |stream: &MediaStream| {
        json!({
            "index": stream.index,
            "kind": kind(stream.kind),
            "codec": stream.codec,
            "language": stream.language,
            "title": stream.title,
            "description": details(stream),
        })
    };
    json!({
        "path": media.path.display().to_string(),
        "container": media.container,
        "duration_s": media.duration.map(time::seconds),
        "streams": media.streams.iter().map(stream).collect::<Vec<_>>(),
        "chapters": media.chapters.len(),
        "metadata": media.metadata.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

/// Formats a file's streams as text, a line each.
fn media_text(media: &MediaInfo) -> String {
    let duration = media
        .duration
        .map_or("unknown length".into(), |d| format!("{:.3} s", time::seconds(d)));
    let mut text = format!(
        "{}: {}, {duration}",
        rife_files::shown(&media.path),
        media.container
    );
    for stream in &media.streams {
        let language = stream.language.as_ref().map_or(String::new(), |language| {
            format!(" [{}]", output::one_line(language))
        });
        let details = match details(stream).as_str() {
            "" => String::new(),
            details => format!(", {details}"),
        };
        text += &format!(
            "\n  {} {}{language}: {}{details}",
            stream.index,
            kind(stream.kind),
            stream.codec,
        );
    }
    if !media.chapters.is_empty() {
        text += &format!("\n  {}", counted(media.chapters.len() as u64, "chapter"));
    }
    text
}

/// Names the kind of a stream, for people.
fn kind(kind: StreamKind) -> &'static str {
    match kind {
        StreamKind::Video => "video",
        StreamKind::CoverArt => "cover art",
        StreamKind::Audio => "audio",
        StreamKind::Subtitle => "subtitle",
        StreamKind::Attachment => "attachment",
        StreamKind::Data => "data",
    }
}

/// Describes the size, format and rate of a video stream, or the channels and rate of an audio stream; empty for others.
fn details(stream: &MediaStream) -> String {
    if let Some(video) = &stream.video {
        let rate = video
            .frame_rate
            .map_or(String::new(), |rate| format!(", {:.3} fps", time::seconds(rate)));
        let variable = if video.variable_rate { " (variable)" } else { "" };
        let turned = if video.rotation == 0 {
            String::new()
        } else {
            format!(", turned {} degrees", video.rotation)
        };
        let format = match video.pixel_format.as_str() {
            "" => String::new(),
            name => format!(" {name}"),
        };
        return format!("{}x{}{format}{rate}{variable}{turned}", video.width, video.height);
    }
    let audio = |(channels, rate): (u32, u32)| format!("{channels} channels, {rate} Hz");
    stream.audio.map_or(String::new(), audio)
}
