//! Entry points of fuzz targets for the readers of this module; compiled with the feature `fuzzing`, which tests and the
//! targets (`fuzz/`) enable.

use super::ncnn;

/// Reads an ncnn model: the description up to the first zero byte, then the weights. True where both can be read, whether or not
/// a network has these layers.
#[must_use]
pub fn ncnn(data: &[u8]) -> bool {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (param, bin) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let Ok(layers) = ncnn::parse(param) else {
        return false;
    };
    let Ok(model) = ncnn::read(&layers, bin) else {
        return false;
    };
    for name in [None, Some("rife-v4.6")] {
        let _ = ncnn::assign(vec![(ncnn::V4_MODELS[0], model.clone())], name);
    }
    true
}
