//! The janitor: removes what is old, and what a killed server left lying about.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::error::Result;
use crate::{clock, jobs, log, uploads};

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

/// Removes finished jobs and uploads that are too old. What runs, waits or is written stays.
pub(crate) fn sweep(app: &App) -> Result<()> {
    let now = clock::now();
    let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    for id in app.db.old_jobs(before(app.config.retention))? {
        jobs::remove(app, &id)?;
        log::line(&format!("{id} removed: older than it is kept"));
    }
    let stale = app
        .db
        .stale_uploads(before(app.config.upload_idle), before(app.config.retention))?;
    for upload in stale.iter().filter(|upload| !app.is_written(&upload.id)) {
        uploads::remove(app, upload)?;
        log::line(&format!("{} removed: idle or older than it is kept", upload.id));
    }
    Ok(())
}

/// At the start: files and folders that belong to no row. Uploads in one go that the end of the server cut short
/// are removed with their rows.
pub(crate) fn tidy(app: &App) -> Result<()> {
    let known: HashSet<String> = app.db.job_ids()?.into_iter().collect();
    for entry in fs::read_dir(app.store.root().join("jobs"))?.flatten() {
        if !known.contains(&*entry.file_name().to_string_lossy()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    for entry in fs::read_dir(app.store.root().join("uploads"))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.split('.').next().unwrap_or("");
        if app.db.upload(id)?.is_none() {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}
