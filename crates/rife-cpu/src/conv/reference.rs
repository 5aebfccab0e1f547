//! The convolutions as their definitions read, for checks.

use super::{Activation, ConvKind, ConvSpec};

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

fn activated(activation: &Activation, channel: usize, x: f64) -> f64 {
    let slope = match activation {
        Activation::None => 1.0,
        Activation::LeakyRelu(slope) => f64::from(*slope),
        Activation::Prelu(slopes) => f64::from(slopes[channel]),
    };
    if x > 0.0 { x } else { x * slope }
}
