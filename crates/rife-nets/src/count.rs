//! Counting backend: tensors are shapes `[channels, height, width]`; it sums the multiply-adds of a network's convolutions
//! without computing anything, and panics when shapes do not fit together.

use std::cell::Cell;
use std::ops::Range;

use rife_backend::{Backend, ConvKind, ConvSpec, DisOptions, Resize, Result};

use crate::layer::LayerDesc;

/// A backend that counts multiply-adds of convolutions.
#[derive(Debug)]
pub(crate) struct CountBackend {
    /// Multiply-adds so far.
    macs: Cell<u64>,
    /// Whether [`Backend::max_abs`] reports the largest number instead of 0, so that networks 4.0 and 4.1 restart.
    large_motion: bool,
}

impl CountBackend {
    /// Starts at 0 multiply-adds; with `large_motion` networks take the branch for motion above their restart limit.
    pub(crate) fn new(large_motion: bool) -> Self {
        Self {
            macs: Cell::new(0),
            large_motion,
        }
    }

    /// Returns the multiply-adds counted so far.
    pub(crate) fn macs(&self) -> u64 {
        self.macs.get()
    }
}

impl Backend for CountBackend {
    type Tensor = [usize; 3];
    type Conv = LayerDesc;
    type Timestep = ();

    /// Keeps kind, channels and groups of a convolution.
    fn conv_layer(&self, spec: ConvSpec) -> LayerDesc {
        LayerDesc {
            groups: spec.groups,
            ..LayerDesc::plain(spec.kind, "", spec.input, spec.output)
        }
    }

    /// Returns the shape.
    fn upload(&self, shape: [usize; 3], _: &[f32]) -> Result<[usize; 3]> {
        Ok(shape)
    }

    /// Returns zeros.
    fn download(&self, x: &[usize; 3]) -> Result<Vec<f32>> {
        Ok(vec![0.0; x.iter().product()])
    }

    /// Returns the shape.
    fn shape(&self, x: &[usize; 3]) -> [usize; 3] {
        *x
    }

    /// Returns the shape of one channel.
    fn plane(&self, like: &[usize; 3], _: f32) -> [usize; 3] {
        [1, like[1], like[2]]
    }

    /// Does nothing: timesteps have no cost.
    fn timestep(&self, _: f32, _: &[usize; 3]) {}

    /// Does nothing: timesteps have no cost.
    fn timestep_affine(&self, (): &(), _: f32, _: f32) {}

    /// Returns the shape of one channel.
    fn timestep_plane(&self, (): &(), like: &[usize; 3]) -> [usize; 3] {
        [1, like[1], like[2]]
    }

    /// Checks that heights and widths are equal; returns the shape of the concatenation.
    fn cat(&self, parts: &[&[usize; 3]]) -> [usize; 3] {
        let size = &parts[0][1..];
        assert!(
            parts.iter().all(|part| &part[1..] == size),
            "joined sizes differ: {parts:?}"
        );
        [parts.iter().map(|part| part[0]).sum(), size[0], size[1]]
    }

    /// Returns the shape of a channel slice.
    fn narrow(&self, x: &[usize; 3], range: Range<usize>) -> [usize; 3] {
        assert!(range.end <= x[0], "channels {range:?} of {}", x[0]);
        [range.len(), x[1], x[2]]
    }

    /// Checks that shapes are equal.
    fn add(&self, a: &[usize; 3], b: &[usize; 3]) -> [usize; 3] {
        assert_eq!(a, b, "added shapes differ");
        *a
    }

    /// Returns the unchanged shape.
    fn affine(&self, x: &[usize; 3], _: f32, _: f32) -> [usize; 3] {
        *x
    }

    /// Returns the unchanged shape.
    fn clamp01(&self, x: &[usize; 3]) -> [usize; 3] {
        *x
    }

    /// Returns the unchanged shape.
    fn sigmoid(&self, x: &[usize; 3]) -> [usize; 3] {
        *x
    }

    /// Returns the resized shape; downsampling must divide it.
    fn resize(&self, x: &[usize; 3], factor: Resize) -> [usize; 3] {
        match factor {
            Resize::Up(n) => [x[0], x[1] * n, x[2] * n],
            Resize::Down(n) => {
                assert!(
                    x[1].is_multiple_of(n) && x[2].is_multiple_of(n),
                    "{x:?} does not shrink by {n}"
                );
                [x[0], x[1] / n, x[2] / n]
            }
        }
    }

    /// Checks that the flow has the image's height and width.
    fn warp(&self, x: &[usize; 3], flow: &[usize; 3]) -> [usize; 3] {
        assert_eq!(*flow, [2, x[1], x[2]], "a flow of another size");
        *x
    }

    /// Checks that the velocity has the image's height and width.
    fn warp_obmc(&self, x: &[usize; 3], velocity: &[usize; 3], (): &(), _: [[isize; 2]; 2]) -> [usize; 3] {
        self.warp(x, velocity)
    }

    /// Checks that the flow has the image's height and width.
    fn cubic_residual(&self, x: &[usize; 3], flow: &[usize; 3]) -> [usize; 3] {
        self.warp(x, flow)
    }

    /// Returns the shape of the flow; its arithmetic, about 1000 operations per pixel, is not counted.
    fn dis_flow(&self, [a, b]: [&[usize; 3]; 2], level: u32, _: &DisOptions) -> [usize; 3] {
        assert!(a == b && a[0] == 3, "frames of different shapes");
        let [_, height, width] = self.resize(a, Resize::Down(1 << level));
        [4, height, width]
    }

    /// Checks the shapes of both tensors and the mask.
    fn blend(&self, a: &[usize; 3], b: &[usize; 3], mask: &[usize; 3]) -> [usize; 3] {
        assert_eq!(a, b, "blended shapes differ");
        assert_eq!(*mask, [1, a[1], a[2]], "a mask of another size");
        *a
    }

    /// Checks that the factor is one channel of the same size.
    fn mul(&self, x: &[usize; 3], by: &[usize; 3]) -> [usize; 3] {
        assert_eq!(*by, [1, x[1], x[2]], "a factor of another size");
        *x
    }

    /// Checks that all shapes are equal.
    fn keep_static(&self, frames: [&[usize; 3]; 2], made: &[usize; 3], _: f32) -> [usize; 3] {
        assert_eq!(frames, [made; 2], "frames of another shape");
        *made
    }

    /// Adds the multiply-adds of a convolution; returns the output shape.
    fn conv(&self, x: &[usize; 3], layer: &LayerDesc) -> [usize; 3] {
        let [channels, height, width] = *x;
        assert_eq!(channels, layer.input, "a convolution of other channels");
        let out = match layer.kind {
            ConvKind::Same => [layer.output, height, width],
            ConvKind::Down => [layer.output, height.div_ceil(2), width.div_ceil(2)],
            ConvKind::Up => [layer.output, height * 2, width * 2],
        };
        let work = out.iter().product::<usize>() * layer.fan_in();
        self.macs.set(self.macs.get() + work as u64);
        out
    }

    /// Returns the shape after PixelShuffle(2).
    fn pixel_shuffle(&self, x: &[usize; 3]) -> [usize; 3] {
        [x[0] / 4, x[1] * 2, x[2] * 2]
    }

    /// Returns the unchanged shape.
    fn rotate180(&self, x: &[usize; 3]) -> [usize; 3] {
        *x
    }

    /// Returns the largest number or 0, so that a network takes the chosen branch.
    fn max_abs(&self, _: &[usize; 3]) -> Result<f32> {
        Ok(if self.large_motion { f32::MAX } else { 0.0 })
    }
}
