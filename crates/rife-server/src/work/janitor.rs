//! Janitor: removes expired jobs and uploads periodically, and at the start of the server cleans up after a crash and adopts
//! files whose rows were lost.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Result;
use crate::state::app::App;
use crate::state::db::{JobInput, NewJob, Upload, UploadState};
use crate::state::kind::Kind;
use crate::state::store;
use crate::work::{removal, worker};
use crate::{clock, ids};

/// Maximum time between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Runs [`sweep`] periodically until the server is stopping.
pub(crate) async fn run(app: Arc<App>) {
    let every = SWEEP_INTERVAL
        .min(app.config.retention / 2)
        .min(app.config.upload_idle / 2);
    while !app.is_stopping() {
        tokio::time::sleep(every.max(Duration::from_millis(100))).await;
        if let Err(error) = app.blocking(sweep).await {
            tracing::error!("expired files cannot be removed: {error:?}");
        }
    }
}

/// Removes ended jobs and uploads whose retention time is over, except those in use, and saves the uptime and unsaved ends of
/// jobs.
pub(crate) fn sweep(app: &App) -> Result<()> {
    app.db.save_unsaved_ends();
    app.db.save_uptime()?;
    app.store.ensure_spare();
    let now = app.db.uptime_ms();
    let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let old = app.db.expired_jobs(before(app.config.retention))?;
    for id in old.into_iter().filter(|id| !app.is_in_use(id)) {
        removal::job(app, &id)?;
        tracing::info!(job = id, "removed: its retention time is over");
    }
    let stale = app
        .db
        .expired_uploads(before(app.config.upload_idle), before(app.config.retention))?;
    let unused = |id: &str| !app.is_upload_locked(id) && !app.is_in_use(id);
    for upload in stale.iter().filter(|upload| unused(&upload.id)) {
        removal::upload(app, upload)?;
        tracing::info!(upload = upload.id, "removed: idle, or its retention time is over");
    }
    Ok(())
}

/// Completes the removals that a killed server had begun, adopts uploads and results without rows, and logs other files
/// without rows, which are kept. Called at the start of the server.
pub(crate) fn recover_files(app: &App) -> Result<()> {
    for name in app.db.pending()? {
        finish_removal(app, &name)?;
        app.db.clear_pending(&name)?;
    }
    let (uploads, jobs) = (adopt_uploads(app)?, adopt_jobs(app)?);
    let adopted = [(uploads.adopted, "uploads"), (jobs.adopted, "results of jobs")];
    for (count, what) in adopted.into_iter().filter(|(count, _)| *count > 0) {
        tracing::warn!(
            "{count} {what} were in no row of rife.db (was it replaced?): adopted with the label \"recovered\""
        );
    }
    for name in uploads.left.iter().chain(&jobs.left) {
        tracing::warn!("{name}: in no row of rife.db, and kept; remove it if it is not needed");
    }
    Ok(())
}

/// Removes the upload file or job folder `name` unless a row has its id.
fn finish_removal(app: &App, name: &str) -> Result<()> {
    let id = name.split('.').next().unwrap_or("");
    if ids::is_valid(id, "up") && !app.db.has_upload(id)? {
        let _ = fs::remove_file(app.store.root().join("uploads").join(name));
    } else if ids::is_valid(name, "job") && !app.db.has_job(name)? {
        store::remove(&app.store.job(name))?;
    }
    Ok(())
}

/// Upload files or job folders on disk that have no row in the database.
#[derive(Debug, Default)]
struct Orphans {
    /// Number of files or jobs for which a row was added.
    adopted: usize,
    /// Paths in the data folder of all others.
    left: Vec<String>,
}

impl Orphans {
    /// Creates a list of the entries `others` of `folder`, whose names are not ids.
    fn new(folder: &str, others: Vec<String>) -> Self {
        let left = others.iter().map(|name| format!("{folder}/{name}")).collect();
        Self { adopted: 0, left }
    }
}

/// Adds a row for each upload file without one.
fn adopt_uploads(app: &App) -> Result<Orphans> {
    let (names, others) = app.store.listing("uploads", "up")?;
    let mut found = Orphans::new("uploads", others);
    for name in names {
        let (id, extension) = name.split_once('.').unwrap_or((&name, ""));
        if app.db.has_upload(id)? {
            continue;
        }
        let metadata = app.store.root().join("uploads").join(&name).symlink_metadata()?;
        if !metadata.is_file() || metadata.len() == 0 || store::extension(&name) != extension {
            found.left.push(format!("uploads/{name}"));
            continue;
        }
        app.db.add_upload(&Upload {
            id: id.to_owned(),
            name: recovered_label(id, extension),
            extension: extension.to_owned(),
            size: metadata.len(),
            state: UploadState::Complete,
            created_at: clock::now(),
        })?;
        found.adopted += 1;
    }
    Ok(found)
}

/// Adds a row for each job folder that has results and no row. Unfinished jobs cannot resume, since their options are lost.
fn adopt_jobs(app: &App) -> Result<Orphans> {
    let (names, others) = app.store.listing("jobs", "job")?;
    let mut found = Orphans::new("jobs", others);
    for id in names {
        if app.db.has_job(&id)? {
            continue;
        }
        match adopted_job(app, &id) {
            Some((job, files)) => {
                app.db.adopt_job(&job, &files, clock::now())?;
                found.adopted += 1;
            }
            None => found.left.push(format!("jobs/{id}")),
        }
    }
    Ok(found)
}

/// Reconstructs a job from its folder and returns it with its results as JSON; `None` without results. The kind is guessed.
fn adopted_job(app: &App, id: &str) -> Option<(NewJob, Value)> {
    let folder = app.store.job(id);
    let files = worker::list_results(&app.store.output(id), "recovered").ok()?;
    let results: Vec<_> = files
        .as_array()?
        .iter()
        .map(|file| file["name"].clone())
        .collect();
    let first = results.first()?.as_str()?;
    let label = recovered_label(
        id,
        first.rsplit_once('.').map_or("bin", |(_, extension)| extension),
    );
    let files = worker::list_results(&app.store.output(id), &label).ok()?;
    let mut inputs: Vec<_> = fs::read_dir(folder.join("in"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().into_string().ok()?,
                entry.metadata().ok()?.len(),
            ))
        })
        .collect();
    inputs.sort_unstable();
    let input = |(name, bytes): (String, u64)| JobInput {
        extension: store::extension(&name).to_owned(),
        name,
        bytes,
        upload: None,
        job: None,
    };
    let kind = if results.len() > 1 {
        Kind::Images
    } else {
        Kind::Video
    };
    let job = NewJob {
        id: id.to_owned(),
        kind,
        label,
        inputs: inputs.into_iter().map(input).collect(),
        options: json!({}),
    };
    Some((job, files))
}

/// Returns the label of an upload or result whose row was lost.
fn recovered_label(id: &str, extension: &str) -> String {
    let digits = id.rsplit('_').next().unwrap_or(id);
    format!("recovered_{}.{extension}", digits.get(..8).unwrap_or(digits))
}
