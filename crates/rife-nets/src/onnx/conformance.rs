//! Conformance suite of `rife-backend` on recorded ONNX graphs, evaluated by ONNX Runtime.

#[path = "../../tests/onnx/runtime.rs"]
mod runtime;

use std::collections::BTreeMap;
use std::path::Path;

use rife_backend::conformance::{Case, Expr, Input, Poisoned, cases};
use rife_backend::{Activation, ConvSpec};

use super::graph::Output;
use super::recorder::{Recorder, Value};
use crate::checkpoint::Dtype;
use crate::layer::{ActivationDesc, LayerDesc};

/// Maximum difference from the reference engine, in units of the larger of 1 and the absolute value.
const TOLERANCE: f32 = 2e-4;
/// Pixels by which a NaN may exceed the receptive field of a convolution: none, since ONNX Runtime's kernels are direct.
const SPREAD: usize = 0;

/// Describes convolution number `index`, which names its tensors.
fn layer(index: usize, spec: &ConvSpec) -> LayerDesc {
    let key = format!("layer{index}");
    let plain = LayerDesc::plain(spec.kind, &*key, spec.input, spec.output);
    LayerDesc {
        groups: spec.groups,
        beta: spec.residual.is_some().then(|| format!("{key}.beta")),
        activation: match spec.activation {
            Activation::None => ActivationDesc::None,
            Activation::LeakyRelu(_) => ActivationDesc::Leaky,
            Activation::Prelu(_) => ActivationDesc::Prelu(format!("{key}.slopes")),
        },
        ..plain
    }
}

fn input_name(index: usize) -> String {
    format!("input{index}")
}

/// Encodes the ONNX model of a case's expression: its inputs `input0`, `input1` and so on, and the output `value`.
fn encode(case: &Case) -> Vec<u8> {
    let convolutions = case.expr.convolutions().into_iter().enumerate();
    let layers = convolutions.map(|(i, spec)| layer(i, spec)).collect();
    let recorder = Recorder::new(layers, Dtype::F32);
    let inputs = case.inputs.iter().enumerate();
    let inputs: Vec<_> = inputs
        .map(|(i, input)| recorder.input(&input_name(i), input.shape))
        .collect();
    let Value { id, shape } = case.expr.eval(&recorder, &inputs).unwrap();
    let output = Output {
        name: "value",
        value: id,
        shape: [&[1], &shape[..]].concat(),
    };
    super::model(&recorder.into_graph().encode(&[output]), &BTreeMap::new())
}

fn write_inputs(folder: &Path, inputs: &[Input]) {
    std::fs::create_dir(folder).unwrap();
    for (i, input) in inputs.iter().enumerate() {
        runtime::write_values(folder, &input_name(i), &input.data);
    }
}

/// Returns the variants of a case with a NaN or an infinity, for two sizes and for trees. Dense inverse searches are left
/// out: ONNX does not define Min and Max of NaN.
fn poisoned(case: &Case) -> Vec<Poisoned> {
    let tried = ["7x9", "15x17", "tree"]
        .iter()
        .any(|part| case.name.contains(part));
    match tried && !case.expr.searches() {
        true => case.poisoned(SPREAD),
        false => Vec::new(),
    }
}

#[test]
fn onnx_runtime_agrees_with_the_reference_and_keeps_nan_local() {
    if !runtime::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<_> = cases(20)
        .into_iter()
        .map(|case| (poisoned(&case), case))
        .collect();
    let case_folder = |i: usize| folder.path().join(format!("{i:04}"));
    for (i, (poisoned, case)) in cases.iter().enumerate() {
        let folder = case_folder(i);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("model.onnx"), encode(case)).unwrap();
        write_inputs(&folder.join("clean"), &case.inputs);
        for (i, poisoned) in poisoned.iter().enumerate() {
            write_inputs(&folder.join(format!("poisoned{i}")), &poisoned.inputs);
        }
    }
    runtime::run(folder.path());
    let mut wrong = Vec::new();
    for (i, (poisoned, case)) in cases.iter().enumerate() {
        let value = |run: &str| runtime::read_values(&case_folder(i).join(run), "value");
        let clean = value("clean");
        wrong.extend(case.compare(&clean, TOLERANCE).err());
        for (i, poisoned) in poisoned.iter().enumerate() {
            wrong.extend(poisoned.compare(&clean, &value(&format!("poisoned{i}"))).err());
        }
    }
    println!("ONNX Runtime: {} cases", cases.len());
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    assert!(
        cases
            .iter()
            .any(|(_, case)| matches!(case.expr, Expr::ConvChain(..)))
    );
}
