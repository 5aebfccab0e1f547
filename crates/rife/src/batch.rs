//! Batch jobs: a list of videos interpolated one after the other with the same options, and a watched folder (polling) whose
//! new videos are interpolated as they appear. The failure of one video does not stop the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rife_media::{CancelToken, Container, Input, natural_order};

use crate::manifest;
use crate::video::{Progress, VideoJob, VideoPlan, VideoSummary};
use crate::{Error, ErrorKind, Result};

/// A list of videos to interpolate with the same options. Each result gets a [`manifest`], by which a later run recognises
/// results that are up to date.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Batch {
    /// The options. For each video the template's input is replaced, and its output is named after the input, with the
    /// extension of [`VideoJob::extension`] (`mp4` if `None`) or that of the input's container ([`VideoJob::like_source`]).
    pub template: VideoJob,
    /// The videos.
    pub inputs: Vec<PathBuf>,
    /// The folder of the results, created if missing; each input's own folder when absent.
    pub folder: Option<PathBuf>,
}

/// A watched folder: every video that appears in it is interpolated.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Watch {
    /// The options; input and output are replaced as in [`Batch::template`].
    pub template: VideoJob,
    /// The folder in which videos appear.
    pub watched: PathBuf,
    /// The folder of the results; must differ from the watched one.
    pub folder: PathBuf,
    /// Polling interval. A file is complete once its size and modification time are the same in two successive scans.
    pub interval: Duration,
}

/// Outcome of one video.
#[derive(Debug)]
pub enum Outcome {
    /// The video was interpolated.
    Made(Box<VideoSummary>),
    /// The result, at this path, existed already with a manifest that matches the job.
    UpToDate(PathBuf),
    /// The job failed.
    Failed(Error),
}

/// An event that a running batch or watch reports.
#[derive(Debug)]
pub enum Event<'a> {
    /// A video is opened.
    Start {
        /// Zero-based index of the video.
        index: usize,
        /// The number of videos; `None` for a watched folder.
        total: Option<usize>,
        /// The video.
        input: &'a Path,
    },
    /// The current video was opened and planned; not sent if its result is up to date.
    Plan(&'a VideoPlan),
    /// Progress of the current video.
    Progress(&'a Progress),
    /// The current video (its input path) is finished.
    End(&'a Path, &'a Outcome),
}

/// Summary of a batch.
#[derive(Debug, Default)]
pub struct BatchSummary {
    /// Number of videos that were interpolated.
    pub made: usize,
    /// Number of videos whose results were up to date.
    pub up_to_date: usize,
    /// Inputs of the videos that failed, and their errors.
    pub failed: Vec<(PathBuf, Error)>,
}

impl BatchSummary {
    /// Returns one error for all failed videos, of the kind that they have in common; `Ok` if none failed.
    ///
    /// # Errors
    /// [`Error::Several`].
    pub fn check(&self) -> Result<()> {
        let Some((_, first)) = self.failed.first() else {
            return Ok(());
        };
        let kind = first.kind();
        let same_kind = self.failed.iter().all(|(_, error)| error.kind() == kind);
        let total = self.made + self.up_to_date + self.failed.len();
        Err(Error::Several {
            message: format!(
                "{} of {} failed",
                self.failed.len(),
                rife_media::counted(total as u64, "video")
            ),
            kind: if same_kind { kind } else { ErrorKind::Failure },
        })
    }

    /// Counts the outcome of the video `input`.
    fn add(&mut self, input: &Path, outcome: Outcome) {
        match outcome {
            Outcome::Made(_) => self.made += 1,
            Outcome::UpToDate(_) => self.up_to_date += 1,
            Outcome::Failed(error) => self.failed.push((input.to_owned(), error)),
        }
    }
}

/// Returns the videos of a folder in natural order (not recursive); `input` itself if it is a file or a folder without
/// videos. Videos are recognised by their file name extension; hidden files and results with a manifest are left out.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub fn expand(input: &Path) -> Result<Vec<PathBuf>> {
    if !input.is_dir() {
        return Ok(vec![input.to_owned()]);
    }
    let videos = videos(input)?;
    Ok(if videos.is_empty() {
        vec![input.to_owned()]
    } else {
        videos.into_iter().map(|(path, _)| path).collect()
    })
}

/// Size in bytes and modification time: a file that is still being written changes one of them.
type Stamp = (u64, Option<SystemTime>);

/// Lists the videos directly in `folder` in natural order, without hidden files and results with a manifest.
fn videos(folder: &Path) -> Result<Vec<(PathBuf, Stamp)>> {
    let io = |error| Error::io("read", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        // The file may have been removed since the folder was listed.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_file() && is_video_name(&path) && !manifest::path_of(&path).exists() {
            found.push((path, (metadata.len(), metadata.modified().ok())));
        }
    }
    found.sort_by(|(a, _), (b, _)| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(found)
}

/// Reports whether a file name is not hidden and has the extension of a known container.
fn is_video_name(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && Container::of(path).is_ok()
}

impl Batch {
    /// Makes a batch of `inputs` with the options of `template`, each result in its input's folder.
    pub fn new(template: VideoJob, inputs: Vec<PathBuf>) -> Self {
        Self {
            template,
            inputs,
            folder: None,
        }
    }

    /// Interpolates the videos one after the other and reports each step to `on_event`. The error of a failed video goes
    /// into the summary, and the next video follows.
    ///
    /// # Errors
    /// [`Error::Cancelled`]: the results before are complete. [`Error::Usage`] if two videos would get the same output name:
    /// then nothing is written. [`Error::Io`] for creating the folder.
    pub fn run(&self, on_event: &mut dyn FnMut(Event<'_>), cancel: &CancelToken) -> Result<BatchSummary> {
        self.check_names(cancel)?;
        if let Some(folder) = &self.folder {
            fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        }
        let mut summary = BatchSummary::default();
        let mut outputs = BTreeSet::new();
        for (index, input) in self.inputs.iter().enumerate() {
            on_event(Event::Start {
                index,
                total: Some(self.inputs.len()),
                input,
            });
            let job = job(&self.template, input, self.folder.as_deref());
            let outcome = run_one(job, &mut outputs, on_event, cancel)?;
            on_event(Event::End(input, &outcome));
            summary.add(input, outcome);
        }
        Ok(summary)
    }

    /// Refuses inputs whose results would have the same path. Only inputs with the same output folder and file stem can
    /// collide; these are opened to get their output names (those that cannot be opened are skipped).
    fn check_names(&self, cancel: &CancelToken) -> Result<()> {
        let mut groups: BTreeMap<_, Vec<&Path>> = BTreeMap::new();
        for input in &self.inputs {
            let folder = self.folder.as_deref().or(input.parent());
            let key = (folder, input.file_stem());
            groups.entry(key).or_default().push(input);
        }
        let mut outputs = BTreeSet::new();
        for input in groups.values().filter(|inputs| inputs.len() > 1).flatten() {
            match job(&self.template, input, self.folder.as_deref()).open(cancel) {
                Ok(run) => claim(run.output(), &mut outputs)?,
                Err(_) if cancel.is_cancelled() => return Err(Error::Cancelled),
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Reserves an output path in `outputs`; an error if another video of the batch has it.
fn claim(output: Option<&Path>, outputs: &mut BTreeSet<PathBuf>) -> Result<()> {
    match output {
        // Refused even if overwriting is allowed: the second input must not replace the first one's result.
        Some(output) if !outputs.insert(output.to_owned()) => Err(Error::Usage(format!(
            "{} is the result of another video of this batch: give one of them another name",
            output.display()
        ))),
        _ => Ok(()),
    }
}

impl Watch {
    /// Makes a watch of the folder `watched` with results in `folder`, the options of `template`, and a polling interval of
    /// two seconds.
    pub fn new(template: VideoJob, watched: PathBuf, folder: PathBuf) -> Self {
        Self {
            template,
            watched,
            folder,
            interval: Duration::from_secs(2),
        }
    }

    /// Scans the folder periodically until `cancel` is set, interpolates each new video once and reports each step to
    /// `on_event`. Results of an earlier watch are recognised by their manifests, and unfinished ones are resumed; a video
    /// that failed is tried again when its file changes, or by the next watch.
    ///
    /// # Errors
    /// [`Error::Cancelled`] as the normal end; [`Error::Usage`] if both folders are the same; [`Error::Io`].
    pub fn run(&self, on_event: &mut dyn FnMut(Event<'_>), cancel: &CancelToken) -> Result<BatchSummary> {
        fs::create_dir_all(&self.folder).map_err(|error| Error::io("create", &self.folder, error))?;
        self.check_folders()?;
        let mut before: BTreeMap<PathBuf, Stamp> = BTreeMap::new();
        let mut tried: BTreeMap<PathBuf, Stamp> = BTreeMap::new();
        let mut index = 0;
        loop {
            let now = videos(&self.watched)?;
            for (input, stamp) in &now {
                if before.get(input) != Some(stamp) || tried.get(input) == Some(stamp) {
                    continue;
                }
                tried.insert(input.clone(), *stamp);
                on_event(Event::Start {
                    index,
                    total: None,
                    input,
                });
                index += 1;
                let job = job(&self.template, input, Some(&self.folder));
                let outcome = run_one(job, &mut BTreeSet::new(), on_event, cancel)?;
                on_event(Event::End(input, &outcome));
            }
            before = now.into_iter().collect();
            wait(self.interval, cancel)?;
        }
    }

    /// Refuses a watched folder that does not exist or is also the results' folder.
    fn check_folders(&self) -> Result<()> {
        let real = |path: &Path| fs::canonicalize(path).map_err(|error| Error::io("open", path, error));
        if !self.watched.is_dir() {
            return Err(Error::Usage(format!(
                "{} is no folder that could be watched",
                self.watched.display()
            )));
        }
        if real(&self.watched)? == real(&self.folder)? {
            return Err(Error::Usage(
                "results need another folder than the watched one, or they would be taken for new videos"
                    .into(),
            ));
        }
        Ok(())
    }
}

/// Sleeps for `interval`, checking `cancel` every 50 ms.
fn wait(interval: Duration, cancel: &CancelToken) -> Result<()> {
    let start = std::time::Instant::now();
    while start.elapsed() < interval {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        std::thread::sleep((interval - start.elapsed().min(interval)).min(Duration::from_millis(50)));
    }
    Ok(())
}

/// Makes the job of one input from the template; the result is written to `folder`, else to the input's folder.
fn job(template: &VideoJob, input: &Path, folder: Option<&Path>) -> VideoJob {
    let mut job = template.clone();
    job.source.input = Input::parse(input);
    job.extension = Some(job.extension.unwrap_or_else(|| "mp4".into()));
    job.folder = folder.map(Path::to_owned);
    job.manifest = true;
    job
}

/// Runs one job and turns its error into [`Outcome::Failed`], except for a cancellation, which is returned.
fn run_one(
    job: VideoJob,
    outputs: &mut BTreeSet<PathBuf>,
    on_event: &mut dyn FnMut(Event<'_>),
    cancel: &CancelToken,
) -> Result<Outcome> {
    match try_one(job, outputs, on_event, cancel) {
        Err(Error::Cancelled) => Err(Error::Cancelled),
        Err(_) if cancel.is_cancelled() => Err(Error::Cancelled),
        Err(error) => Ok(Outcome::Failed(error)),
        Ok(outcome) => Ok(outcome),
    }
}

/// Opens and runs one job unless its result is up to date; `outputs` holds the paths of the batch's results so far.
fn try_one(
    job: VideoJob,
    outputs: &mut BTreeSet<PathBuf>,
    on_event: &mut dyn FnMut(Event<'_>),
    cancel: &CancelToken,
) -> Result<Outcome> {
    let restart = job.keep.restart;
    let mut run = job.open(cancel)?;
    claim(run.output(), outputs)?;
    if let Some(output) = run.output().map(Path::to_owned)
        && !restart
        && run.done_before()?
    {
        return Ok(Outcome::UpToDate(output));
    }
    on_event(Event::Plan(run.plan()));
    let summary = run.run(&mut |progress| on_event(Event::Progress(progress)))?;
    Ok(Outcome::Made(Box::new(summary)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_videos() {
        let place = tempfile::tempdir().unwrap();
        let names = [
            "b10.mp4",
            "b2.MKV",
            ".hidden.mp4",
            "notes.txt",
            "cover.png",
            "made.mp4",
            "made.mp4.rife.json",
        ];
        names
            .iter()
            .for_each(|name| fs::write(place.path().join(name), "x").unwrap());
        fs::create_dir(place.path().join("folder.mp4")).unwrap();
        let found = expand(place.path()).unwrap();
        let names: Vec<_> = found
            .iter()
            .filter_map(|path| path.file_name()?.to_str())
            .collect();
        assert_eq!(names, ["b2.MKV", "b10.mp4"]);
    }

    #[test]
    fn a_folder_of_pictures_and_a_file_stand_for_themselves() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("1.png"), "x").unwrap();
        assert_eq!(expand(place.path()).unwrap(), [place.path().to_owned()]);
        let absent = place.path().join("absent.mp4");
        assert_eq!(expand(&absent).unwrap(), [absent]);
    }

    #[test]
    fn failures_of_one_kind_keep_it() {
        let failed = |errors: Vec<Error>| BatchSummary {
            made: 1,
            failed: errors.into_iter().map(|error| (PathBuf::new(), error)).collect(),
            ..BatchSummary::default()
        };
        assert!(failed(vec![]).check().is_ok());
        let data = || Error::Data("bad".into());
        let error = failed(vec![data(), data()]).check().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::Input, "2 of 3 videos failed".into())
        );
        let mixed = failed(vec![data(), Error::NoModel("none".into())])
            .check()
            .unwrap_err();
        assert_eq!(mixed.kind(), ErrorKind::Failure);
    }
}
