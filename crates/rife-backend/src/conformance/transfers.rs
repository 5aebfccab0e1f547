//! Transfer test: uploads and downloads, padded and cropped, return the same values.

use crate::{Backend, BackendError, planar};

/// Checks uploads and downloads, also padded and cropped, [`Backend::materialize`] and [`Backend::max_abs`] of an engine:
/// values are preserved exactly.
///
/// # Errors
/// A message with the operation and shape whose values changed, or the engine's error.
pub fn check_transfers<B: Backend>(b: &B) -> Result<(), String> {
    let failed = |error: BackendError| error.to_string();
    for shape @ [channels, height, width] in [[1, 1, 1], [3, 5, 7], [2, 16, 48], [17, 33, 31]] {
        let count = channels * height * width;
        let data: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin() - 0.25).collect();
        let size = [height, width];
        let equal = |what: &str, found: &[f32], expected: &[f32]| match found == expected {
            true => Ok(()),
            false => Err(format!("{what} of {shape:?}: other values came back")),
        };
        let x = b.upload(shape, &data).map_err(failed)?;
        if b.shape(&x) != shape {
            return Err(format!("upload of {shape:?} has shape {:?}", b.shape(&x)));
        }
        equal("upload", &b.download(&x).map_err(failed)?, &data)?;
        let padded_size = size.map(|side| side.next_multiple_of(32));
        let padded = b.upload_padded(shape, &data, padded_size).map_err(failed)?;
        let expected = planar::pad(&data, [width, height], [padded_size[1], padded_size[0]]);
        equal("padded upload", &b.download(&padded).map_err(failed)?, &expected)?;
        let cropped = b.download_cropped(&padded, size).map_err(failed)?;
        equal("cropped download", &cropped, &data)?;
        let kept = b.materialize(&b.affine(&x, 2.0, 0.0)).map_err(failed)?;
        let doubled: Vec<_> = data.iter().map(|value| value * 2.0).collect();
        equal("materialized", &b.download(&kept).map_err(failed)?, &doubled)?;
        let expected = data.iter().fold(0.0f32, |max, value| max.max(value.abs()));
        let found = b.max_abs(&x).map_err(failed)?;
        if found != expected {
            return Err(format!("max_abs of {shape:?} is {found}, not {expected}"));
        }
    }
    Ok(())
}
