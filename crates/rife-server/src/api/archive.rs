//! Handler of `/files.zip`: the results of several jobs as one ZIP archive, stored without compression and sent while it is
//! written.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::mpsc;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::api::http::QueryParams;
use crate::error::{ApiError, Code, Result};
use crate::ids;
use crate::state::app::{App, InUse};
use crate::work::refs::StoredFile;

/// Maximum number of jobs in one archive.
const MAX_JOBS: usize = 200;
/// Size of the chunks of the body in bytes.
const CHUNK: usize = 64 << 10;
/// Number of chunks that may wait for the client.
const CHUNKS: usize = 4;

/// Query parameters of `GET /files.zip`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchiveQuery {
    /// Ids of jobs, separated by commas.
    jobs: String,
}

/// Handles `GET /files.zip?jobs=…`: sends the results of finished jobs as a ZIP archive.
pub(crate) async fn results(
    State(app): State<Arc<App>>,
    QueryParams(query): QueryParams<ArchiveQuery>,
) -> Result<Response> {
    let wanted: Vec<String> = query.jobs.split(',').map(str::to_owned).collect();
    if wanted.len() > MAX_JOBS || wanted.iter().any(|id| !ids::is_valid(id, "job")) {
        let text = format!("jobs is a list of 1 to {MAX_JOBS} ids of jobs, separated by commas");
        return Err(ApiError::new(Code::BadRequest, text).with_field("field", "jobs"));
    }
    let in_use = InUse::new(&app, wanted.clone());
    let entries = app.blocking(move |app| entries(app, &wanted)).await?;
    let (sender, chunks) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || {
        let _in_use = in_use;
        if let Err(error) = write(&entries, sender.clone()) {
            if error.kind() != io::ErrorKind::BrokenPipe {
                tracing::warn!("an archive of results is incomplete: {error}");
            }
            // The body ends with an error, so that the client does not take it for complete.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let body = stream::unfold(chunks, |mut chunks| async move {
        Some((chunks.recv().await?, chunks))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/zip"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"rife.zip\""),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Returns the results of the jobs with their names in the archive: distinct ones, and those of a job with several results in
/// a folder with the name of the job.
fn entries(app: &App, wanted: &[String]) -> Result<Vec<(String, StoredFile)>> {
    let mut taken = HashSet::new();
    let mut found = Vec::new();
    for id in wanted {
        let job = app.db.job(id)?.ok_or_else(|| ApiError::not_found("job"))?;
        let files = job.files.as_array().cloned().unwrap_or_default();
        let folder = match files.len() {
            0 | 1 => String::new(),
            _ => unique(&mut taken, &stem(&job.label)) + "/",
        };
        for file in &files {
            let stored = app.find_file(id, file["name"].as_str().unwrap_or_default())?;
            let name = unique(&mut taken, &(folder.clone() + &stored.input.name));
            found.push((name, stored));
        }
    }
    if found.is_empty() {
        return Err(ApiError::not_found("result"));
    }
    Ok(found)
}

/// Returns a file name without its extension.
fn stem(name: &str) -> String {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

/// Returns `name`, with a number before its extension if it is taken, and adds it to `taken`.
fn unique(taken: &mut HashSet<String>, name: &str) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let dot = if extension.is_empty() { "" } else { "." };
    let numbered = (2..).map(|number| format!("{stem} ({number}){dot}{extension}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names
        .find(|name| taken.insert(name.clone()))
        .unwrap_or_else(|| name.to_owned())
}

/// Writes the archive to the channel.
fn write(entries: &[(String, StoredFile)], sender: mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut archive = ZipWriter::new_stream(BufWriter::with_capacity(CHUNK, Chunks(sender)));
    for (name, stored) in entries {
        let mut file = File::open(&stored.path)?;
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .large_file(file.metadata()?.len() >= u64::from(u32::MAX));
        archive.start_file(name.as_str(), options)?;
        io::copy(&mut file, &mut archive)?;
    }
    archive.finish()?.into_inner().flush()
}

/// Writer into a channel of chunks; an error when the client has gone.
struct Chunks(mpsc::Sender<io::Result<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        let mut taken = HashSet::new();
        let names =
            ["a.mp4", "a.mp4", "a.mp4", "b/c.png", "none", "none"].map(|name| unique(&mut taken, name));
        assert_eq!(
            names,
            ["a.mp4", "a (2).mp4", "a (3).mp4", "b/c.png", "none", "none (2)"]
        );
    }
}
