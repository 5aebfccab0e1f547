//! ONNX export (opset 16): runs a network on a recording backend, which appends operators to a graph instead of computing,
//! and encodes the graph as a `ModelProto`.

#[cfg(test)]
mod conformance;
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

/// Operator set of ONNX 1.11, the first with GridSample, which a backward warp needs.
const OPSET: i64 = 16;
/// `IR_VERSION` of ONNX 1.11.
const IR_VERSION: i64 = 8;

/// Options of the ONNX export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Width and height of the frames, [`crate::MIN_SIDE`] to [`crate::MAX_SIDE`] each. The graph pads them to the network's
    /// [`Version::size_multiple`] and crops the outputs.
    pub size: [usize; 2],
    /// Options of inference.
    pub network: Options,
    /// Whether flow and mask are outputs of the graph too.
    pub with_flow: bool,
    /// Stored type of the weights; a graph with f16 weights casts them to f32, in which all operators compute.
    pub dtype: Dtype,
}

/// Writes a network as an ONNX model, atomically replacing `path`; equal weights and options give equal files.
///
/// Inputs, all f32: `img0` and `img1` `[1, 3, height, width]`, RGB in 0..1; `timestep` `[1, 1, 1, 1]` for versions with
/// [`Version::supports_timestep`]. Outputs: `merged` `[1, 3, height, width]`, the frame in 0..1; with
/// [`OnnxOptions::with_flow`] also `flow` `[1, 4, height, width]` (see [`crate::Stage::flow`]) and `mask`
/// `[1, 1, height, width]`, the first warped frame's weight in 0..1.
///
/// # Errors
/// [`Problem::Network`] for a size outside the limits, weights that are not the version's, an unsupported ensemble, or
/// test-time augmentation of 4.0 or 4.1 ([`NetworkError::NoTtaGraph`]); [`Problem::BeyondF16`]; [`Problem::Io`].
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

/// Encodes the model of [`save_onnx`] as the bytes of a `ModelProto`.
///
/// # Errors
/// [`Problem::Network`], [`Problem::BeyondF16`].
fn encode(
    version: Version,
    weights: &Weights,
    options: &OnnxOptions,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, Problem> {
    check(version, weights, options)?;
    let recorder = Recorder::new(version.layers(), options.dtype);
    let network = Network::load(&recorder, version, weights)?;
    // Networks 4.0 and 4.1 branch on the size of motion; for all others both recordings are the same.
    let small_motion = record(&recorder, &network, options)?;
    recorder.assume_large_motion(true);
    let large_motion = record(&recorder, &network, options)?;
    let graph = match version.restart().and_then(|limit| recorder.exceeds(limit)) {
        None => recorder.into_graph().encode(&small_motion),
        Some(condition) => recorder
            .into_graph()
            .encode_if(condition, &large_motion, &small_motion),
    };
    Ok(model(&graph, metadata))
}

/// A `ModelProto` of a graph.
fn model(graph: &Message, metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let opset = Message::default().text(1, "").int(2, OPSET);
    let model = Message::default()
        .int(1, IR_VERSION)
        .text(2, "rife")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, graph)
        .message(8, &opset)
        .each(metadata, |model, (key, value)| {
            model.message(14, &Message::default().text(1, key).text(2, value))
        });
    model.into_bytes()
}

/// Checks the frame size, that test-time augmentation can be exported, and that the weights fit their stored type.
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

/// Runs the network once on the recorder and returns the graph's outputs, cropped to the frame size.
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
    let timestep = recorder.expand(timestep.id, frames[0].image().shape);
    let pair = network.pair(recorder, frames.each_ref(), &options.network)?;
    let output = network.interpolate_at(recorder, &pair, &timestep, &options.network)?;
    let cropped = |name, value: Value| {
        let value = recorder.crop(&value, [height, width]);
        let [channels, ..] = value.shape;
        Output {
            name,
            value: value.id,
            shape: vec![1, channels, height, width],
        }
    };
    let mut outputs = vec![cropped("merged", recorder.clamp01(&output.merged))];
    if options.with_flow {
        outputs.push(cropped("flow", output.flow));
        outputs.push(cropped("mask", recorder.sigmoid(&output.mask)));
    }
    Ok(outputs)
}
