//! A back end whose tensors are only their shapes: it counts the multiply-adds of a network without running it.

use std::cell::Cell;
use std::ops::Range;

use super::{Backend, ConvKind, ConvSpec, Factor};
use crate::layer::LayerDesc;

/// Counts multiply-adds of convolutions.
#[derive(Debug, Default)]
pub(crate) struct CountBackend {
    macs: Cell<u64>,
}

impl CountBackend {
    /// Multiply-adds so far.
    pub(crate) fn macs(&self) -> u64 {
        self.macs.get()
    }
}

impl Backend for CountBackend {
    type Tensor = [usize; 3];
    type Conv = LayerDesc;

    fn conv_layer(&self, spec: ConvSpec) -> LayerDesc {
        LayerDesc {
            groups: spec.groups,
            ..LayerDesc::plain(spec.kind, "", spec.input, spec.output)
        }
    }

    fn upload(&self, shape: [usize; 3], _: &[f32]) -> [usize; 3] {
        shape
    }

    fn download(&self, x: &[usize; 3]) -> Vec<f32> {
        vec![0.0; x.iter().product()]
    }

    fn shape(&self, x: &[usize; 3]) -> [usize; 3] {
        *x
    }

    fn plane(&self, like: &[usize; 3], _: f32) -> [usize; 3] {
        [1, like[1], like[2]]
    }

    fn cat(&self, parts: &[&[usize; 3]]) -> [usize; 3] {
        [parts.iter().map(|part| part[0]).sum(), parts[0][1], parts[0][2]]
    }

    fn channels(&self, x: &[usize; 3], range: Range<usize>) -> [usize; 3] {
        [range.len(), x[1], x[2]]
    }

    fn add(&self, a: &[usize; 3], _: &[usize; 3]) -> [usize; 3] {
        *a
    }

    fn affine(&self, x: &[usize; 3], _: f32, _: f32) -> [usize; 3] {
        *x
    }

    fn clamp01(&self, x: &[usize; 3]) -> [usize; 3] {
        *x
    }

    fn sigmoid(&self, x: &[usize; 3]) -> [usize; 3] {
        *x
    }

    fn resize(&self, x: &[usize; 3], factor: Factor) -> [usize; 3] {
        match factor {
            Factor::Up(n) => [x[0], x[1] * n, x[2] * n],
            Factor::Down(n) => [x[0], x[1] / n, x[2] / n],
        }
    }

    fn warp(&self, x: &[usize; 3], _: &[usize; 3]) -> [usize; 3] {
        *x
    }

    fn blend(&self, a: &[usize; 3], _: &[usize; 3], _: &[usize; 3]) -> [usize; 3] {
        *a
    }

    fn conv(&self, x: &[usize; 3], layer: &LayerDesc) -> [usize; 3] {
        let [_, height, width] = *x;
        let out = match layer.kind {
            ConvKind::Same => [layer.output, height, width],
            ConvKind::Down => [layer.output, height.div_ceil(2), width.div_ceil(2)],
            ConvKind::Up => [layer.output, height * 2, width * 2],
        };
        let work = out.iter().product::<usize>() * layer.fan_in();
        self.macs.set(self.macs.get() + work as u64);
        out
    }

    fn pixel_shuffle(&self, x: &[usize; 3]) -> [usize; 3] {
        [x[0] / 4, x[1] * 2, x[2] * 2]
    }

    fn rotate180(&self, x: &[usize; 3]) -> [usize; 3] {
        *x
    }

    fn max_abs(&self, _: &[usize; 3]) -> f32 {
        0.0
    }
}
