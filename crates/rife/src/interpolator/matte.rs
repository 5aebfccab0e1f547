//! Alpha of an interpolated picture: both mattes moved by the flow that moved the colours, blended by its mask.

use rife_media::RgbImage;
use rife_nets::{Backend, Model, Options, PreparedFrame};

use crate::Result;
use crate::engine::{Engine, Tensor};

/// The picture at `timestep` with its alpha.
pub(super) fn interpolate(
    model: &Model<Engine>,
    [first, second]: [&PreparedFrame<Tensor>; 2],
    alphas: [&Vec<f32>; 2],
    timestep: f32,
    options: &Options,
) -> Result<RgbImage> {
    let backend = model.backend();
    let output = model.interpolate_tensors(first, second, timestep, options)?;
    let [_, height, width] = backend.shape(&output.merged);
    let (size, padded) = ([first.width(), first.height()], [width, height]);
    let moved = [0, 1].map(|i| {
        let alpha = backend.upload([1, height, width], &pad(alphas[i], size, padded));
        backend.warp(&alpha, &backend.channels(&output.flow, 2 * i..2 * i + 2))
    });
    let alpha = backend.clamp01(&backend.blend(&moved[0], &moved[1], &output.mask));
    let color = backend.clamp01(&output.merged);
    let data = crop(&backend.download(&color), padded, size);
    let mut image = RgbImage::new(size[0] as u32, size[1] as u32, data);
    image.alpha = Some(crop(&backend.download(&alpha), padded, size));
    Ok(image)
}

/// A plane of `[width, height]` extended to the right and down by its last column and row.
fn pad(plane: &[f32], [width, height]: [usize; 2], padded: [usize; 2]) -> Vec<f32> {
    let row = |y: usize| &plane[y.min(height - 1) * width..][..width];
    let extended = |y: usize| (0..padded[0]).map(move |x| row(y)[x.min(width - 1)]);
    (0..padded[1]).flat_map(extended).collect()
}

/// Planes of `padded` cut back to `[width, height]`.
fn crop(planes: &[f32], padded: [usize; 2], [width, height]: [usize; 2]) -> Vec<f32> {
    let rows = planes
        .chunks_exact(padded[0] * padded[1])
        .flat_map(|plane| plane.chunks_exact(padded[0]).take(height));
    rows.flat_map(|row| &row[..width]).copied().collect()
}
