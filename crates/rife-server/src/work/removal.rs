//! Removal of jobs and uploads: the row first, then the files.

use crate::error::Result;
use crate::state::app::App;
use crate::state::db::Upload;
use crate::state::store;

/// Removes the row and the folder of job `id`, and publishes the deletion.
pub(crate) fn job(app: &App, id: &str) -> Result<()> {
    if app.db.remove_job(id)? {
        app.events.deleted(id);
        app.publish_queue()?;
    }
    store::remove(&app.store.job(id))?;
    Ok(app.db.clear_pending(id)?)
}

/// Removes an upload's row and file.
pub(crate) fn upload(app: &App, upload: &Upload) -> Result<()> {
    upload_file(app, &upload.id, &upload.file())
}

/// Removes the row of an upload by its id, and its file by its name in the folder of uploads.
pub(crate) fn upload_file(app: &App, id: &str, file: &str) -> Result<()> {
    app.db.remove_upload(id, file)?;
    let _ = std::fs::remove_file(app.store.root().join("uploads").join(file));
    Ok(app.db.clear_pending(file)?)
}
