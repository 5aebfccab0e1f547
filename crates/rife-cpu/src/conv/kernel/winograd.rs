//! Winograd transforms of F(4x4, 3x3), generic over the SIMD vector: B^T d B of 6x6 input pixels and A^T m A to 4x4 output
//! pixels, sixteen channels at a time (nChw16c). Lavin and Gray (2016), section 4.

use super::Lanes;

/// Output pixels of a tile along each axis.
pub(crate) const TILE: usize = 4;

/// Input pixels of a tile, and points of the Winograd domain, along each axis.
pub(crate) const SIDE: usize = TILE + 2;
/// Points of the Winograd domain of a tile.
pub(crate) const POINTS: usize = SIDE * SIDE;

/// Prefetch distance in pixels: a tile reads six rows, which are far apart in memory in a large image.
const FETCHED: usize = 4 * TILE;

/// Arguments of the input transform of a tile and sixteen channels: 6x6 pixels to 36 points. Strides are in values.
#[derive(Debug)]
pub(crate) struct TransformInput {
    /// First pixel of the tile.
    pub(crate) from: *const f32,
    /// Stride of pixel rows.
    pub(crate) line: usize,
    /// First point.
    pub(crate) to: *mut f32,
    /// Stride of points.
    pub(crate) point: usize,
}

/// Arguments of the output transform of a tile and sixteen channels: 36 points to 4x4 pixels, then bias, residual and PReLU.
/// Strides are in values.
#[derive(Debug)]
pub(crate) struct TransformOutput {
    /// First point.
    pub(crate) from: *const f32,
    /// Stride of points.
    pub(crate) point: usize,
    /// Bias of each channel.
    pub(crate) bias: *const f32,
    /// PReLU slope of each channel.
    pub(crate) slope: *const f32,
    /// Residual with the strides of the output; null without a residual.
    pub(crate) residual: *const f32,
    /// First output pixel of the tile.
    pub(crate) out: *mut f32,
    /// Stride of output pixels in a row.
    pub(crate) pixel: usize,
    /// Stride of output rows.
    pub(crate) line: usize,
    /// Number of rows of the tile inside the image, up to 4.
    pub(crate) rows: usize,
    /// Number of columns of the tile inside the image, up to 4.
    pub(crate) columns: usize,
}

/// Computes the input transform along one axis, B^T d: six pixels to six points.
///
/// # Safety
/// The tier is available.
#[inline(always)]
unsafe fn transform_input_1d<V: Lanes>([d0, d1, d2, d3, d4, d5]: [V; SIDE]) -> [V; SIDE] {
    // SAFETY: the caller vouches for the tier.
    unsafe {
        let (four, five) = (V::splat(-4.0), V::splat(-5.0));
        let (even, odd) = (d4.multiply_add(d2, four), d3.multiply_add(d1, four));
        let (near, far) = (d4.subtract(d2), d3.subtract(d1));
        let two = V::splat(2.0);
        [
            d4.multiply_add(d2, five).multiply_add(d0, V::splat(4.0)),
            even.add(odd),
            even.subtract(odd),
            near.multiply_add(far, two),
            near.multiply_add(far, V::splat(-2.0)),
            d5.multiply_add(d3, five).multiply_add(d1, V::splat(4.0)),
        ]
    }
}

/// Computes the output transform along one axis, A^T m: six points to four pixels.
///
/// # Safety
/// The tier is available.
#[inline(always)]
unsafe fn transform_output_1d<V: Lanes>([m0, m1, m2, m3, m4, m5]: [V; SIDE]) -> [V; TILE] {
    // SAFETY: the caller vouches for the tier.
    unsafe {
        let (sum, difference) = (m1.add(m2), m1.subtract(m2));
        let (far_sum, far_difference) = (m3.add(m4), m3.subtract(m4));
        [
            m0.add(sum).add(far_sum),
            difference.multiply_add(far_difference, V::splat(2.0)),
            sum.multiply_add(far_sum, V::splat(4.0)),
            m5.add(difference).multiply_add(far_difference, V::splat(8.0)),
        ]
    }
}

/// Computes the input transform of a tile, B^T d B.
///
/// # Safety
/// The pointers are valid for 6x6 pixels and 36 points, and the tier is available.
#[inline(always)]
pub(crate) unsafe fn transform_input<V: Lanes>(tile: &TransformInput) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut half = [[V::splat(0.0); SIDE]; SIDE];
        for x in 0..SIDE {
            let mut column = [V::splat(0.0); SIDE];
            for (y, v) in column.iter_mut().enumerate() {
                let from = tile.from.wrapping_add(y * tile.line + x * 16);
                *v = V::load(from);
                if x < TILE {
                    V::fetch(from.wrapping_add(FETCHED * 16));
                }
            }
            let column = transform_input_1d(column);
            for (row, v) in half.iter_mut().zip(column) {
                row[x] = v;
            }
        }
        for (y, row) in half.into_iter().enumerate() {
            for (x, v) in transform_input_1d(row).into_iter().enumerate() {
                v.store(tile.to.add((y * SIDE + x) * tile.point));
            }
        }
    }
}

/// Computes the output transform of a tile, A^T m A, adds bias and residual and applies PReLU.
///
/// # Safety
/// The pointers are valid for 36 points, a block's bias and slope and the rows and columns, and the tier is available.
#[inline(always)]
pub(crate) unsafe fn transform_output<V: Lanes>(tile: &TransformOutput) {
    // SAFETY: the caller's contract.
    unsafe {
        let (bias, slope) = (V::load(tile.bias), V::load(tile.slope));
        let mut half = [[V::splat(0.0); SIDE]; TILE];
        for x in 0..SIDE {
            let mut column = [V::splat(0.0); SIDE];
            for (y, v) in column.iter_mut().enumerate() {
                *v = V::load(tile.from.add((y * SIDE + x) * tile.point));
            }
            let column = transform_output_1d(column);
            for (row, v) in half.iter_mut().zip(column) {
                row[x] = v;
            }
        }
        for (y, row) in half.into_iter().enumerate().take(tile.rows) {
            for (x, v) in transform_output_1d(row)
                .into_iter()
                .enumerate()
                .take(tile.columns)
            {
                let at = y * tile.line + x * tile.pixel;
                let mut sum = v.add(bias);
                if !tile.residual.is_null() {
                    sum = sum.add(V::load(tile.residual.add(at)));
                }
                sum.leaky(slope).store(tile.out.add(at));
            }
        }
    }
}
