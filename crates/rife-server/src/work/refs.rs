//! What clients call files: an upload, or a result of a job.

use std::path::PathBuf;

use serde::Deserialize;

use crate::error::{ApiError, Code, Names, Result};
use crate::ids;
use crate::state::app::App;
use crate::state::db::{JobInput, State, UploadState};
use crate::state::store;

/// A file by the id of what it belongs to.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Ref {
    Upload(UploadRef),
    File(FileRef),
}

impl Ref {
    /// The upload or the job that it names.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Upload(UploadRef { upload }) => upload.clone(),
            Self::File(FileRef { job, .. }) => job.clone(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadRef {
    upload: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRef {
    job: String,
    file: String,
}

/// A file that is there.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) input: JobInput,
}

impl Found {
    /// The name to show instead of the path.
    pub(crate) fn names(&self) -> Names {
        let mut names = Names::default();
        names.add(&self.path, &self.input.name);
        names
    }
}

impl App {
    /// The file that is meant.
    pub(crate) fn find(&self, reference: &Ref) -> Result<Found> {
        match reference {
            Ref::Upload(UploadRef { upload }) => self.find_upload(upload),
            Ref::File(FileRef { job, file }) => self.find_file(job, file),
        }
    }

    /// A complete upload.
    pub(crate) fn find_upload(&self, id: &str) -> Result<Found> {
        let known = if ids::is_valid(id, "up") {
            self.db.upload(id)?
        } else {
            None
        };
        let upload = known.ok_or_else(|| ApiError::not_found("upload"))?;
        if upload.state != UploadState::Complete {
            return Err(ApiError::new(
                Code::UploadIncomplete,
                "the upload has not been received whole",
            ));
        }
        let input = JobInput {
            name: upload.name,
            extension: upload.extension.clone(),
            bytes: upload.size,
            upload: Some(upload.id.clone()),
            job: None,
        };
        regular(self.store.upload(&upload.id, &upload.extension), input)
    }

    /// A result of a job.
    pub(crate) fn find_file(&self, id: &str, name: &str) -> Result<Found> {
        let known = if ids::is_valid(id, "job") {
            self.db.job(id)?
        } else {
            None
        };
        let job = known.ok_or_else(|| ApiError::not_found("job"))?;
        // Only names that the server has listed itself are looked for.
        let files = job.files.as_array().into_iter().flatten();
        let file = files
            .filter(|_| job.state == State::Done)
            .find(|file| file["name"] == name)
            .ok_or_else(|| ApiError::not_found("file"))?;
        let input = JobInput {
            name: file["label"].as_str().unwrap_or(name).to_owned(),
            extension: store::own_extension(name).to_owned(),
            bytes: file["bytes"].as_u64().unwrap_or(0),
            upload: None,
            job: Some(id.to_owned()),
        };
        regular(self.store.output(id).join(name), input)
    }

    /// An input of a job.
    pub(crate) fn find_input(&self, id: &str, index: usize) -> Result<Found> {
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
        regular(self.store.input(id, index, &input.extension), input.clone())
    }
}

/// Nothing but a file of ours: a link that somebody planted is not followed.
fn regular(path: PathBuf, input: JobInput) -> Result<Found> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Found { path, input }),
        _ => Err(ApiError::not_found("file")),
    }
}
