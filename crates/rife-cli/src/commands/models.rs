//! `rife models`: lists the known networks, describes weights files, converts and downloads them.

use std::path::Path;

use rife::media::CancelToken;
use rife::models::{
    CATALOG, Download, LOCK_FILE, Lock, SUGGESTIONS, Suggestion, checkpoint, download, models_folder,
};
use rife::nets::{Scale, Version};
use rife::weights::{Inspected, inspect, inspect_chosen};
use rife::{Interpolator, InterpolatorSpec, ModelChoice, Result};
use rife_eval::benchmark::measure_speed;
use serde_json::{Value, json};

use super::shown;
use crate::args::ModelsCommand;
use crate::output;
use crate::progress::Progress;

/// Runs a subcommand.
pub(crate) fn run(command: ModelsCommand, cancel: &CancelToken) -> Result<()> {
    match command {
        ModelsCommand::List { json, time } => list(json, time, cancel),
        ModelsCommand::Info { file, json } => info(&file, json),
        ModelsCommand::Convert(args) => super::convert::run(&args),
        ModelsCommand::Pull {
            name,
            sha256,
            rename,
            max_bytes,
            json,
        } => {
            let mut wanted = Download::parse(&name)?;
            wanted.max_bytes = max_bytes;
            wanted.sha256 = sha256.or(wanted.sha256);
            wanted.name = rename.unwrap_or(wanted.name);
            pull(&wanted, json, cancel)
        }
    }
}

/// Number of timed frames of each suggested network.
const RUNS: usize = 3;

/// Prints the suggested networks, with the time of a frame where a size is given, then all known networks and the downloaded
/// models.
fn list(json: bool, size: Option<[u32; 2]>, cancel: &CancelToken) -> Result<()> {
    // Without a models folder nothing was downloaded.
    let folder = models_folder().ok();
    let lock = folder
        .as_deref()
        .map_or_else(|| Ok(Lock::default()), Lock::read)?;
    let time = |suggestion: &Suggestion| {
        size.map(|size| milliseconds(suggestion, size, cancel))
            .transpose()
    };
    let times = SUGGESTIONS.iter().map(time).collect::<Result<Vec<_>>>()?;
    let suggested = SUGGESTIONS.iter().zip(times);
    if json {
        let rows: Vec<_> = Version::all().map(|version| row_json(version, &lock)).collect();
        let folder = folder.map(|folder| folder.display().to_string());
        let suggested: Vec<_> = suggested
            .map(|(row, time)| suggestion_json(row, size, time))
            .collect();
        let object = json!({"folder": folder, "suggestions": suggested, "models": rows});
        return output::line(&object.to_string());
    }
    output::line("for                              network       UCF101   DAVIS   ms a frame  weights")?;
    for (row, time) in suggested {
        output::line(&suggestion_text(row, time, &lock))?;
    }
    let timed = match size {
        Some([width, height]) => format!("a frame of {width}x{height}, measured now"),
        None => "--time measures it here".to_owned(),
    };
    output::line(&format!(
        "UCF101, DAVIS: PSNR in dB, where this project has measured it (docs/model-card.md); ms a frame: {timed}\n"
    ))?;
    output::line("version     multiple of  timestep  ensemble   parameters   MAC/pixel  weights")?;
    for version in Version::all() {
        output::line(&format!(
            "{:<11} {:>11}  {:<8}  {:<8}  {:>10.2} M  {:>8.1} k  {}",
            version.name(),
            version.size_multiple(Scale::One),
            if version.supports_timestep() { "any" } else { "0.5" },
            if version.supports_ensemble() { "yes" } else { "no" },
            version.parameter_count() as f64 / 1e6,
            version.macs_per_pixel() / 1e3,
            availability(version, &lock)
        ))?;
    }
    let known: Vec<_> = Version::names();
    for (name, entry) in lock
        .models
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()))
    {
        output::line(&output::one_line(&format!(
            "{name:<11} pulled from {}",
            entry.url
        )))?;
    }
    let location = match &folder {
        Some(folder) => format!("The models folder is {}.", shown(folder)),
        None => "There is no models folder: RIFE_MODELS_DIR or HOME would say where.".to_owned(),
    };
    output::line(&format!(
        "\n{location} Versions marked `pull` can be fetched by name;"
    ))?;
    output::line("their addresses are those of vs-rife's releases, which this project cannot vouch for.")
}

/// Returns the milliseconds that a suggested network takes here for a frame of this size. They do not depend on the weights.
fn milliseconds(suggestion: &Suggestion, size: [u32; 2], cancel: &CancelToken) -> Result<f64> {
    let mut spec = InterpolatorSpec::default();
    spec.model = ModelChoice::Random(suggestion.network.parse()?);
    spec.cancel = cancel.clone();
    Ok(measure_speed(&Interpolator::new(&spec)?, size, RUNS, cancel)?.median_ms)
}

/// Formats a suggested network and the milliseconds of a frame as a line.
fn suggestion_text(suggestion: &Suggestion, time: Option<f64>, lock: &Lock) -> String {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let weights = suggestion
        .network
        .parse()
        .map(|version| availability(version, lock));
    format!(
        "{:<32} {:<12} {:>7} {:>7} {:>12}  {}",
        suggestion.purpose,
        suggestion.network,
        number(suggestion.quality.map(|quality| quality.ucf101), 2),
        number(suggestion.quality.map(|quality| quality.davis), 2),
        number(time, 1),
        weights.unwrap_or("by path")
    )
}

/// Formats a suggested network and the milliseconds of a frame of `size` as JSON.
fn suggestion_json(suggestion: &Suggestion, size: Option<[u32; 2]>, time: Option<f64>) -> Value {
    let quality = suggestion.quality;
    json!({
        "version": suggestion.network, "for": suggestion.purpose,
        "psnr_ucf101": quality.map(|quality| quality.ucf101), "psnr_davis": quality.map(|quality| quality.davis),
        "size": size, "milliseconds": time,
    })
}

/// Names the origin from which a version's weights are available: `built in`, `pulled`, `pull` or `by path`.
fn availability(version: Version, lock: &Lock) -> &'static str {
    if rife::nets::built_in()
        .iter()
        .any(|network| network.version == version)
    {
        "built in"
    } else if lock.models.contains_key(version.name()) {
        "pulled"
    } else if checkpoint(version.name()).is_some() {
        "pull"
    } else {
        "by path"
    }
}

/// Formats a network's row of the list as JSON.
fn row_json(version: Version, lock: &Lock) -> Value {
    json!({
        "version": version.name(),
        "size_multiple": version.size_multiple(Scale::One),
        "timestep": version.supports_timestep(),
        "ensemble": version.supports_ensemble(),
        "parameters": version.parameter_count(),
        "macs_per_pixel": version.macs_per_pixel(),
        "weights": availability(version, lock),
        "url": checkpoint(version.name()).map(|checkpoint| checkpoint.url()),
    })
}

/// Interprets a name that is no existing file as an embedded network or a downloaded model; `None` otherwise.
fn choice(file: &Path) -> Option<ModelChoice> {
    let name = file.to_str().filter(|_| !file.exists())?;
    let named = ModelChoice::parse(name);
    if !matches!(named, ModelChoice::Named(_)) {
        return Some(named);
    }
    let lock = Lock::read(&models_folder().ok()?).ok()?;
    lock.models.contains_key(name).then_some(named)
}

/// Prints the description of a weights file or model.
fn info(file: &Path, json: bool) -> Result<()> {
    let Inspected {
        format,
        version,
        candidates,
        tensors,
        parameters,
        sha256,
        metadata,
        notes,
    } = match choice(file) {
        Some(choice) => inspect_chosen(&choice)?,
        None => inspect(file)?,
    };
    if json {
        let object = json!({
            "format": format, "version": version.name(), "fits": candidates, "tensors": tensors,
            "parameters": parameters, "weights_sha256": sha256, "network": version.spec(), "metadata": metadata,
            "notes": notes,
        });
        return output::line(&object.to_string());
    }
    output::line(&format!("{}: {format}", shown(file)))?;
    let fits = match &candidates[..] {
        [] => "no network that has a name".to_owned(),
        names => names.join(", "),
    };
    output::line(&format!("version:    {version} (its tensors fit {fits})"))?;
    output::line(&format!("tensors:    {tensors}"))?;
    output::line(&format!("parameters: {parameters}"))?;
    output::line(&format!(
        "sha256:     {sha256} (of the values, whatever the file)"
    ))?;
    for (key, value) in metadata {
        output::line(&output::one_line(&format!("{key}: {value}")))?;
    }
    notes
        .iter()
        .try_for_each(|note| output::line(&output::one_line(&format!("note: {note}"))))
}

/// Downloads a model and prints its path and hash; a file that is no known network is refused.
fn pull(wanted: &Download, json: bool, cancel: &CancelToken) -> Result<()> {
    let folder = models_folder()?;
    if !json {
        output::say(&format!("from {}", output::plain(&wanted.url)));
    }
    let mut progress = Progress::bytes(json);
    let accept = |path: &Path| inspect(path).map(drop);
    let result = download(
        &folder,
        wanted,
        &accept,
        &mut |have, total| progress.set(have, total, || json!({})),
        cancel,
    );
    progress.finish();
    let pulled = result?;
    let path = pulled.path.display().to_string();
    if json {
        let object = json!({
            "name": wanted.name, "path": path, "sha256": pulled.sha256, "bytes": pulled.bytes,
            "unchanged": pulled.unchanged,
        });
        return output::line(&object.to_string());
    }
    let what = if pulled.unchanged {
        "already there"
    } else {
        "pulled"
    };
    output::line(&format!(
        "{what}: {} ({} bytes)",
        output::plain(&path),
        pulled.bytes
    ))?;
    output::line(&format!("sha256: {} (pinned in {LOCK_FILE})", pulled.sha256))?;
    match CATALOG
        .iter()
        .any(|known| known.name == wanted.name && known.sha256.is_none())
    {
        true => output::line("no hash of this file was known before: the one above is trusted from now on"),
        false => output::line(&format!("use it with: --model {}", wanted.name)),
    }
}
