//! SSIMULACRA 2 (Sneyers, Cloudinary, 2022), a perceptual metric: structural similarity and artefacts over six scales in the XYB
//! colour space, with weights fitted to opinions of people. Computed by the crate `ssimulacra2`.

use ssimulacra2::{ColorPrimaries, Rgb, TransferCharacteristic, compute_frame_ssimulacra2};

/// Minimum side in pixels of images with all six scales; with fewer, the metric's weights would belong to other scales.
const MIN_SIDE: usize = 128;

/// Computes SSIMULACRA 2 of `made` against `truth`, two sRGB images of `size` = `[height, width]`: 100 for equal images, about 90
/// where a difference is not seen, 70 for high, 50 for medium and 30 for low quality, and below 0 for very different images; `None`
/// if a side has fewer than 128 pixels.
///
/// # Panics
/// When a length is not `3 * height * width`.
pub fn ssimulacra2(made: &[f32], truth: &[f32], size: [usize; 2]) -> Option<f64> {
    let [height, width] = size;
    let area = height * width;
    assert_eq!(
        (made.len(), truth.len()),
        (3 * area, 3 * area),
        "three planes of {size:?}"
    );
    if height.min(width) < MIN_SIDE {
        return None;
    }
    let interleaved = |planes: &[f32]| {
        let pixels = (0..area).map(|i| [planes[i], planes[area + i], planes[2 * area + i]]);
        let (transfer, primaries) = (TransferCharacteristic::SRGB, ColorPrimaries::BT709);
        Rgb::new(pixels.collect(), width, height, transfer, primaries).ok()
    };
    compute_frame_ssimulacra2(interleaved(truth)?, interleaved(made)?).ok()
}
