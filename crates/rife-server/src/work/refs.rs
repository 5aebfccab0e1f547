//! References to stored files in requests: an upload, or a result of a job.

use std::path::PathBuf;

use serde::Deserialize;

use crate::error::{ApiError, Code, PathNames, Result};
use crate::ids;
use crate::state::app::App;
use crate::state::db::{JobInput, State, UploadState};
use crate::state::store;

/// Reference to a stored file.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Ref {
    Upload(UploadRef),
    File(FileRef),
}

impl Ref {
    /// Returns the id of the upload or of the job.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Upload(UploadRef { upload }) => upload.clone(),
            Self::File(FileRef { job, .. }) => job.clone(),
        }
    }
}

/// Reference to an upload: `{"upload": "up_…"}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadRef {
    upload: String,
}

/// Reference to a result: `{"job": "job_…", "file": "result.mp4"}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRef {
    job: String,
    file: String,
}

/// Existing file in the data folder, with what a job records of it as an input.
#[derive(Debug, Clone)]
pub(crate) struct StoredFile {
    pub(crate) path: PathBuf,
    pub(crate) input: JobInput,
}

impl StoredFile {
    /// Returns the replacement of the path by the client's file name in messages.
    pub(crate) fn names(&self) -> PathNames {
        let mut names = PathNames::default();
        names.add(&self.path, &self.input.name);
        names
    }
}

impl App {
    /// Returns the file of a reference; an error if it does not exist or is incomplete.
    pub(crate) fn find(&self, reference: &Ref) -> Result<StoredFile> {
        match reference {
            Ref::Upload(UploadRef { upload }) => self.find_upload(upload),
            Ref::File(FileRef { job, file }) => self.find_file(job, file),
        }
    }

    /// Returns the file of upload `id`; an error if it does not exist or is incomplete.
    pub(crate) fn find_upload(&self, id: &str) -> Result<StoredFile> {
        let known = if ids::is_valid(id, "up") {
            self.db.upload(id)?
        } else {
            None
        };
        let upload = known.ok_or_else(|| ApiError::not_found("upload"))?;
        if upload.state != UploadState::Complete {
            return Err(ApiError::new(
                Code::UploadIncomplete,
                "the upload has not been received completely",
            ));
        }
        let input = JobInput {
            name: upload.name,
            extension: upload.extension.clone(),
            bytes: upload.size,
            upload: Some(upload.id.clone()),
            job: None,
        };
        regular_file(self.store.upload(&upload.id, &upload.extension), input)
    }

    /// Returns the result `name` of job `id`; an error unless the job is done and lists it.
    pub(crate) fn find_file(&self, id: &str, name: &str) -> Result<StoredFile> {
        let known = if ids::is_valid(id, "job") {
            self.db.job(id)?
        } else {
            None
        };
        let job = known.ok_or_else(|| ApiError::not_found("job"))?;
        // Only names listed in the job's row are accepted, so that a request cannot name a path.
        let files = job.files.as_array().into_iter().flatten();
        let file = files
            .filter(|_| job.state == State::Done)
            .find(|file| file["name"] == name)
            .ok_or_else(|| ApiError::not_found("file"))?;
        let input = JobInput {
            name: file["label"].as_str().unwrap_or(name).to_owned(),
            extension: store::result_extension(name).to_owned(),
            bytes: file["bytes"].as_u64().unwrap_or(0),
            upload: None,
            job: Some(id.to_owned()),
        };
        regular_file(self.store.output(id).join(name), input)
    }

    /// Returns input `index` of job `id`, counted from 0.
    pub(crate) fn find_input(&self, id: &str, index: usize) -> Result<StoredFile> {
        let known = if ids::is_valid(id, "job") {
            self.db.job(id)?
        } else {
            None
        };
        let job = known.ok_or_else(|| ApiError::not_found("job"))?;
        let input = job
            .inputs
            .get(index)
            .ok_or_else(|| ApiError::not_found("input"))?;
        regular_file(self.store.input(id, index, &input.extension), input.clone())
    }
}

/// Returns `path` with `input` if it is a regular file; symbolic links are not followed.
fn regular_file(path: PathBuf, input: JobInput) -> Result<StoredFile> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => Ok(StoredFile { path, input }),
        _ => Err(ApiError::not_found("file")),
    }
}
