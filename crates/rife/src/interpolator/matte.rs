//! Alpha of an interpolated picture: both mattes moved by the flow that moved the colours, blended by its mask.

use rife_media::RgbImage;
use rife_nets::{Backend, Model, NetworkError, Options, PreparedFrame};

use crate::engine::{Engine, Tensor};

/// The picture at `timestep` with its alpha.
pub(super) fn interpolate(
    model: &Model<Engine>,
    [first, second]: [&PreparedFrame<Tensor>; 2],
    alphas: [&Vec<f32>; 2],
    timestep: f32,
    options: &Options,
) -> Result<RgbImage, NetworkError> {
    let backend = model.backend();
    let output = model.interpolate_tensors(first, second, timestep, options)?;
    let [_, height, width] = backend.shape(&output.merged);
    let size = [first.height(), first.width()];
    let moved = [0, 1].map(|i| {
        let alpha = backend.upload_extended([1, size[0], size[1]], alphas[i], [height, width]);
        backend.warp(&alpha, &backend.channels(&output.flow, 2 * i..2 * i + 2))
    });
    let alpha = backend.clamp01(&backend.blend(&moved[0], &moved[1], &output.mask));
    let data = model.picture(&output, size)?;
    let mut image = RgbImage::new(size[1] as u32, size[0] as u32, data);
    image.alpha = Some(backend.download_corner(&alpha, size));
    Ok(image)
}
