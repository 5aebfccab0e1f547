//! `rife convert`: converts weights to the format that the output's name selects.

use std::path::Path;

use rife::nets::Options;
use rife::nets::checkpoint::Dtype;
use rife::nets::onnx::OnnxOptions;
use rife::weights::{Target, convert};
use rife::{Error, ModelChoice, Result};
use serde_json::json;

use super::shown;
use crate::args::{ConvertArgs, OnnxArgs};
use crate::output;

/// Converts the weights and prints the written files.
pub(crate) fn run(args: &ConvertArgs) -> Result<()> {
    let choice = ModelChoice::parse(&args.input);
    let target = target(args)?;
    let written = convert(&choice, args.model_version, &args.output, &target, args.overwrite)?;
    if args.json {
        let files: Vec<_> = written
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let object = json!({
            "files": files, "version": written.version.name(), "weights_sha256": written.sha256,
            "notes": written.notes,
        });
        return output::line(&object.to_string());
    }
    for note in &written.notes {
        output::say(&output::plain(note));
    }
    written
        .files
        .iter()
        .try_for_each(|file| output::line(&shown(file)))
}

/// Selects the format by the output's name; refuses options of other formats.
fn target(args: &ConvertArgs) -> Result<Target> {
    let output = &args.output;
    let dtype = if args.f16 { Dtype::F16 } else { Dtype::F32 };
    let module = !args.plain_keys;
    let target = match suffix(output).as_str() {
        "safetensors" => Target::Safetensors(dtype),
        "pkl" | "pth" => Target::Pkl { module },
        "/" => Target::PklFolder { module },
        "onnx" => Target::Onnx(onnx(&args.onnx, dtype)?),
        _ => {
            return Err(Error::Usage(format!(
                "{} says no format that can be written: its name is to end in .safetensors, .pkl, .pth or .onnx, \
                 or in / for a folder of flownet.pkl",
                shown(output)
            )));
        }
    };
    let (is_onnx, is_pkl) = (
        matches!(target, Target::Onnx(_)),
        matches!(target, Target::Pkl { .. } | Target::PklFolder { .. }),
    );
    let misplaced = match args.onnx.given() {
        Some(option) if !is_onnx => Some((option, ".onnx")),
        _ if args.f16 && is_pkl => Some(("--f16", ".safetensors and .onnx")),
        _ if args.plain_keys && !is_pkl => Some(("--plain-keys", ".pkl, .pth and folders")),
        _ => None,
    };
    misplaced.map_or(Ok(target), |(option, formats)| {
        Err(Error::Usage(format!(
            "{option} is for {formats}, not for {}",
            shown(output)
        )))
    })
}

/// Returns the extension in lower case, or `/` for a folder.
fn suffix(path: &Path) -> String {
    let ends_in_slash = path
        .as_os_str()
        .to_string_lossy()
        .ends_with(std::path::is_separator);
    if ends_in_slash || path.is_dir() {
        return "/".to_owned();
    }
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_lowercase()
}

/// Converts the options of an ONNX model; `--size` is required.
fn onnx(args: &OnnxArgs, dtype: Dtype) -> Result<OnnxOptions> {
    let size = args.size.ok_or_else(|| {
        Error::Usage(
            "an ONNX model is made for frames of one size: give --size, such as --size 1280x720".into(),
        )
    })?;
    Ok(OnnxOptions {
        size: size.map(|side| side as usize),
        network: Options {
            scale: args.scale.unwrap_or_default(),
            ensemble: args.ensemble,
            tta: args.tta,
            keep_stages: false,
        },
        with_flow: args.with_flow,
        dtype,
    })
}
