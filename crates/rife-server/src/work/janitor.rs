//! The janitor: removes what is old, and what a killed server left lying about.

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
use crate::{clock, ids, log};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);

/// Looks now and then, until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let every = EVERY
        .min(app.config.retention / 2)
        .min(app.config.upload_idle / 2);
    while !app.is_stopping() {
        tokio::time::sleep(every.max(Duration::from_millis(100))).await;
        if let Err(error) = app.blocking(sweep).await {
            log::line(&format!("the janitor: {error:?}"));
        }
    }
}

/// Removes finished jobs and uploads that are too old. What runs, waits or is written stays. Ages are the server's own:
/// a clock that jumps makes nothing old.
pub(crate) fn sweep(app: &App) -> Result<()> {
    app.db.write_down();
    app.db.keep_age()?;
    app.store.keep_spare();
    let now = app.db.age();
    let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let old = app.db.old_jobs(before(app.config.retention))?;
    for id in old.into_iter().filter(|id| !app.is_held(id)) {
        removal::job(app, &id)?;
        log::line(&format!("{id} removed: older than it is kept"));
    }
    let stale = app
        .db
        .stale_uploads(before(app.config.upload_idle), before(app.config.retention))?;
    let unused = |id: &str| !app.is_written(id) && !app.is_held(id);
    for upload in stale.iter().filter(|upload| unused(&upload.id)) {
        removal::upload(app, upload)?;
        log::line(&format!("{} removed: idle or older than it is kept", upload.id));
    }
    Ok(())
}

/// At the start: what a killed server was about to make or remove goes; files that no row names are adopted, or left
/// alone, and told of. Nothing goes that no row of ours has named.
pub(crate) fn tidy(app: &App) -> Result<()> {
    for name in app.db.pending()? {
        finish_removal(app, &name)?;
        app.db.settle(&name)?;
    }
    let (uploads, jobs) = (adopt_uploads(app)?, adopt_jobs(app)?);
    let adopted = [(uploads.adopted, "uploads"), (jobs.adopted, "results of jobs")];
    for (count, what) in adopted.into_iter().filter(|(count, _)| *count > 0) {
        log::line(&format!(
            "{count} {what} were in no row of rife.db (was it replaced?): adopted with the label \"recovered\""
        ));
    }
    for name in uploads.left.iter().chain(&jobs.left) {
        log::line(&format!(
            "{name}: in no row of rife.db, and left alone; remove it where it is not wanted"
        ));
    }
    Ok(())
}

/// Removes the file or folder of a name, unless a row has it.
fn finish_removal(app: &App, name: &str) -> Result<()> {
    let id = name.split('.').next().unwrap_or("");
    if ids::is_valid(id, "up") && !app.db.has_upload(id)? {
        let _ = fs::remove_file(app.store.root().join("uploads").join(name));
    } else if ids::is_valid(name, "job") && !app.db.has_job(name)? {
        store::remove(&app.store.job(name))?;
    }
    Ok(())
}

/// What became of files without a row.
#[derive(Debug, Default)]
struct Found {
    adopted: usize,
    left: Vec<String>,
}

impl Found {
    fn new(folder: &str, others: Vec<String>) -> Self {
        let left = others.iter().map(|name| format!("{folder}/{name}")).collect();
        Self { adopted: 0, left }
    }
}

fn adopt_uploads(app: &App) -> Result<Found> {
    let (names, others) = app.store.listing("uploads", "up")?;
    let mut found = Found::new("uploads", others);
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
            name: recovered(id, extension),
            extension: extension.to_owned(),
            size: metadata.len(),
            state: UploadState::Complete,
            created_at: clock::now(),
        })?;
        found.adopted += 1;
    }
    Ok(found)
}

/// Jobs with results. What else there is of a job whose row is lost cannot be gone on with: its options are lost too.
fn adopt_jobs(app: &App) -> Result<Found> {
    let (names, others) = app.store.listing("jobs", "job")?;
    let mut found = Found::new("jobs", others);
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

/// A job as its folder tells of it, and its results, where it has some.
fn adopted_job(app: &App, id: &str) -> Option<(NewJob, Value)> {
    let folder = app.store.job(id);
    let files = worker::results(&app.store.output(id), "recovered").ok()?;
    let results: Vec<_> = files
        .as_array()?
        .iter()
        .map(|file| file["name"].clone())
        .collect();
    let first = results.first()?.as_str()?;
    let label = recovered(
        id,
        first.rsplit_once('.').map_or("bin", |(_, extension)| extension),
    );
    let files = worker::results(&app.store.output(id), &label).ok()?;
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

/// A label for what has lost its own.
fn recovered(id: &str, extension: &str) -> String {
    let digits = id.rsplit('_').next().unwrap_or(id);
    format!("recovered_{}.{extension}", digits.get(..8).unwrap_or(digits))
}
