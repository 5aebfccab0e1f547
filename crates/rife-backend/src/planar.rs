//! Padding and cropping of planar (CHW) values in host memory.

/// Pads planes of `[width, height]` on the right and at the bottom to `padded`, `[width, height]`, by replicating the
/// last column and row (PyTorch's `replicate` mode). `data` is `[channels, height, width]` in row-major order, width and
/// height at least 1, any number of channels.
pub fn pad(data: &[f32], [width, height]: [usize; 2], padded: [usize; 2]) -> Vec<f32> {
    let mut out = Vec::with_capacity(data.len() / (width * height) * padded[0] * padded[1]);
    for plane in data.chunks_exact(width * height) {
        for row in plane.chunks_exact(width) {
            out.extend_from_slice(row);
            out.extend(std::iter::repeat_n(row[width - 1], padded[0] - width));
        }
        for _ in height..padded[1] {
            out.extend_from_within(out.len() - padded[0]..);
        }
    }
    out
}

/// Crops planes of size `padded`, `[width, height]`, to their upper left `[width, height]`. `data` is
/// `[channels, padded height, padded width]` in row-major order.
pub fn crop(data: Vec<f32>, padded: [usize; 2], [width, height]: [usize; 2]) -> Vec<f32> {
    if padded == [width, height] {
        return data;
    }
    let planes = data.chunks_exact(padded[0] * padded[1]);
    let rows = planes.flat_map(|plane| plane.chunks_exact(padded[0]).take(height));
    rows.flat_map(|row| &row[..width]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_repeats_the_edges_and_cropping_undoes_it() {
        let data: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let padded = pad(&data, [3, 2], [5, 4]);
        assert_eq!(padded[..5], [0.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(padded[15..20], [3.0, 4.0, 5.0, 5.0, 5.0]);
        assert_eq!(padded[20..25], [6.0, 7.0, 8.0, 8.0, 8.0]);
        assert_eq!(crop(padded, [5, 4], [3, 2]), data);
    }
}
