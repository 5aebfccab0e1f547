//! Networks as ONNX files: the network's own code is run over a recorder, which writes down the operators instead
//! of computing. The operators are those of opset 16.

mod graph;
mod proto;
mod recorder;

use std::collections::BTreeMap;
use std::path::Path;

use rife_backend::Backend;

use crate::checkpoint::{self, CheckpointError, Dtype, Problem};
use crate::error::NetworkError;
use crate::image::{MAX_SIDE, MIN_SIDE};
use crate::network::{Network, Options};
use crate::version::Version;
use crate::weights::Weights;
use graph::Output;
use proto::Message;
use recorder::{Recorder, Value};

/// ONNX 1.11: the first with GridSample, and so the oldest that can hold a warp.
const OPSET: i64 = 16;
const IR_VERSION: i64 = 8;

/// What an ONNX file is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Width and height of the frames, [`crate::MIN_SIDE`] to [`crate::MAX_SIDE`] each. Padding to the network's
    /// [`Version::size_multiple`] and cropping are part of the graph.
    pub size: [usize; 2],
    /// How the network runs.
    pub network: Options,
    /// Whether flow and mask are outputs beside the frame.
    pub with_flow: bool,
    /// How the weights are stored. Everything is computed in f32.
    pub dtype: Dtype,
}

/// Writes a network as an ONNX model. `path` is replaced only by the complete file; equal weights and options give
/// equal files.
///
/// Inputs, all f32: `img0` and `img1` `[1, 3, height, width]`, RGB in 0..1; `timestep` `[1, 1, 1, 1]`, in the versions that
/// take one. Outputs: `merged` `[1, 3, height, width]`, in 0..1, as [`crate::Model::interpolate`] gives it; with
/// [`OnnxOptions::with_flow`] also `flow` `[1, 4, height, width]` (see [`crate::Stage::flow`]) and `mask`
/// `[1, 1, height, width]`, the first frame's share in 0..1.
///
/// # Errors
/// [`Problem::Network`] for a size outside the limits, weights that are not the version's, an ensemble that the
/// version has not, or test-time augmentation of a version that looks again where motion is large;
/// [`Problem::BeyondF16`]; [`Problem::Io`].
pub fn save_onnx(
    path: &Path,
    version: Version,
    weights: &Weights,
    options: &OnnxOptions,
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    encode(version, weights, options, metadata)
        .and_then(|bytes| rife_files::replace(path, &bytes).map_err(Problem::Io))
        .map_err(|problem| CheckpointError::new(path, problem))
}

/// The bytes of the model, see [`save_onnx`].
///
/// # Errors
/// As there, without [`Problem::Io`].
fn encode(
    version: Version,
    weights: &Weights,
    options: &OnnxOptions,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, Problem> {
    check(version, weights, options)?;
    let recorder = Recorder::new(version.layers(), options.dtype);
    let network = Network::load(&recorder, version, weights)?;
    let near = record(&recorder, &network, options)?;
    recorder.assume_far(true);
    let far = record(&recorder, &network, options)?;
    let graph = match version.restart().and_then(|limit| recorder.is_far(limit)) {
        None => recorder.into_graph().encode(&near),
        Some(condition) => recorder.into_graph().encode_choice(condition, &far, &near),
    };
    let opset = Message::default().text(1, "").int(2, OPSET);
    let model = Message::default()
        .int(1, IR_VERSION)
        .text(2, "rife")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &graph)
        .message(8, &opset)
        .each(metadata, |model, (key, value)| {
            model.message(14, &Message::default().text(1, key).text(2, value))
        });
    Ok(model.into_bytes())
}

fn check(version: Version, weights: &Weights, options: &OnnxOptions) -> Result<(), Problem> {
    let sides = MIN_SIDE..=MAX_SIDE;
    let [width, height] = options.size;
    if !sides.contains(&width) || !sides.contains(&height) {
        return Err(NetworkError::ImageSize { width, height }.into());
    }
    if options.network.tta && version.restart().is_some() {
        let version = version.name().to_owned();
        return Err(NetworkError::NoTtaGraph { version }.into());
    }
    checkpoint::check_range(weights, options.dtype)
}

/// Runs the network over the recorder once.
fn record(
    recorder: &Recorder,
    network: &Network<<Recorder as Backend>::Conv>,
    options: &OnnxOptions,
) -> Result<Vec<Output>, NetworkError> {
    let [width, height] = options.size;
    let multiple = network.version().size_multiple(options.network.scale);
    let padded = [height, width].map(|side| side.next_multiple_of(multiple));
    let frame = |name| {
        let image = recorder.pad(&recorder.input(name, [3, height, width]), padded);
        network.encode(recorder, &image, &options.network)
    };
    let frames = [frame("img0")?, frame("img1")?];
    let timestep = recorder.input("timestep", [1; 3]);
    let timestep = recorder.spread(timestep.id, frames[0].image().shape);
    let pair = network.pair(recorder, frames.each_ref(), &options.network)?;
    let output = network.interpolate_at(recorder, &pair, &timestep, &options.network)?;
    let given = |name, value: Value| {
        let value = recorder.crop(&value, [height, width]);
        let [channels, ..] = value.shape;
        Output {
            name,
            value: value.id,
            shape: vec![1, channels, height, width],
        }
    };
    let mut outputs = vec![given("merged", recorder.clamp01(&output.merged))];
    if options.with_flow {
        outputs.push(given("flow", output.flow));
        outputs.push(given("mask", recorder.sigmoid(&output.mask)));
    }
    Ok(outputs)
}
