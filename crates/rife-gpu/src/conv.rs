//! Convolutions: packing of weights, and the choice of the kernel's constants.

use std::sync::Arc;

use rife_backend::{Activation, BackendError, ConvKind, ConvSpec, Result};

use crate::codegen::{self, ENABLE_F16};
use crate::engine::{Engine, Kernel};
use crate::memory::Pooled;
use crate::tensor::{GpuTensor, Layout, Stored, quads};

/// Maximum bytes of workgroup memory of a kernel.
pub(crate) const WORKGROUP_MEMORY: u32 = 16 * 1024;

/// Positions of a workgroup along x and y, as `kernels/conv.wgsl` has them.
const TILE: [usize; 2] = [16, 8];

/// Maximum number of output quads of a workgroup.
const MAX_QUADS: usize = 8;

/// A convolution prepared for the GPU.
#[derive(Debug)]
pub struct ConvLayer {
    kind: ConvKind,
    shape: Channels,
    residual: bool,
    /// Weights and epilogue, or why they are not there.
    buffers: std::result::Result<[Arc<Pooled>; 2], BackendError>,
}

/// Channels of a convolution and how they are cut for the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Channels {
    input: usize,
    output: usize,
    groups: usize,
    /// Blocks of output quads of a group.
    blocks: usize,
    /// Output quads of a block.
    quads: usize,
    /// Input quads in workgroup memory at a time.
    chunk: usize,
}

impl Channels {
    fn new(spec: &ConvSpec) -> Self {
        // Groups whose channels are no whole quads are computed as one, with weights of zero between them.
        let whole = |channels: usize| (channels / spec.groups).is_multiple_of(4);
        let groups = if whole(spec.input) && whole(spec.output) {
            spec.groups
        } else {
            1
        };
        let of_group = quads(spec.output / groups);
        let blocks = of_group.div_ceil(MAX_QUADS);
        Self {
            input: spec.input,
            output: spec.output,
            groups,
            blocks,
            quads: of_group.div_ceil(blocks),
            // The patch of a convolution with stride 2 is four times as large.
            chunk: if spec.kind == ConvKind::Down { 1 } else { 2 },
        }
    }

    /// Returns the number of chunks of a group's input channels.
    fn chunks(&self) -> usize {
        quads(self.input_of_group()).div_ceil(self.chunk)
    }

    fn input_of_group(&self) -> usize {
        self.input / self.groups
    }

    fn output_of_group(&self) -> usize {
        self.output / self.groups
    }
}

/// Returns taps along an axis, stride and number of phases of the kernel of a kind.
fn geometry(kind: ConvKind) -> [usize; 3] {
    match kind {
        ConvKind::Same => [3, 1, 1],
        ConvKind::Down => [3, 2, 1],
        ConvKind::Up => [2, 1, 4],
    }
}

/// Binding of the first input; output, weights and epilogue come before.
const FIRST_INPUT: usize = 4;

/// Maximum number of statements of a generated input that a convolution computes itself.
const MAX_INPUT_STATEMENTS: usize = 1000;

/// What a convolution reads.
struct Input {
    /// WGSL of the function `read_input` and the bindings that it reads.
    source: String,
    reads_f16: bool,
    tensors: Vec<Stored>,
    /// Parameters of the source.
    parameters: Vec<u32>,
    /// Statements of the source for one quad, and bytes that it reads.
    statements: usize,
    bytes: u64,
}

impl Input {
    /// Reads a stored tensor.
    fn stored(stored: Stored, shape: [usize; 3]) -> Self {
        let channels = shape[0];
        let body = match stored.layout {
            Layout::Planar => {
                let lanes = [0, 1, 2, 3].map(|lane| {
                    let c = format!("4u * quad + {lane}u");
                    let value = format!("input[(({c}) * p.input.y + u32(at.y)) * p.input.x + u32(at.x)]");
                    format!("select(0.0, {value}, {c} < {channels}u)")
                });
                format!("return vec4<f32>({})", lanes.join(", "))
            }
            layout => format!(
                "let value = input[(u32(at.y) * p.input.x + u32(at.x)) * p.input.z + quad];\n    return {}",
                layout.unpacked("value")
            ),
        };
        Self {
            source: format!(
                "@group(0) @binding({FIRST_INPUT}) var<storage, read> input: array<{}>;\n\
                 fn read_input(at: vec2<i32>, quad: u32) -> vec4<f32> {{\n    {body};\n}}\n",
                stored.layout.element()
            ),
            reads_f16: stored.layout == Layout::Halves,
            bytes: stored.buffer.bytes(),
            tensors: vec![stored],
            parameters: vec![0; 4],
            statements: 0,
        }
    }
}

/// Returns the kernel's WGSL text.
fn source(layer: &ConvLayer, input: &Input, features: Layout) -> String {
    let ConvLayer {
        kind,
        shape,
        residual,
        ..
    } = layer;
    let [taps, stride, _] = geometry(*kind);
    let transposed = *kind == ConvKind::Up;
    let enable = if input.reads_f16 || features == Layout::Halves {
        ENABLE_F16
    } else {
        ""
    };
    format!(
        "{enable}alias Feature = {};\nconst VALUES = {}u;\nconst KERNEL = {taps}u;\nconst STRIDE = {stride}u;\nconst CHUNK = {}u;\n\
         const CHUNKS = {}u;\nconst QUADS = {}u;\nconst TRANSPOSED = {transposed};\nconst RESIDUAL = {residual};\n{}{}",
        features.element(),
        input.parameters.len() / 4,
        shape.chunk,
        shape.chunks(),
        shape.quads,
        input.source,
        include_str!("kernels/conv.wgsl")
    )
}

/// Returns the weight from input channel `i`, all groups counted, to output channel `o` at a tap of a phase; zero between groups.
fn weight(spec: &ConvSpec, phase: usize, tap: usize, i: usize, o: usize) -> f32 {
    let (group_in, group_out) = (spec.input / spec.groups, spec.output / spec.groups);
    if i >= spec.input || o >= spec.output || i / group_in != o / group_out {
        return 0.0;
    }
    match spec.kind {
        ConvKind::Same | ConvKind::Down => spec.weight[(o * group_in + i % group_in) * 9 + tap],
        ConvKind::Up => {
            // Output row 2y + p sees input rows y + p - 1 and y + p, by the kernel's rows 3 - p and 1 - p.
            let row = 3 - phase / 2 - 2 * (tap / 2);
            let column = 3 - phase % 2 - 2 * (tap % 2);
            spec.weight[(i * group_out + o % group_out) * 16 + row * 4 + column]
        }
    }
}

/// Returns the weights in the order of `kernels/conv.wgsl`.
fn packed(spec: &ConvSpec, shape: &Channels) -> Vec<f32> {
    let [taps, _, phases] = geometry(spec.kind);
    let mut packed = Vec::new();
    for phase in 0..phases {
        for group in 0..shape.groups {
            for block in 0..shape.blocks {
                for chunk in 0..shape.chunks() {
                    for tap in 0..taps * taps {
                        for i in chunk * shape.chunk * 4..(chunk + 1) * shape.chunk * 4 {
                            for o in block * shape.quads * 4..(block + 1) * shape.quads * 4 {
                                let inside = i < shape.input_of_group() && o < shape.output_of_group();
                                let i = group * shape.input_of_group() + i;
                                let o = group * shape.output_of_group() + o;
                                packed.push(if inside {
                                    weight(spec, phase, tap, i, o)
                                } else {
                                    0.0
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    packed
}

/// Returns bias, slope and residual factor of every output quad, groups padded to whole blocks.
fn epilogue(spec: &ConvSpec, shape: &Channels) -> Vec<f32> {
    let slope = |o: usize| match &spec.activation {
        Activation::None => 1.0,
        Activation::LeakyRelu(slope) => *slope,
        Activation::Prelu(slopes) => slopes[o],
    };
    let factor = |o: usize| spec.residual.as_ref().map_or(0.0, |factors| factors[o]);
    let terms: [&dyn Fn(usize) -> f32; 3] = [&|o| spec.bias[o], &slope, &factor];
    let mut values = Vec::new();
    for group in 0..shape.groups {
        for quad in 0..shape.blocks * shape.quads {
            for term in terms {
                for lane in 0..4 {
                    let o = quad * 4 + lane;
                    let inside = o < shape.output_of_group();
                    values.push(if inside {
                        term(group * shape.output_of_group() + o)
                    } else {
                        0.0
                    });
                }
            }
        }
    }
    values
}

impl ConvLayer {
    /// Returns `[channels, height, width]` of the result for an input of `[channels, height, width]`.
    pub(crate) fn output_shape(&self, [_, height, width]: [usize; 3]) -> [usize; 3] {
        [self.shape.output, self.kind.size(height), self.kind.size(width)]
    }
}

impl Engine {
    /// Packs and uploads the weights of a convolution. Where memory is lacking, its results hold the error.
    pub(crate) fn conv_layer(&self, spec: &ConvSpec) -> ConvLayer {
        assert!(
            spec.kind != ConvKind::Up || spec.groups == 1,
            "a transposed convolution has one group"
        );
        let shape = Channels::new(spec);
        let upload = |bytes: &[u8]| self.device.upload(bytes).map(Arc::new);
        let (weights, epilogue) = (packed(spec, &shape), epilogue(spec, &shape));
        let weights = match self.features {
            Layout::Halves => {
                let halves: Vec<_> = weights
                    .iter()
                    .map(|value| half::f16::from_f32(*value).to_bits())
                    .collect();
                upload(bytemuck::cast_slice(&halves))
            }
            _ => upload(bytemuck::cast_slice(&weights)),
        };
        let buffers = weights.and_then(|weights| Ok([weights, upload(bytemuck::cast_slice(&epilogue))?]));
        ConvLayer {
            kind: spec.kind,
            shape,
            residual: spec.residual.is_some(),
            buffers,
        }
    }

    /// Returns how a convolution reads `x`: from a buffer, or as an expression that it computes where it reads it. Only a
    /// convolution with stride 2 that computes all output channels in one workgroup reads expressions: others would compute
    /// each value many times.
    fn input_of(&self, x: &GpuTensor, layer: &ConvLayer) -> Result<Input> {
        let Channels { blocks, groups, .. } = layer.shape;
        let is_fused = !x.is_stored() && layer.kind == ConvKind::Down && blocks * groups == 1;
        // The output, the weights and the epilogue take bindings, too.
        if let Some(max_inputs) = self.max_inputs().checked_sub(2).filter(|_| is_fused) {
            self.plan(x, max_inputs);
            let generated = codegen::generate_input(x, FIRST_INPUT)?;
            if generated.size <= MAX_INPUT_STATEMENTS && generated.inputs.len() <= max_inputs {
                let [_, height, width] = x.shape();
                return Ok(Input {
                    bytes: generated.bytes_read(height * width),
                    reads_f16: generated
                        .inputs
                        .iter()
                        .any(|input| input.layout == Layout::Halves),
                    statements: generated.size,
                    source: generated.source,
                    tensors: generated.inputs,
                    parameters: generated.parameters,
                });
            }
        }
        Ok(Input::stored(self.store(x, self.features)?, x.shape()))
    }

    /// Records a convolution.
    ///
    /// # Errors
    /// Where memory is lacking for its input, weights or output.
    pub(crate) fn conv(&self, x: &GpuTensor, layer: &ConvLayer) -> Result<GpuTensor> {
        let ConvLayer { kind, shape, .. } = layer;
        let [channels, height, width] = x.shape();
        assert_eq!(channels, shape.input, "a convolution of other channels");
        let input = self.input_of(x, layer)?;
        let [weights, epilogue] = layer.buffers.as_ref().map_err(Clone::clone)?;
        let [taps, _, phases] = geometry(*kind);
        let out = layer.output_shape(x.shape());
        let [rows, columns] = if *kind == ConvKind::Up {
            [height, width]
        } else {
            [out[1], out[2]]
        };
        let macs = taps * taps * phases * shape.input_of_group() * shape.output * rows * columns;
        let mut parameters: Vec<u32> = [
            [width, height, quads(shape.input), 0],
            [columns, rows, quads(shape.output), 0],
            [
                quads(shape.input_of_group()),
                quads(shape.output_of_group()),
                shape.blocks,
                shape.groups,
            ],
        ]
        .as_flattened()
        .iter()
        .map(|word| *word as u32)
        .collect();
        parameters.extend(&input.parameters);
        let mut inputs: Vec<&Pooled> = vec![weights, epilogue];
        inputs.extend(input.tensors.iter().map(|stored| &*stored.buffer));
        self.run(
            out,
            self.features,
            &Kernel {
                name: format_args!(
                    "convolution {kind:?}, {} to {} channels, {columns}x{rows}{}",
                    shape.input,
                    shape.output,
                    if input.statements > 0 {
                        ", generated input"
                    } else {
                        ""
                    }
                ),
                source: &source(layer, &input, self.features),
                inputs: &inputs,
                parameters: &parameters,
                groups: [
                    columns.div_ceil(TILE[0]),
                    rows.div_ceil(TILE[1]),
                    phases * shape.groups * shape.blocks,
                ],
                work: (macs + input.statements * height * width) as u64,
                bytes_read: input.bytes + weights.bytes() + epilogue.bytes(),
            },
        )
    }
}
