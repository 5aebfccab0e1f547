//! Reference convolutions in f32 and int8 as naive loops, for tests of the kernels.

use rife_backend::{Activation, ConvKind, ConvSpec};

use super::int8::{Scale, tiles};
use super::target::input_range;

/// Applies a convolution to planar values of `[channels, height, width]`; sums are in `f64`.
pub fn conv(spec: &ConvSpec, input: &[f32], [_, height, width]: [usize; 3]) -> Vec<f32> {
    let (rows, columns) = (spec.kind.size(height), spec.kind.size(width));
    let mut out = vec![0.0; spec.output * rows * columns];
    for (o, plane) in out.chunks_exact_mut(rows * columns).enumerate() {
        for (i, v) in plane.iter_mut().enumerate() {
            let (y, x) = (i / columns, i % columns);
            let at = |channel: usize, y: isize, x: isize| {
                let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
                if inside {
                    f64::from(input[(channel * height + y as usize) * width + x as usize])
                } else {
                    0.0
                }
            };
            let mut sum = sum(spec, o, [y as isize, x as isize], at) + f64::from(spec.bias[o]);
            if let Some(residual) = &spec.residual {
                sum = sum * f64::from(residual[o]) + at(o, y as isize, x as isize);
            }
            *v = activated(&spec.activation, o, sum) as f32;
        }
    }
    out
}

/// Computes the sum of products of output channel `o` at row y and column x, without bias; `at` reads an input value by
/// channel, row and column.
fn sum(spec: &ConvSpec, o: usize, [y, x]: [isize; 2], at: impl Fn(usize, isize, isize) -> f64) -> f64 {
    let (of, from) = (spec.output / spec.groups, spec.input / spec.groups);
    let mut sum = 0.0;
    for i in 0..from {
        let channel = o / of * from + i;
        if spec.kind == ConvKind::Up {
            // Input pixel (v, u) adds to output pixels (2v - 1 + ky, 2u - 1 + kx).
            for (ky, kx) in (0..4).flat_map(|ky| (0..4).map(move |kx| (ky, kx))) {
                let (v, u) = (y + 1 - ky, x + 1 - kx);
                if v % 2 == 0 && u % 2 == 0 {
                    let weight =
                        spec.weight[((channel * spec.output + o) * 4 + ky as usize) * 4 + kx as usize];
                    sum += f64::from(weight) * at(channel, v / 2, u / 2);
                }
            }
        } else {
            let stride = if spec.kind == ConvKind::Down { 2 } else { 1 };
            for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                let weight = spec.weight[((o * from + i) * 3 + ky as usize) * 3 + kx as usize];
                sum += f64::from(weight) * at(channel, y * stride + ky - 1, x * stride + kx - 1);
            }
        }
    }
    sum
}

/// Applies an activation to a value of a channel.
fn activated(activation: &Activation, channel: usize, x: f64) -> f64 {
    let slope = match activation {
        Activation::None => 1.0,
        Activation::LeakyRelu(slope) => f64::from(*slope),
        Activation::Prelu(slopes) => f64::from(slopes[channel]),
    };
    if x > 0.0 { x } else { x * slope }
}

/// Applies an int8 convolution with the quantisation of `conv/int8.rs`, tile by tile, to planar values; sums are exact.
pub fn conv_int8(spec: &ConvSpec, input: &[f32], shape: [usize; 3]) -> Vec<f32> {
    let [_, height, width] = shape;
    let (rows, columns) = (spec.kind.size(height), spec.kind.size(width));
    let mut out = vec![0.0; spec.output * rows * columns];
    let (weights, steps) = quantise_weights(spec);
    let whole = ConvSpec {
        weight: weights,
        bias: vec![0.0; spec.output],
        residual: None,
        activation: Activation::None,
        ..spec.clone()
    };
    let up = if spec.kind == ConvKind::Up { 2 } else { 1 };
    for tile in tiles(rows / up, columns / up) {
        let (values, scale) = quantise_input(spec, input, shape, &tile);
        let sums = conv(&whole, &values, shape);
        for o in 0..spec.output {
            for y in tile[0].start * up..tile[0].end * up {
                for x in tile[1].start * up..tile[1].end * up {
                    let at = (o * rows + y) * columns + x;
                    let factor = spec
                        .residual
                        .as_ref()
                        .map_or(1.0, |factors| f64::from(factors[o]));
                    let mut sum = f64::from(sums[at]) * steps[o][(y % up) * 2 + x % up] / scale
                        + f64::from(spec.bias[o]) * factor;
                    if spec.residual.is_some() {
                        sum += f64::from(input[at]);
                    }
                    out[at] = activated(&spec.activation, o, sum) as f32;
                }
            }
        }
    }
    out
}

/// Quantises weights to int8 (as f32 integers); returns them and the scale per output channel and, for a transposed
/// convolution, per phase of output pixels.
fn quantise_weights(spec: &ConvSpec) -> (Vec<f32>, Vec<[f64; 4]>) {
    let of = |i: usize| match spec.kind {
        ConvKind::Up => (i / 16 % spec.output, (i / 4 % 4 + 1) % 2 * 2 + (i % 4 + 1) % 2),
        ConvKind::Same | ConvKind::Down => (i / 9 / (spec.input / spec.groups), 0),
    };
    let factor = |i: usize| spec.residual.as_ref().map_or(1.0, |factors| factors[of(i).0]);
    let scaled: Vec<f32> = (spec.weight.iter().enumerate())
        .map(|(i, w)| w * factor(i))
        .collect();
    let mut steps = vec![[0.0_f32; 4]; spec.output];
    for (i, w) in scaled.iter().enumerate() {
        let (o, pixel) = of(i);
        steps[o][pixel] = steps[o][pixel].max(w.abs() / 127.0);
    }
    let whole = |(i, w): (usize, &f32)| {
        let (o, pixel) = of(i);
        let step = steps[o][pixel];
        if step > 0.0 {
            (w / step).round_ties_even()
        } else {
            0.0
        }
    };
    (
        scaled.iter().enumerate().map(whole).collect(),
        steps.iter().map(|steps| steps.map(f64::from)).collect(),
    )
}

/// Quantises the input of a tile; returns quantised values minus the zero point (0 outside of the tile's input) and the
/// inverse scale.
fn quantise_input(
    spec: &ConvSpec,
    input: &[f32],
    [channels, height, width]: [usize; 3],
    tile: &[std::ops::Range<usize>; 2],
) -> (Vec<f32>, f64) {
    let rows = input_range(spec.kind, &tile[0], height);
    let columns = input_range(spec.kind, &tile[1], width);
    let indices: Vec<usize> = (0..channels)
        .flat_map(|c| rows.clone().map(move |y| (c * height + y) * width))
        .flat_map(|line| columns.clone().map(move |x| line + x))
        .collect();
    let fold = |f: fn(f32, f32) -> f32| indices.iter().map(|at| input[*at]).fold(0.0, f);
    let scale = Scale::of(fold(f32::min), fold(f32::max));
    let mut values = vec![0.0; input.len()];
    for at in indices {
        values[at] = scale.quantise(input[at]);
    }
    (values, f64::from(scale.steps()))
}
