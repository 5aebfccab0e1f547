//! Many videos in a row, and a folder that is watched: which files are meant, what becomes of each, and that the
//! failure of one leaves the others alone. How one video is made is in `video`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rife_media::{CancelToken, Container, Input, natural_order};

use crate::manifest;
use crate::video::{Progress, VideoJob, VideoPlan, VideoSummary};
use crate::{Error, ErrorKind, Result};

/// Videos that are made with the same options. Each result has a [`manifest`], by which a later run knows what is done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Batch {
    /// The options. Its input is replaced by each of `inputs`, and its output by a name beside the input or in `folder`
    /// with the extension of [`VideoJob::beside`] (`mp4` where there is none) or that of its own container (see
    /// [`VideoJob::like_source`]).
    pub template: VideoJob,
    /// The videos.
    pub inputs: Vec<PathBuf>,
    /// Where the results go, created where it is missing; beside each input when absent.
    pub folder: Option<PathBuf>,
}

/// A folder in which videos appear.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Watch {
    /// The options, as in [`Batch`].
    pub template: VideoJob,
    /// The folder.
    pub watched: PathBuf,
    /// Where the results go; another folder than the watched one.
    pub folder: PathBuf,
    /// How long to wait before looking again. A file counts once its size and age are the same at two looks.
    pub interval: Duration,
}

/// What became of one video.
#[derive(Debug)]
pub enum Outcome {
    /// It was made.
    Made(Box<VideoSummary>),
    /// It was there already, with a manifest that says that it is the same job's.
    There(PathBuf),
    /// It failed.
    Failed(Error),
}

/// What is told of a batch while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A video is begun.
    Start {
        /// Its place, from 0.
        index: usize,
        /// How many there are; nothing where a folder is watched.
        total: Option<usize>,
        /// The video.
        input: &'a Path,
    },
    /// It will be made like this.
    Plan(&'a VideoPlan),
    /// It is so far.
    Progress(&'a Progress),
    /// It is done with.
    End(&'a Path, &'a Outcome),
}

/// What became of all of them.
#[derive(Debug, Default)]
pub struct BatchSummary {
    /// Videos that were made.
    pub made: usize,
    /// Videos that were there already.
    pub there: usize,
    /// Those that failed, and why.
    pub failed: Vec<(PathBuf, Error)>,
}

impl BatchSummary {
    /// Nothing where all went well, else one error for all: of the kind that all failures share.
    ///
    /// # Errors
    /// [`Error::Several`].
    pub fn check(&self) -> Result<()> {
        let Some((_, first)) = self.failed.first() else {
            return Ok(());
        };
        let kind = first.kind();
        let shared = self.failed.iter().all(|(_, error)| error.kind() == kind);
        let total = self.made + self.there + self.failed.len();
        Err(Error::Several {
            message: format!(
                "{} of {} failed",
                self.failed.len(),
                rife_media::counted(total as u64, "video")
            ),
            kind: if shared { kind } else { ErrorKind::Failure },
        })
    }

    fn add(&mut self, input: &Path, outcome: Outcome) {
        match outcome {
            Outcome::Made(_) => self.made += 1,
            Outcome::There(_) => self.there += 1,
            Outcome::Failed(error) => self.failed.push((input.to_owned(), error)),
        }
    }
}

/// The videos that `input` stands for: those in it where it is a folder with videos, else itself. Videos are known by
/// their names' ends; hidden files, folders, and results that have a manifest beside them are left out. Nothing below
/// the folder is looked at.
///
/// # Errors
/// Those of reading a folder.
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

/// What tells whether a file is still being written.
type Stamp = (u64, Option<SystemTime>);

fn videos(folder: &Path) -> Result<Vec<(PathBuf, Stamp)>> {
    let io = |error| Error::io("read", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        // A file that goes away while we look is none.
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

fn is_video_name(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && Container::of(path).is_ok()
}

impl Batch {
    /// `inputs` with the options of `template`, each result beside its input.
    pub fn new(template: VideoJob, inputs: Vec<PathBuf>) -> Self {
        Self {
            template,
            inputs,
            folder: None,
        }
    }

    /// Makes them one after the other. A failure is kept for the summary, and the next one is begun.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; the results so far are complete. [`Error::Usage`] where two videos would have one result,
    /// before anything is made. Those of creating the folder.
    pub fn run(&self, tell: &mut dyn FnMut(Event<'_>), cancel: &CancelToken) -> Result<BatchSummary> {
        self.check_names(cancel)?;
        if let Some(folder) = &self.folder {
            fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        }
        let mut summary = BatchSummary::default();
        let mut outputs = BTreeSet::new();
        for (index, input) in self.inputs.iter().enumerate() {
            tell(Event::Start {
                index,
                total: Some(self.inputs.len()),
                input,
            });
            let job = job(&self.template, input, self.folder.as_deref());
            let outcome = one(job, &mut outputs, tell, cancel)?;
            tell(Event::End(input, &outcome));
            summary.add(input, outcome);
        }
        Ok(summary)
    }
}

impl Batch {
    /// Refuses inputs of one result. Results differ where their inputs' stems or folders do; only of the others is it
    /// asked what they are called, and of those that cannot be read nothing is known before they fail.
    fn check_names(&self, cancel: &CancelToken) -> Result<()> {
        let mut alike: BTreeMap<_, Vec<&Path>> = BTreeMap::new();
        for input in &self.inputs {
            let folder = self.folder.as_deref().or(input.parent());
            let key = (folder, input.file_stem());
            alike.entry(key).or_default().push(input);
        }
        let mut outputs = BTreeSet::new();
        for input in alike.values().filter(|inputs| inputs.len() > 1).flatten() {
            match job(&self.template, input, self.folder.as_deref()).open(cancel) {
                Ok(run) => claim(run.output(), &mut outputs)?,
                Err(_) if cancel.is_cancelled() => return Err(Error::Cancelled),
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Takes a name for a result.
fn claim(output: Option<&Path>, outputs: &mut BTreeSet<PathBuf>) -> Result<()> {
    match output {
        // Also where overwriting is allowed: two inputs of one name must not cost the first one's result.
        Some(output) if !outputs.insert(output.to_owned()) => Err(Error::Usage(format!(
            "{} is the result of another video of this batch: give one of them another name",
            output.display()
        ))),
        _ => Ok(()),
    }
}

impl Watch {
    /// Videos that appear in `watched`, with the options of `template`, into `folder`; looks every two seconds.
    pub fn new(template: VideoJob, watched: PathBuf, folder: PathBuf) -> Self {
        Self {
            template,
            watched,
            folder,
            interval: Duration::from_secs(2),
        }
    }

    /// Looks for videos until it is cancelled, and makes each one once. What an earlier watch has made is known by its
    /// manifests, and what it left unfinished goes on; a video that failed is tried again when it has changed, or by
    /// the next watch.
    ///
    /// # Errors
    /// [`Error::Cancelled`], always in the end; [`Error::Usage`] where both folders are one; those of reading them.
    pub fn run(&self, tell: &mut dyn FnMut(Event<'_>), cancel: &CancelToken) -> Result<BatchSummary> {
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
                tell(Event::Start {
                    index,
                    total: None,
                    input,
                });
                index += 1;
                let job = job(&self.template, input, Some(&self.folder));
                let outcome = one(job, &mut BTreeSet::new(), tell, cancel)?;
                tell(Event::End(input, &outcome));
            }
            before = now.into_iter().collect();
            wait(self.interval, cancel)?;
        }
    }

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

/// Sleeps in short steps.
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

/// The template for one input.
fn job(template: &VideoJob, input: &Path, folder: Option<&Path>) -> VideoJob {
    let mut job = template.clone();
    job.source.input = Input::parse(input);
    job.beside = Some(job.beside.unwrap_or_else(|| "mp4".into()));
    job.folder = folder.map(Path::to_owned);
    job.manifest = true;
    job
}

/// Runs one job; only a stop by the user ends the batch.
fn one(
    job: VideoJob,
    outputs: &mut BTreeSet<PathBuf>,
    tell: &mut dyn FnMut(Event<'_>),
    cancel: &CancelToken,
) -> Result<Outcome> {
    match try_one(job, outputs, tell, cancel) {
        Err(Error::Cancelled) => Err(Error::Cancelled),
        Err(_) if cancel.is_cancelled() => Err(Error::Cancelled),
        Err(error) => Ok(Outcome::Failed(error)),
        Ok(outcome) => Ok(outcome),
    }
}

fn try_one(
    job: VideoJob,
    outputs: &mut BTreeSet<PathBuf>,
    tell: &mut dyn FnMut(Event<'_>),
    cancel: &CancelToken,
) -> Result<Outcome> {
    let restart = job.keep.restart;
    let mut run = job.open(cancel)?;
    claim(run.output(), outputs)?;
    if let Some(output) = run.output().map(Path::to_owned)
        && !restart
        && run.done_before()?
    {
        return Ok(Outcome::There(output));
    }
    tell(Event::Plan(run.plan()));
    let summary = run.run(&mut |progress| tell(Event::Progress(progress)))?;
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
