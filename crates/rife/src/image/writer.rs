//! Writer of a still image job: one image file, or a folder or clip by a sink, which knows the frames of an interrupted run.

use std::fs;
use std::path::{Path, PathBuf};

use rife_media::sink::{Need, Needs, Pictures, write_image};
use rife_media::{Sink, Time, open_sink};

use super::sequence::{FrameReceiver, Step};
use super::{Coding, ImageProgress, ImageRun, Target, file_name};
use crate::{Error, Result};

/// Writer of the job's frames; dropped before [`Writer::finish`], it removes an unfinished folder that is not to be kept.
pub(super) struct Writer<'a> {
    run: &'a ImageRun,
    destination: Destination,
    /// Which frames the sink needs; the others were written by an earlier run.
    needs: Needs,
    /// The index of the next frame.
    next: u64,
    /// The index of the first frame that this run has written.
    first: Option<u64>,
    /// Number of frames that an earlier run has written.
    resumed: usize,
    progress: &'a mut dyn FnMut(&ImageProgress),
}

/// An opened output.
enum Destination {
    /// The file of the single computed image; the given images are not written.
    Picture(PathBuf),
    /// The sink of a folder or clip (`None` once finished), and the duration of each frame in seconds.
    Sink(Option<Box<dyn Sink>>, Time),
}

/// Result of a [`Writer`].
pub(super) struct WriterResult {
    /// The files written, in order of time.
    pub(super) files: Vec<PathBuf>,
    /// Number of frames that an earlier run has written.
    pub(super) resumed: usize,
    /// Warnings of the sink.
    pub(super) notes: Vec<String>,
}

impl<'a> Writer<'a> {
    /// Creates the output's folder or opens the sink.
    pub(super) fn open(
        run: &'a ImageRun,
        pictures: Pictures,
        progress: &'a mut dyn FnMut(&ImageProgress),
    ) -> Result<Self> {
        let job = &run.job;
        let target = job.target(run.plan.made);
        let destination = match job.sink(&target, &run.cancel) {
            None => {
                create_folder(job.output.parent())?;
                Destination::Picture(job.output.clone())
            }
            Some(spec) => {
                let params = job.params(&spec, &run.coding);
                let resume = run.resume(pictures)?;
                let mut spec = spec;
                spec.resume = resume;
                let sink = open_sink(&spec, &params)?;
                Destination::Sink(Some(sink), params.time_base)
            }
        };
        let needs = match &destination {
            Destination::Sink(Some(sink), _) => sink.needs(),
            Destination::Sink(None, _) | Destination::Picture(_) => Needs::ALL,
        };
        Ok(Self {
            run,
            destination,
            needs,
            next: 0,
            first: None,
            resumed: 0,
            progress,
        })
    }

    /// Reports the progress.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the job is cancelled.
    fn report(&mut self) -> Result<()> {
        if self.run.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        (self.progress)(&ImageProgress {
            written: self.next as usize,
            resumed: self.resumed,
            total: self.run.plan.frames,
        });
        Ok(())
    }

    /// Completes the output.
    pub(super) fn finish(mut self) -> Result<WriterResult> {
        let job = &self.run.job;
        let (mut files, mut notes) = (Vec::new(), Vec::new());
        match &mut self.destination {
            Destination::Picture(path) => files.push(path.clone()),
            Destination::Sink(sink, _) => {
                if let Some(sink) = sink.take() {
                    let written = sink.finish()?;
                    notes = written.warnings;
                    files.extend(written.path);
                }
                if let Target::Folder(folder, format) = job.target(self.run.plan.made) {
                    let names = (0..self.next as usize).map(|index| file_name(index, format));
                    files = names.map(|name| folder.join(name)).collect();
                }
            }
        }
        notes.extend(self.run.interpolator.faults());
        Ok(WriterResult {
            files,
            resumed: self.resumed,
            notes,
        })
    }
}

impl FrameReceiver for Writer<'_> {
    /// Reports whether the sink needs the frame; others were written by an earlier run.
    fn wanted(&self, ahead: usize) -> bool {
        let frame = self.next + ahead as u64;
        frame < self.run.plan.frames as u64 && self.needs.of(frame) == Need::Make
    }

    /// Passes the time of a frame that an earlier run has written to the sink, and counts it.
    fn skip(&mut self) -> Result<()> {
        if let Destination::Sink(Some(sink), step) = &mut self.destination {
            sink.skip(Time::from(self.next as i64) * *step)?;
        }
        self.next += 1;
        self.resumed += 1;
        self.report()
    }

    /// Converts and writes a frame; for a single image the given images are left out.
    fn write(&mut self, step: Step) -> Result<()> {
        let coding: &Coding = &self.run.coding;
        match &mut self.destination {
            Destination::Picture(_) if matches!(step, Step::End(_)) => return Ok(()),
            Destination::Picture(path) => {
                let frame = coding.frame(&step, coding.format, &coding.tags);
                write_image(path, &frame, &coding.tags, self.run.job.overwrite)?;
            }
            Destination::Sink(None, _) => {}
            Destination::Sink(Some(sink), duration) => {
                let (format, tags) = (sink.params().format, sink.params().tags);
                let start = Time::from(self.next as i64) * *duration;
                sink.write(&coding.frame(&step, format, &tags).at(start, *duration))?;
            }
        }
        self.first.get_or_insert(self.next);
        self.next += 1;
        self.report()
    }
}

impl Drop for Writer<'_> {
    /// Removes the images of an unfinished folder if it is not to be kept.
    fn drop(&mut self) {
        let unfinished = matches!(self.destination, Destination::Sink(Some(_), _));
        if !unfinished || self.run.job.keep.on {
            return;
        }
        if let Target::Folder(folder, format) = self.run.job.target(self.run.plan.made) {
            for index in self.first.unwrap_or(self.next)..self.next {
                let _ = fs::remove_file(folder.join(file_name(index as usize, format)));
            }
        }
    }
}

/// Creates an output folder if missing; does nothing for `None` and an empty path.
fn create_folder(folder: Option<&Path>) -> Result<()> {
    match folder.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error)),
        None => Ok(()),
    }
}
