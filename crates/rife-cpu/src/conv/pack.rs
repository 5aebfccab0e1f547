//! Weight packing: a convolution's weights reordered to the order in which the kernels read them,
//! `[input block][tap][input channel][output channel]`.

use std::ops::Range;
use std::sync::OnceLock;

use rife_backend::{Activation, ConvKind, ConvSpec};

/// A convolution prepared for an engine.
#[derive(Debug, Clone)]
pub struct ConvLayer {
    /// Kernel size, stride and direction.
    pub(super) kind: ConvKind,
    /// Number of input channels.
    pub(super) input: usize,
    /// Number of output channels.
    pub(super) output: usize,
    /// Whether the input is added to the result (ResConv).
    pub(super) residual: bool,
    /// Whether the layer is a transposed convolution to up to four channels, computed as a convolution to sixteen: four
    /// channels of each of the 2x2 output pixels, see [`four_pixels`].
    pub(super) quads: bool,
    /// Packed weights of each phase of output pixels.
    pub(super) phases: Vec<Phase>,
    /// Bias of each output channel, padded to a multiple of sixteen.
    pub(super) bias: Vec<f32>,
    /// PReLU slope of each output channel (1 without activation), padded to a multiple of sixteen.
    pub(super) slope: Vec<f32>,
    /// Number of weights of the [`ConvSpec`].
    weight_count: usize,
    /// Whether there is a single group: each output channel reads all input channels.
    pub(super) dense: bool,
    /// Transformed weights of each group for Winograd, computed when first used.
    pub(super) winograd_weights: OnceLock<Vec<Vec<f32>>>,
    /// Int8 weights of each group, quantised when first used.
    pub(super) quantised: OnceLock<Vec<Quantised>>,
    /// For a transposed convolution that may be followed by a pixel shuffle, see [`ConvLayer::shuffled`].
    to_shuffle: Option<Box<ToShuffle>>,
}

/// A transposed convolution, and the layer that includes a following PixelShuffle(2), packed when first used.
#[derive(Debug, Clone)]
struct ToShuffle {
    /// The transposed convolution.
    spec: ConvSpec,
    /// Number of output blocks of a group.
    together: usize,
    /// The layer with the shuffle.
    layer: OnceLock<ConvLayer>,
}

/// Phase of a convolution: output pixels with the same taps, which are all, or for a transposed convolution one in four.
#[derive(Debug, Clone)]
pub(super) struct Phase {
    /// Row and column of the first such pixel.
    pub(super) offset: [usize; 2],
    /// Row and column offsets of the input pixels read.
    pub(super) taps: Vec<[isize; 2]>,
    /// Groups of output blocks with their packed weights.
    pub(super) groups: Vec<Group>,
}

/// Blocks of output channels that a kernel computes together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Range of output blocks.
    pub(super) blocks: Range<usize>,
    /// Range of input blocks that they read.
    pub(super) inputs: Range<usize>,
    /// Weights, `[input block][tap][lane][output channel]`.
    pub(super) weights: Vec<f32>,
}

/// Int8 weights of a group of output blocks.
#[derive(Debug, Clone)]
pub(super) struct Quantised {
    /// Weights `[input block][tap][four channels][output channel][channel]`.
    pub(super) weights: Vec<i8>,
    /// Scale of each output channel.
    pub(super) step: Vec<f32>,
    /// Sum of the int8 weights of each output channel.
    pub(super) sum: Vec<i32>,
}

impl ConvLayer {
    /// Packs a convolution for kernels that compute `together` blocks of sixteen output channels at once.
    ///
    /// # Panics
    /// When the weights do not have the sizes that [`ConvSpec`] states.
    pub(crate) fn new(spec: &ConvSpec, together: usize) -> Self {
        check(spec);
        if spec.kind != ConvKind::Up {
            return Self::packed(spec, together);
        }
        if spec.output <= 4 {
            let layer = Self::packed(&four_pixels(spec), together);
            return Self {
                output: spec.output,
                quads: true,
                weight_count: spec.weight.len(),
                ..layer
            };
        }
        let to_shuffle = spec.output.is_multiple_of(4).then(|| ToShuffle {
            spec: spec.clone(),
            together,
            layer: OnceLock::new(),
        });
        Self {
            to_shuffle: to_shuffle.map(Box::new),
            ..Self::packed(spec, together)
        }
    }

    /// Returns a transposed convolution and a following PixelShuffle(2) as one 3x3 convolution, whose output blocks of sixteen
    /// channels are the 4x4 output pixels of an input pixel; `None` for other layers. Nearly half of its weights are zero, which
    /// costs Winograd nothing: it has as many products as the four phases, without the padding of each phase's blocks.
    pub(crate) fn shuffled(&self) -> Option<&Self> {
        let ToShuffle {
            spec,
            together,
            layer,
        } = self.to_shuffle.as_deref()?;
        Some(layer.get_or_init(|| Self {
            weight_count: spec.weight.len(),
            ..Self::packed(&sixteen_pixels(spec), *together)
        }))
    }

    /// Packs the weights of a convolution for direct kernels, phase by phase, in groups of `together` output blocks.
    fn packed(spec: &ConvSpec, together: usize) -> Self {
        let blocks = spec.output.div_ceil(16);
        let padded = |values: &dyn Fn(usize) -> f32| {
            (0..blocks * 16)
                .map(|o| if o < spec.output { values(o) } else { 0.0 })
                .collect()
        };
        let phases = phase_taps(spec.kind).into_iter().map(|(offset, taps)| Phase {
            groups: (0..blocks)
                .step_by(together)
                .map(|first| group(spec, first..(first + together).min(blocks), offset, &taps))
                .collect(),
            offset,
            taps,
        });
        Self {
            kind: spec.kind,
            input: spec.input,
            output: spec.output,
            residual: spec.residual.is_some(),
            quads: false,
            phases: phases.collect(),
            bias: padded(&|o| spec.bias[o] * factor(spec, o)),
            slope: padded(&|o| slope(&spec.activation, o)),
            weight_count: spec.weight.len(),
            dense: spec.groups == 1,
            winograd_weights: OnceLock::new(),
            quantised: OnceLock::new(),
            to_shuffle: None,
        }
    }

    /// Returns kernel size, stride and direction.
    pub(crate) fn kind(&self) -> ConvKind {
        self.kind
    }

    /// Returns the multiply-adds by the definition for an input of `[height, width]`.
    pub(crate) fn macs(&self, [height, width]: [usize; 2]) -> u64 {
        // Each of the four output pixels per input pixel of a transposed convolution uses four of its sixteen weights.
        let pixels = match self.kind {
            ConvKind::Up => height * width,
            ConvKind::Same | ConvKind::Down => self.kind.size(height) * self.kind.size(width),
        };
        (pixels * self.weight_count) as u64
    }

    /// Returns the number of output channels.
    pub fn output(&self) -> usize {
        self.output
    }

    /// Returns the number of input channels.
    pub fn input(&self) -> usize {
        self.input
    }

    /// Reports whether the kernels write 2x2 output pixels of up to four channels as sixteen channels, see [`four_pixels`].
    pub(crate) fn makes_quads(&self) -> bool {
        self.quads
    }

    /// Returns the number of channels of the tensor that the kernels write.
    pub(super) fn computed(&self) -> usize {
        if self.quads { 16 } else { self.output }
    }

    /// Reports whether the input is added to the result (ResConv).
    pub(crate) fn adds_input(&self) -> bool {
        self.residual
    }
}

/// Panics if sizes of a convolution contradict each other.
fn check(spec: &ConvSpec) {
    let taps = if spec.kind == ConvKind::Up { 16 } else { 9 };
    assert_eq!(
        spec.weight.len() * spec.groups,
        spec.input * spec.output * taps,
        "weights of a wrong size"
    );
    assert_eq!(spec.bias.len(), spec.output, "a bias of a wrong size");
    assert!(
        spec.kind != ConvKind::Up || spec.groups == 1,
        "enlarging convolutions have one group"
    );
    if let Some(residual) = &spec.residual {
        assert!(spec.kind == ConvKind::Same && spec.input == spec.output && residual.len() == spec.output);
    }
    if let Activation::Prelu(slopes) = &spec.activation {
        assert_eq!(slopes.len(), spec.output, "slopes of a wrong size");
    }
}

/// Returns the ResConv factor of an output channel (1 without), which is multiplied into weights and bias when packing.
fn factor(spec: &ConvSpec, output: usize) -> f32 {
    spec.residual.as_ref().map_or(1.0, |factors| factors[output])
}

/// Returns an activation as the PReLU slope of an output channel.
fn slope(activation: &Activation, output: usize) -> f32 {
    match activation {
        Activation::None => 1.0,
        Activation::LeakyRelu(slope) => *slope,
        Activation::Prelu(slopes) => slopes[output],
    }
}

/// Rewrites a transposed convolution to up to four channels as a 3x3 convolution to sixteen: channel `c` of the output
/// pixel at row `i`, column `j` of 2x2 is channel `4 (2i + j) + c`. Nearly half of its weights are zero, but separate phases
/// would each compute sixteen channels for four.
fn four_pixels(spec: &ConvSpec) -> ConvSpec {
    unphased(spec, 16, &|o| (o / 4, o % 4))
}

/// Rewrites a transposed convolution and a following PixelShuffle(2) as a 3x3 convolution: the output pixel at row `i`,
/// column `j` of 4x4 of channel `c` is channel `16 c + 4 i + j`.
fn sixteen_pixels(spec: &ConvSpec) -> ConvSpec {
    unphased(spec, spec.output * 4, &|o| {
        let (channel, i, j) = (o / 16, o % 16 / 4, o % 4);
        (i / 2 * 2 + j / 2, 4 * channel + i % 2 * 2 + j % 2)
    })
}

/// Rewrites a transposed convolution as a 3x3 convolution with `outputs` channels: `of(o)` returns the phase and channel
/// that output channel `o` computes; channels that the convolution does not have are zero.
fn unphased(spec: &ConvSpec, outputs: usize, of: &dyn Fn(usize) -> (usize, usize)) -> ConvSpec {
    let each = |value: &dyn Fn(usize) -> f32| {
        let channels = (0..outputs).map(|o| of(o).1);
        channels
            .map(|c| if c < spec.output { value(c) } else { 0.0 })
            .collect()
    };
    let phases = phase_taps(spec.kind);
    let mut weight = vec![0.0; outputs * spec.input * 9];
    for (o, of_output) in weight.chunks_exact_mut(spec.input * 9).enumerate() {
        let (phase, channel) = of(o);
        let (offset, taps) = &phases[phase];
        for (input, to) in of_output.chunks_exact_mut(9).enumerate() {
            for tap in taps {
                let at = (tap[0] + 1) * 3 + tap[1] + 1;
                to[at as usize] = self::weight(spec, channel, input, *offset, tap);
            }
        }
    }
    ConvSpec {
        kind: ConvKind::Same,
        output: outputs,
        weight,
        bias: each(&|c| spec.bias[c]),
        activation: Activation::Prelu(each(&|c| slope(&spec.activation, c))),
        ..spec.clone()
    }
}

/// Lists the phases of a kind of convolution: offset (row, column) of the output pixels, and taps.
fn phase_taps(kind: ConvKind) -> Vec<([usize; 2], Vec<[isize; 2]>)> {
    let square = |rows: &[isize], columns: &[isize]| {
        rows.iter()
            .flat_map(|&dy| columns.iter().map(move |&dx| [dy, dx]))
            .collect::<Vec<_>>()
    };
    if kind != ConvKind::Up {
        return vec![([0, 0], square(&[-1, 0, 1], &[-1, 0, 1]))];
    }
    let near = [[-1, 0], [0, 1]];
    let four = [[0, 0], [0, 1], [1, 0], [1, 1]];
    four.into_iter()
        .map(|[y, x]| ([y, x], square(&near[y], &near[x])))
        .collect()
}

/// Packs the weights of a range of output blocks of a phase.
fn group(spec: &ConvSpec, blocks: Range<usize>, offset: [usize; 2], taps: &[[isize; 2]]) -> Group {
    let inputs = inputs_of(blocks.start * 16..blocks.end * 16, spec);
    let mut weights = Vec::with_capacity(inputs.len() * taps.len() * 16 * blocks.len() * 16);
    for input in inputs.clone() {
        for tap in taps {
            for lane in 0..16.min(spec.input - input * 16) {
                let outputs = blocks.start * 16..blocks.end * 16;
                weights.extend(outputs.map(|o| weight(spec, o, input * 16 + lane, offset, tap)));
            }
        }
    }
    Group {
        blocks,
        inputs,
        weights,
    }
}

/// Returns the weight of an output and an input channel at a tap of the phase with this offset; zero if there is none.
fn weight(spec: &ConvSpec, output: usize, input: usize, offset: [usize; 2], tap: &[isize; 2]) -> f32 {
    if output >= spec.output {
        return 0.0;
    }
    if spec.kind == ConvKind::Up {
        // Output row 2y + offset reads input row y + tap through kernel row offset + 1 - 2 tap.
        let at = |i: usize| (offset[i] as isize + 1 - 2 * tap[i]) as usize;
        return spec.weight[((input * spec.output + output) * 4 + at(0)) * 4 + at(1)];
    }
    let (of, from) = (spec.output / spec.groups, spec.input / spec.groups);
    if output / of != input / from {
        return 0.0;
    }
    let at = |i: usize| (tap[i] + 1) as usize;
    spec.weight[((output * from + input % from) * 3 + at(0)) * 3 + at(1)] * factor(spec, output)
}

/// Returns the range of input blocks (of sixteen channels) that a range of output channels of a grouped convolution reads.
fn inputs_of(outputs: Range<usize>, spec: &ConvSpec) -> Range<usize> {
    let (of, from) = (spec.output / spec.groups, spec.input / spec.groups);
    let first = outputs.start / of * from;
    let last = (outputs.end.min(spec.output) - 1) / of * from + from;
    first / 16..last.div_ceil(16)
}
