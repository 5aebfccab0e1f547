//! Bilinear interpolation with AVX-512: four samples at a time of a 4-channel image, eight of an 8-channel image.

use std::arch::x86_64::*;

use super::avx2::{fetch_ahead, store_lanes};
use super::{Image, Located, Samples};

/// Permutation of two registers of `[sample][left pixel, right pixel][channel]` to `[channel][sample]` of the left pixels;
/// indices from 16 on are in the second register.
const LEFT: [i32; 16] = [0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27];

/// Calls [`Located::locate`] compiled for AVX-512.
///
/// # Safety
/// The machine has AVX-512F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn locate<const LANES: usize>(
    located: &mut Located,
    image: &Image<'_, LANES>,
    at: [&[f32]; 2],
) {
    located.locate(image, at);
}

/// Calls [`super::pixels`] compiled for AVX-512.
///
/// # Safety
/// The machine has AVX-512F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn pixels<const LANES: usize>(
    image: &Image<'_, LANES>,
    samples: &Samples<'_>,
    out: &mut [f32],
) {
    super::pixels(image, samples, out);
}

/// Interpolates a row of samples of some channels, all but a remainder; returns how many. `below` is the offset of the
/// lower neighbour; the right one is adjacent. `LANES` is 4 or 8.
///
/// # Safety
/// The machine has AVX-512F.
///
/// # Panics
/// When a sample is outside of `values`, or a row of `out` is shorter than the samples.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn mix<const LANES: usize>(
    values: &[f32],
    below: usize,
    samples: &Samples<'_>,
    lanes: &[usize],
    out: &mut [&mut [f32]],
) -> usize {
    samples.check::<LANES>(values, below, lanes, out);
    // SAFETY: what the kernels rely on was just checked.
    unsafe {
        match LANES {
            4 => mix_quads(values, below, samples, lanes, out),
            _ => mix_octets(values, below, samples, lanes, out),
        }
    }
}

/// Interpolates all samples but the last `count % 4` of a 4-channel image; returns how many. Arguments are those of [`mix`].
///
/// # Safety
/// The machine has AVX-512F, and [`Samples::check`] was passed.
#[target_feature(enable = "avx512f")]
unsafe fn mix_quads(
    values: &[f32],
    below: usize,
    samples: &Samples<'_>,
    lanes: &[usize],
    out: &mut [&mut [f32]],
) -> usize {
    let done = samples.count() / 4 * 4;
    // SAFETY: offsets and weights were just checked; reads are of two pixels at each offset and below, and of four
    // weights and offsets from `c` on, where `c + 4 <= count`.
    unsafe {
        let to_left = _mm512_loadu_si512(LEFT.as_ptr().cast());
        let to_right = _mm512_add_epi32(to_left, _mm512_set1_epi32(4));
        // Broadcasts the weights of samples 0 and 1, then of 2 and 3, from a register of four left and four right ones.
        let broadcast = _mm512_set_epi32(5, 5, 5, 5, 1, 1, 1, 1, 4, 4, 4, 4, 0, 0, 0, 0);
        let next = _mm512_add_epi32(broadcast, _mm512_set1_epi32(2));
        let one = _mm_set1_ps(1.0);
        for c in (0..done).step_by(4) {
            fetch_ahead::<4>(values, below, samples, c);
            let start = &samples.start[c..c + 4];
            let offsets = [
                start[0] as usize,
                start[1] as usize,
                start[2] as usize,
                start[3] as usize,
            ];
            let along = _mm_loadu_ps(samples.along.as_ptr().add(c));
            let down = _mm_loadu_ps(samples.down.as_ptr().add(c));
            let (from_left, from_above) = (_mm_sub_ps(one, along), _mm_sub_ps(one, down));
            let mut sums = [_mm512_setzero_ps(); 2];
            for (weight, offset) in [(from_above, 0), (down, below)] {
                let near = _mm256_castps128_ps256(_mm_mul_ps(from_left, weight));
                let near = _mm256_insertf128_ps::<1>(near, _mm_mul_ps(along, weight));
                let near = _mm512_castps256_ps512(near);
                let from = values.as_ptr().add(offset);
                for (i, broadcast) in [broadcast, next].into_iter().enumerate() {
                    let one = _mm256_loadu_ps(from.add(offsets[2 * i]));
                    let other = _mm256_loadu_ps(from.add(offsets[2 * i + 1]));
                    let pixels = _mm512_insertf64x4::<1>(
                        _mm512_castps_pd(_mm512_castps256_ps512(one)),
                        _mm256_castps_pd(other),
                    );
                    let weight = _mm512_permutexvar_ps(broadcast, near);
                    sums[i] = _mm512_fmadd_ps(_mm512_castpd_ps(pixels), weight, sums[i]);
                }
            }
            let mixed = _mm512_add_ps(
                _mm512_permutex2var_ps(sums[0], to_left, sums[1]),
                _mm512_permutex2var_ps(sums[0], to_right, sums[1]),
            );
            let mut four = [[0.0f32; 4]; 4];
            _mm512_storeu_ps(four.as_mut_ptr().cast(), mixed);
            for (&lane, row) in lanes.iter().zip(out.iter_mut()) {
                row[c..c + 4].copy_from_slice(&four[lane]);
            }
        }
    }
    done
}

/// Interpolates all samples but the last `count % 8` of an 8-channel image; returns how many. Arguments are those of [`mix`].
///
/// # Safety
/// As [`mix_quads`].
#[target_feature(enable = "avx512f")]
unsafe fn mix_octets(
    values: &[f32],
    below: usize,
    samples: &Samples<'_>,
    lanes: &[usize],
    out: &mut [&mut [f32]],
) -> usize {
    let done = samples.count() / 8 * 8;
    for c in (0..done).step_by(8) {
        fetch_ahead::<8>(values, below, samples, c);
        let mut eight = [_mm256_setzero_ps(); 8];
        for (i, one) in eight.iter_mut().enumerate() {
            let start = samples.start[c + i] as usize;
            // SAFETY: two pixels at each offset, and below, are within `values`, as was checked.
            let (top, bottom) = unsafe {
                let from = values.as_ptr().add(start);
                (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(below)))
            };
            let down = _mm512_set1_ps(samples.down[c + i]);
            let both = _mm512_castps_pd(_mm512_fmadd_ps(_mm512_sub_ps(bottom, top), down, top));
            let left = _mm256_castpd_ps(_mm512_castpd512_pd256(both));
            let right = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(both));
            let along = _mm256_set1_ps(samples.along[c + i]);
            *one = _mm256_fmadd_ps(_mm256_sub_ps(right, left), along, left);
        }
        store_lanes(eight, c, lanes, out);
    }
    done
}
