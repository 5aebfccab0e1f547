//! `rife join`: joins the shards of a job, by the command that they have recorded or by the arguments; waits for them if asked
//! to.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use rife::media::sink::{CommandLine, ShardState, Share, shard_states};
use rife::media::{CancelToken, counted};
use rife::video::{VideoJob, duration_text};
use rife::{Error, Result};

use super::{job, shown, video};
use crate::args::{Cli, Command, JoinArgs, TaskArgs, VideoArgs};
use crate::output;

/// Interval between two looks at the shards.
const POLL: Duration = Duration::from_secs(1);

/// Joins the segments of all shards of a job.
pub(crate) fn run(mut args: JoinArgs, cancel: &CancelToken) -> Result<()> {
    let given = args.output.take();
    let target = match &given {
        Some(output) => output.clone(),
        None => target(&args)?,
    };
    let work_dir = args.work_dir.clone();
    if let Some(limit) = args.wait {
        wait(&target, work_dir.as_deref(), limit, cancel)?;
    }
    let mut job = match given {
        Some(_) => {
            let mut job = job::build(args.task, Some(&target))?;
            job.keep.segment_frames = args.segment_frames;
            job
        }
        None => recorded_job(&args.task, &target, work_dir.as_deref())?,
    };
    job.sink.overwrite = args.overwrite;
    job.manifest = args.manifest;
    job.work_dir = work_dir;
    job.share = Some(Share::Join);
    video::run_one(job, None, args.json, output::is_quiet(), cancel)
}

/// Text between the output's name and the numbers in the name of a shard's folder.
const SHARD: &str = ".rife-shard-";

/// Returns the output that the positional argument means: itself, or that of a shard's folder or of the shards in a folder.
fn target(args: &JoinArgs) -> Result<PathBuf> {
    let [path] = &args.task.inputs[..] else {
        let text =
            "one output is taken here: rife join OUT, or rife join IN -o OUT with the options of the shards";
        return Err(Error::Usage(text.into()));
    };
    let own = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        let (output, numbers) = name.rsplit_once(SHARD)?;
        numbers.contains("-of-").then(|| path.with_file_name(output))
    };
    if let Some(target) = own(path) {
        return Ok(target);
    }
    if !path.is_dir() {
        return Ok(path.clone());
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::io("read", path, error))?;
    let mut targets: Vec<_> = entries.flatten().filter_map(|entry| own(&entry.path())).collect();
    targets.sort();
    targets.dedup();
    match &targets[..] {
        [target] => Ok(target.clone()),
        [] => Err(Error::Data(format!("there are no shards in {}", shown(path)))),
        [first, second, ..] => Err(Error::Usage(format!(
            "{} has shards of several outputs, such as {} and {}: name one of them",
            shown(path),
            shown(first),
            shown(second)
        ))),
    }
}

/// Makes the job that the shards of `target` have recorded.
fn recorded_job(given: &TaskArgs, target: &Path, work_dir: Option<&Path>) -> Result<VideoJob> {
    check_no_options(given)?;
    let states = shard_states(target, work_dir)?;
    let missing = || {
        Error::Data(match states.is_empty() {
            true => format!("there are no shards of {} beside it", shown(target)),
            false => format!(
                "the shards of {} have not recorded their command: rife join IN -o {} with their options joins them",
                shown(target),
                shown(target)
            ),
        })
    };
    let command = states
        .iter()
        .find_map(|state| state.command.clone())
        .ok_or_else(missing)?;
    let VideoArgs { mut task, keep, .. } = parsed(&command)?;
    resolve(&mut task, &command.folder);
    if let Some(input) = task
        .inputs
        .first()
        .filter(|input| input.symlink_metadata().is_err())
    {
        return Err(Error::Data(format!(
            "the input of the shards, {}, is not there: rife join IN -o {} with their options takes it from elsewhere",
            shown(input),
            shown(target)
        )));
    }
    let mut job = job::build(task, Some(target))?;
    job.keep.segment_frames = keep.keep().segment_frames;
    Ok(job)
}

/// Refuses options beside an output whose options are recorded.
fn check_no_options(given: &TaskArgs) -> Result<()> {
    if given.options() == rife::options::VideoOptions::default() {
        return Ok(());
    }
    let text = "without --output the options are those that the shards have recorded: leave out those of the job here";
    Err(Error::Usage(text.into()))
}

/// Parses the command that a shard has recorded.
fn parsed(command: &CommandLine) -> Result<VideoArgs> {
    let words = std::iter::once("rife").chain(command.words.iter().map(String::as_str));
    match Cli::try_parse_from(words).map(|cli| cli.command) {
        Ok(Command::Video(args)) => Ok(*args),
        _ => Err(Error::Data(format!(
            "the command that the shards have recorded is not understood: rife {}",
            output::one_line(&command.words.join(" "))
        ))),
    }
}

/// Makes relative paths of a command that was run in `folder` absolute.
fn resolve(task: &mut TaskArgs, folder: &Path) {
    let paths = task.inputs.iter_mut().chain(&mut task.video).chain(&mut task.img);
    paths
        .chain(&mut task.scene.0.cuts)
        .filter(|path| **path != Path::new("-"))
        .for_each(|path| *path = folder.join(&*path));
    let model = folder.join(&task.model.0.model);
    if let Some(model) = model.to_str().filter(|_| model.exists()) {
        task.model.0.model = model.to_owned();
    }
}

/// Waits until all shards of `target` are complete.
///
/// # Errors
/// [`Error::Failure`] after `limit`; [`Error::Cancelled`]; those of [`shard_states`].
fn wait(target: &Path, work_dir: Option<&Path>, limit: Duration, cancel: &CancelToken) -> Result<()> {
    let start = Instant::now();
    let mut said = String::new();
    loop {
        let states = shard_states(target, work_dir)?;
        let Some(missing) = missing(&states) else {
            return Ok(());
        };
        if start.elapsed() >= limit {
            return Err(Error::Failure(format!(
                "after {} the shards of {} are not complete: {missing}",
                duration_text(limit),
                shown(target)
            )));
        }
        if missing != said {
            output::say(&format!("waiting for the shards of {}: {missing}", shown(target)));
            said = missing;
        }
        let end = Instant::now() + POLL.min(limit.saturating_sub(start.elapsed()));
        while Instant::now() < end {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Describes the shards that are not complete; `None` where all are.
fn missing(states: &[ShardState]) -> Option<String> {
    let count = match states.first() {
        None => return Some("none has begun".to_owned()),
        Some(state) => state.shard.count,
    };
    let done = states.iter().filter(|state| state.complete).count();
    let unfinished = |index: &u32| {
        !states
            .iter()
            .any(|state| state.shard.index == *index && state.complete)
    };
    let open: Vec<_> = (1..=count).filter(unfinished).collect();
    if open.is_empty() {
        return None;
    }
    let begun = |index: &u32| match states.iter().find(|state| state.shard.index == *index) {
        None => format!("{index} has not begun"),
        Some(state) => format!("{index} has {}", counted(state.segments as u64, "segment")),
    };
    let mut names: Vec<_> = open.iter().take(5).map(begun).collect();
    if open.len() > names.len() {
        names.push(format!("and {} more", open.len() - names.len()));
    }
    Some(format!("{done} of {count} are complete; {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use rife::media::sink::Shard;

    use super::*;

    #[test]
    fn missing_shards_are_named() {
        let state = |index, complete| ShardState {
            shard: Shard { index, count: 3 },
            segments: 2,
            complete,
            command: None,
        };
        assert_eq!(missing(&[]).unwrap(), "none has begun");
        assert_eq!(
            missing(&[state(1, true), state(3, false)]).unwrap(),
            "1 of 3 are complete; 2 has not begun, 3 has 2 segments"
        );
        assert_eq!(missing(&[1, 2, 3].map(|index| state(index, true))), None);
    }
}
