//! `rife live`: raises the frame rate of a live stream.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rife::live::{LiveCounts, LiveEvent, LiveJob, LiveSummary, levels};
use rife::media::scratch::Scratch;
use rife::media::sink::{SoundAdded, add_sound};
use rife::media::source::{LiveInput, open_live};
use rife::media::{CancelToken, Codec, Ffmpeg, Input, Output, SourceSpec};
use rife::options::VideoOptions;
use rife::stream::StreamOptions;
use rife::video::{Motion, Rate, VideoJob};
use rife::{Error, Interpolator, ModelChoice, Result};
use serde_json::{Value, json};

use super::shown;
use crate::args::LiveArgs;
use crate::output;

/// Preset of software H.264 and H.265 encoders, which have to keep up beside the network.
const PRESET: &str = "veryfast";

/// Runs the job until the input ends or `cancel` is set.
pub(crate) fn run(args: LiveArgs, cancel: &CancelToken) -> Result<()> {
    let options = args.options();
    check_options(&options)?;
    let job = video_job(&args, &options)?;
    output::check_stdout(&job.sink.output)?;
    // The first Ctrl-C ends the input; the output is completed.
    let mut sink = job.sink.clone();
    sink.overwrite = args.overwrite;
    sink.inputs.push(args.input.clone());
    if sink.preset.is_none()
        && matches!(sink.codec, None | Some(Codec::H264 | Codec::H265))
        && sink.encoder.is_none()
    {
        sink.preset =
            (matches!(&sink.output, Output::File(path) if takes_preset(path))).then(|| PRESET.to_owned());
    }
    let interpolator = Arc::new(Interpolator::new(&job.interpolator)?);
    let fast = fast_networks(&args, &job)?;
    let mut input = LiveInput::new(&args.input);
    (input.protocols, input.format, input.raw) = (args.protocol.clone(), args.input_format.clone(), args.raw);
    let sound = match &job.sink.output {
        Output::File(path) if !job.video_only && !input.is_plain() => Some(Sound::beside(path)?),
        _ => None,
    };
    input.sound = sound.as_ref().map(Sound::path);
    let mut spec = SourceSpec::new(Input::Stdin);
    spec.cancel = cancel.clone();
    spec.frame_rate = job.source.frame_rate;
    let source = open_live(&input, &spec)?;
    let rate = source
        .info()
        .frame_rate
        .ok_or_else(|| Error::Data("the stream has no frame rate".into()))?;
    let stream = stream_options(&job, rate)?;
    let mut found = levels(&interpolator, &fast, stream.timeline.mode, rate);
    if args.fixed {
        found.truncate(1);
    }
    let names: Vec<_> = found.iter().map(|level| level.name.clone()).collect();
    let mut live = LiveJob::new(sink, stream, found);
    live.delay = args.delay;
    live.paced_here = input.is_file();
    let reporter = Reporter {
        json: args.json,
        on_stdout: job.sink.output != Output::Stdout,
        names,
    };
    if !args.json {
        output::say(&format!(
            "model:   {}, {}",
            interpolator.version(),
            interpolator.engine()
        ));
    }
    let mut summary = live.run(source, cancel, &mut |event| reporter.event(event))?;
    let added = match (&sound, &summary.written.path) {
        (Some(sound), Some(path)) => sound.add_to(path),
        _ => Ok(SoundAdded::None),
    };
    let added = added.unwrap_or_else(|error| {
        summary
            .warnings
            .push(format!("the sound could not be added: {error}"));
        SoundAdded::None
    });
    reporter.summary(&summary, added)
}

/// The sound of the stream, which is kept in a file beside the output until the video is complete.
struct Sound {
    folder: Scratch,
}

impl Sound {
    /// Makes a place for the sound of the output `path`.
    fn beside(path: &Path) -> Result<Self> {
        let folder = Scratch::beside(path)?;
        Ok(Self { folder })
    }

    /// Returns the path of the file for the sound.
    fn path(&self) -> PathBuf {
        self.folder.path().join("sound.nut")
    }

    /// Adds the sound to the finished file `video`. Also after Ctrl-C, which ends the input only.
    fn add_to(&self, video: &Path) -> Result<SoundAdded> {
        Ok(add_sound(
            &Ffmpeg::find()?,
            video,
            &self.path(),
            &CancelToken::new(),
        )?)
    }
}

/// Reports whether the encoder of a file has presets by default.
fn takes_preset(path: &Path) -> bool {
    let name = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    matches!(
        name.as_str(),
        "mp4" | "mov" | "mkv" | "avi" | "ts" | "m2ts" | "nut" | "m4v" | "flv"
    )
}

/// Refuses options without a meaning for a live stream.
fn check_options(options: &VideoOptions) -> Result<()> {
    let VideoOptions {
        rate,
        scene,
        encode,
        model,
        ..
    } = options;
    let refused = [
        (rate.slow_motion || rate.stretch_audio, "--slow-motion"),
        (rate.start.is_some() || rate.end.is_some(), "--start and --end"),
        (
            scene.cuts.is_some() || scene.cuts_out.is_some(),
            "--cuts and --cuts-out",
        ),
        (scene.fallback.is_some(), "--fallback"),
        (
            scene.deinterlace || scene.inverse_telecine || scene.allow_interlaced,
            "--deinterlace, --inverse-telecine and --allow-interlaced",
        ),
        (
            scene.duplicates == rife::options::Duplicate::Report,
            "--duplicates report",
        ),
        (
            encode.png || encode.montage || encode.ext.is_some(),
            "--png, --montage and --ext",
        ),
        (encode.hwaccel != "none", "--hwaccel"),
        (model.memory_limit.is_some(), "--memory-limit"),
    ];
    match refused.into_iter().find(|(given, _)| *given) {
        Some((_, names)) => Err(Error::Usage(format!("a live stream does not take {names}"))),
        None => Ok(()),
    }
}

/// Makes a video job of the options, whose parts the live job uses.
fn video_job(args: &LiveArgs, options: &VideoOptions) -> Result<VideoJob> {
    let output = Output::parse(&args.output);
    if !matches!(output, Output::File(_) | Output::Stdout) {
        let text = format!(
            "{} is neither a video file nor - for standard output",
            shown(&args.output)
        );
        return Err(Error::Usage(text));
    }
    let mut job = VideoJob::new(Input::Stdin, output);
    options.apply(&mut job)?;
    Ok(job)
}

/// Loads the networks of `--fast-model`.
fn fast_networks(args: &LiveArgs, job: &VideoJob) -> Result<Vec<Arc<Interpolator>>> {
    let load = |name: &String| {
        let mut spec = job.interpolator.clone();
        spec.model = ModelChoice::parse(name);
        spec.version = None;
        Interpolator::new(&spec).map(Arc::new)
    };
    args.fast_model.iter().map(load).collect()
}

/// Returns the options of the stream of frames for a source of this rate.
fn stream_options(job: &VideoJob, rate: rife::Ratio<i64>) -> Result<StreamOptions> {
    use rife::media::{TimelineMode, TimelineOptions};
    // A target rate keeps the output's rate where source frames are left out.
    let mode = match (job.rate, job.motion) {
        (Rate::Factor(factor), Motion::Normal) => TimelineMode::TargetRate(rate * i64::from(factor)),
        (Rate::Multiple(factor), Motion::Normal) => TimelineMode::TargetRate(rate * factor),
        (Rate::Fps(fps), Motion::Normal) if fps < rate => {
            return Err(Error::Usage(format!(
                "--fps {fps} is below the stream's rate of {rate} frames a second"
            )));
        }
        (Rate::Fps(fps), Motion::Normal) => TimelineMode::TargetRate(fps),
        (_, Motion::Slow { .. }) => return Err(Error::Usage("a live stream cannot be slowed down".into())),
    };
    let mut options = StreamOptions::default();
    options.timeline = TimelineOptions::new(mode);
    options.cuts = job.cuts.clone();
    (options.cut_fill, options.duplicates) = (job.cut_fill, job.duplicates);
    options.mask_static = job.mask_static;
    Ok(options)
}

/// Printer of a live job's events.
struct Reporter {
    json: bool,
    /// Whether standard output is free for lines.
    on_stdout: bool,
    /// Names of the levels.
    names: Vec<String>,
}

impl Reporter {
    /// Prints an event.
    fn event(&self, event: &LiveEvent) {
        match event {
            LiveEvent::Begins { delay, ahead } => {
                let seconds = delay.as_secs_f64();
                self.line(
                    &json!({"event": "begins", "delay_s": seconds, "frames_ahead": ahead, "levels": self.names}),
                    &format!("delay:   {seconds:.3} s, with {ahead} source frames seen ahead"),
                );
            }
            LiveEvent::Level { name, index, down } => {
                let why = if *down {
                    "the machine cannot keep up"
                } else {
                    "there is time again"
                };
                self.line(
                    &json!({"event": "level", "level": index, "name": name, "down": down}),
                    &format!(
                        "live:    {why}: {name} (level {} of {})",
                        index + 1,
                        self.names.len()
                    ),
                );
            }
            LiveEvent::Counts(counts) if self.json => {
                let mut line = counts_json(counts);
                line["event"] = json!("progress");
                self.line(&line, "");
            }
            _ => {}
        }
    }

    /// Prints the summary.
    fn summary(&self, summary: &LiveSummary, sound: SoundAdded) -> Result<()> {
        let LiveSummary {
            counts,
            delays,
            written,
            warnings,
            clock_moved,
            level_seconds,
            ..
        } = summary;
        let mut line = counts_json(counts);
        line["event"] = json!("done");
        line["output"] = json!(written.path.as_ref().map(|path| path.display().to_string()));
        let seconds = |time: std::time::Duration| time.as_secs_f64();
        line["delay_s"] = json!({
            "first": seconds(delays.first), "median": seconds(delays.median), "p99": seconds(delays.most),
            "max": seconds(delays.max),
        });
        line["level_s"] = json!(self.names.iter().zip(level_seconds).collect::<Vec<_>>());
        line["clock_moved_s"] = json!(clock_moved);
        let added = match sound {
            SoundAdded::None => None,
            SoundAdded::Copied => Some("copied"),
            SoundAdded::Encoded => Some("encoded"),
        };
        line["sound"] = json!(added);
        line["warnings"] = json!(warnings);
        let mut text = self.text(summary);
        if let Some(added) = added {
            text += &format!("\n  sound: {added}");
        }
        self.line(&line, &text);
        Ok(())
    }

    /// Formats the summary for people.
    fn text(&self, summary: &LiveSummary) -> String {
        let LiveSummary {
            counts,
            delays,
            written,
            warnings,
            clock_moved,
            level_seconds,
            ..
        } = summary;
        let path = written
            .path
            .as_ref()
            .map_or("standard output".into(), |path| shown(path));
        let mut text = format!(
            "{path}: {} frames from {} ({} computed), {} repeated since there was no time, {} source frames left out",
            counts.frames_out, counts.frames_in, counts.made, counts.late, counts.dropped
        );
        text += &format!(
            "\n  delay: first {:.3} s, median {:.3} s, 99% within {:.3} s, at most {:.3} s",
            delays.first.as_secs_f64(),
            delays.median.as_secs_f64(),
            delays.most.as_secs_f64(),
            delays.max.as_secs_f64()
        );
        for (name, seconds) in self
            .names
            .iter()
            .zip(level_seconds)
            .filter(|(_, seconds)| **seconds > 0.0)
        {
            text += &format!("\n  {seconds:.1} s: {name}");
        }
        if *clock_moved > 0.1 {
            text += &format!("\n  the clock followed the source by {clock_moved:.2} s");
        }
        for warning in warnings {
            text += &format!("\n  note: {}", output::one_line(warning));
        }
        text
    }

    /// Prints `object` with `--json`, else `text` unless quiet.
    fn line(&self, object: &Value, text: &str) {
        match (self.json, self.on_stdout) {
            (true, true) => drop(output::line(&object.to_string())),
            (true, false) => output::note(&object.to_string()),
            (false, _) => output::say(&output::plain(text)),
        }
    }
}

/// Formats counts as JSON.
fn counts_json(counts: &LiveCounts) -> Value {
    json!({
        "frames_in": counts.frames_in, "frames_out": counts.frames_out, "made": counts.made,
        "late": counts.late, "dropped": counts.dropped,
    })
}
