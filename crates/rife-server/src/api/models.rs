//! Handlers of `/models`: lists the networks, downloads public checkpoints by name, and adds uploaded weights.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rife::Precision;
use rife::media::CancelToken;
use rife::models::{
    ADDED, CATALOG, Checkpoint, Download, Lock, LockEntry, add, checkpoint, download, models_folder, remove,
};
use rife::nets::{Scale, Version};
use serde::Deserialize;
use serde_json::{Value, json};

use super::system::all_devices;
use crate::api::http::{Json, PathParams};
use crate::api::jobs::CancelOnDrop;
use crate::error::{ApiError, Code, PathNames, Result};
use crate::reason::Reason;
use crate::state::app::App;
use crate::state::store;
use crate::work::refs::StoredFile;

/// Maximum number of files of one model: three `.param` and three `.bin`.
const MAX_FILES: usize = 6;

/// Names of weights files, without extension, that say nothing about the model.
const USUAL_STEMS: [&str; 5] = ["flownet", "contextnet", "fusionnet", "unet", "model"];

/// Held while the models folder is changed.
static CHANGING: Mutex<()> = Mutex::new(());

/// Body of `POST /models`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewModel {
    /// Ids of complete uploads: one weights file, or the files of a folder of ncnn or RIFE before 4.0.
    uploads: Vec<String>,
    /// The model's name; by default that of the first file without its extension, or of the network where that is `flownet` or
    /// another usual name, and a number where it is taken.
    name: Option<String>,
}

/// Handles `GET /models`: networks that can be used and downloaded, devices, precisions, scales and containers.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Response> {
    let body = app
        .blocking(|app| {
            let lock = models_folder().ok().and_then(|folder| Lock::read(&folder).ok());
            let lock = lock.unwrap_or_default();
            let precisions: Vec<_> = Precision::available().into_iter().map(Precision::name).collect();
            let scales = Scale::ALL.map(|scale| scale.factor());
            Ok(json!({
                "default": "default", "fixed": app.config.fixed_models, "containers": crate::work::options::containers(), "precisions": precisions,
                "scales": scales, "devices": all_devices(), "items": items(&lock), "available": available(&lock),
            }))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// Handles `PUT /models/{name}`: downloads a public checkpoint.
pub(crate) async fn pull(
    State(app): State<Arc<App>>,
    PathParams(name): PathParams<String>,
) -> Result<Response> {
    refuse_fixed(&app)?;
    // Addresses are not accepted, since the server would request them for the client.
    let known = checkpoint(&name).ok_or_else(|| ApiError::not_found("public checkpoint"))?;
    // A client that leaves ends the download; the next one resumes it.
    let guard = CancelOnDrop::default();
    let cancel = guard.0.clone();
    let body = app
        .blocking(move |_| {
            let _alone = alone();
            let pulled = models_folder().and_then(|folder| fetch(&folder, known, &cancel));
            pulled.map_err(|error| refused(&error, &PathNames::default()))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// Downloads a checkpoint into the models folder; returns its Model object.
fn fetch(folder: &Path, known: &Checkpoint, cancel: &CancelToken) -> rife::Result<Value> {
    let accept = |path: &Path| rife::weights::inspect(path).map(drop);
    download(folder, &Download::of(known), &accept, &mut |_, _| {}, cancel)?;
    let lock = Lock::read(folder)?;
    let entry = lock.models.get(known.name);
    Ok(entry
        .and_then(|entry| pulled(known.name, entry))
        .unwrap_or_default())
}

/// Handles `POST /models`: adds a model from uploads.
pub(crate) async fn create(State(app): State<Arc<App>>, Json(request): Json<NewModel>) -> Result<Response> {
    refuse_fixed(&app)?;
    let NewModel { uploads, name } = request;
    if !(1..=MAX_FILES).contains(&uploads.len()) {
        let text = format!("a model has 1 to {MAX_FILES} uploads");
        return Err(ApiError::new(Code::BadRequest, text).with_field("field", "uploads"));
    }
    let body = app
        .blocking(move |app| {
            let files = uploads
                .iter()
                .map(|id| app.find_upload(id))
                .collect::<Result<Vec<_>>>()?;
            refuse_half_of_ncnn(&files)?;
            let first = &files[0].input.name;
            let stem = plain(first.rsplit_once('.').map_or(first, |(stem, _)| stem));
            let _alone = alone();
            let incoming = app.store.incoming();
            let linked = link(
                &files,
                &incoming.join(name.as_deref().map_or(stem.clone(), plain)),
            );
            let added = linked.and_then(|(source, names)| {
                let added = models_folder().and_then(|folder| {
                    let name = name.map_or_else(|| free_name(&folder, &stem, &source), Ok)?;
                    Ok(pulled(&name, &add(&folder, &name, &source)?))
                });
                added.map_err(|error| refused(&error, &names))
            });
            let _ = std::fs::remove_dir_all(&incoming);
            Ok(added?.unwrap_or_default())
        })
        .await?;
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

/// Returns an error where a `.param` file has no `.bin` file beside it, or the other way round.
fn refuse_half_of_ncnn(files: &[StoredFile]) -> Result<()> {
    let of = |wanted: &str| {
        let has = |file: &&StoredFile| extension(&file.input.name).as_deref() == Some(wanted);
        files.iter().filter(has).collect::<Vec<_>>()
    };
    let (params, bins) = (of("param"), of("bin"));
    if params.len() == bins.len() {
        return Ok(());
    }
    let name = params
        .first()
        .or(bins.first())
        .map(|file| file.input.name.clone());
    let pairs = [("name", name.unwrap_or_default().into())];
    Err(ApiError::because(Code::BadInput, Reason::HalfOfNcnn, pairs))
}

/// Returns a name for a new model that is not taken: `stem`, or that of the network where the files of all models have that name.
fn free_name(folder: &Path, stem: &str, source: &Path) -> rife::Result<String> {
    let name = if USUAL_STEMS.contains(&stem) {
        format!("rife-{}", rife::weights::inspect(source)?.version.name())
    } else {
        stem.to_owned()
    };
    let lock = Lock::read(folder).unwrap_or_default();
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    let free = |name: &String| {
        !lock.models.contains_key(name) && !folder.join(format!("{name}.safetensors")).exists()
    };
    Ok(names.find(free).unwrap_or(name))
}

/// Links weights files into the new folder `inner`; returns what to read, and the client's names of the files.
fn link(files: &[StoredFile], inner: &Path) -> Result<(PathBuf, PathNames)> {
    if let Some(incoming) = inner.parent() {
        let _ = std::fs::remove_dir_all(incoming);
    }
    // The name of an ncnn folder can say which network it is.
    std::fs::create_dir_all(inner)?;
    let mut names = PathNames::default();
    let mut source = inner.to_owned();
    for StoredFile { path, input } in files {
        let to = inner.join(file_name(&input.name, files.len()));
        store::link(path, &to)?;
        names.add(&to, &input.name);
        if files.len() == 1 {
            source = to;
        }
    }
    Ok((source, names))
}

/// Handles `DELETE /models/{name}`: removes a downloaded or added model.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    PathParams(name): PathParams<String>,
) -> Result<StatusCode> {
    refuse_fixed(&app)?;
    let found = app
        .blocking(move |_| {
            let _alone = alone();
            let removed = models_folder().and_then(|folder| remove(&folder, &name));
            removed.map_err(|error| refused(&error, &PathNames::default()))
        })
        .await?;
    if found {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::not_found("model"))
}

/// Returns an error if the operator does not let clients change the models.
fn refuse_fixed(app: &App) -> Result<()> {
    if app.config.fixed_models {
        return Err(ApiError::because(Code::Forbidden, Reason::ModelsFixed, []));
    }
    Ok(())
}

/// Waits until no other request changes the models folder.
fn alone() -> MutexGuard<'static, ()> {
    CHANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Converts an error of the model store.
fn refused(error: &rife::Error, names: &PathNames) -> ApiError {
    let mut refused = ApiError::from_library(error, names);
    // The model is the input here, not an option.
    if refused.code == Code::Model {
        refused.code = Code::BadInput;
    }
    refused.for_request()
}

/// Returns a name with the characters that names of models may have, others replaced by dashes.
fn plain(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-+".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = name.trim_start_matches('.').chars().map(plain).take(64).collect();
    if name.is_empty() { "model".into() } else { name }
}

/// Returns the name of a weights file in the folder that is read; the only `.param` and `.bin` of two files are `flownet`.
fn file_name(label: &str, count: usize) -> String {
    match extension(label) {
        Some(extension) if count == 2 && ["param", "bin"].contains(&&*extension) => {
            format!("flownet.{extension}")
        }
        _ => plain(label),
    }
}

/// Returns the extension of a file's name in lower case.
fn extension(label: &str) -> Option<String> {
    let (_, extension) = label.rsplit_once('.')?;
    Some(extension.to_ascii_lowercase())
}

/// Returns the built-in models, unless built without them, and all models of the lock file.
fn items(lock: &Lock) -> Vec<Value> {
    let built_in = rife::nets::built_in().iter();
    let built_in = built_in.map(|network| item(network.name, network.version, "built in"));
    let others = lock.models.iter().filter_map(|(name, entry)| pulled(name, entry));
    built_in.chain(others).collect()
}

/// Returns the Model object of an entry of the lock file; `None` for one of an unknown network.
fn pulled(name: &str, entry: &LockEntry) -> Option<Value> {
    let version = entry.version.as_deref().unwrap_or(name).parse().ok()?;
    Some(item(
        name,
        version,
        if entry.url == ADDED { "added" } else { "pulled" },
    ))
}

/// Returns the Model object of the API.
fn item(name: &str, version: Version, origin: &str) -> Value {
    json!({
        "name": name, "version": version.name(), "origin": origin, "timestep": version.supports_timestep(),
        "ensemble": version.supports_ensemble(), "tta": true, "macs_per_pixel": version.macs_per_pixel(),
    })
}

/// Returns the public checkpoints that are not in the models folder.
fn available(lock: &Lock) -> Vec<Value> {
    let missing = CATALOG
        .iter()
        .filter(|known| !lock.models.contains_key(known.name));
    missing.filter_map(public).collect()
}

/// Returns the PublicModel object of the API.
fn public(known: &Checkpoint) -> Option<Value> {
    let version: Version = known.name.parse().ok()?;
    Some(json!({
        "name": known.name, "url": known.url(), "license": Checkpoint::LICENSE, "pinned": known.sha256.is_some(),
        "bytes": 4 * version.parameter_count(), "timestep": version.supports_timestep(),
        "macs_per_pixel": version.macs_per_pixel(),
    }))
}
