//! Bilinear interpolation with AVX2: four samples at a time of a 4-channel image, eight of an 8-channel image.

use std::arch::x86_64::*;

use super::{Image, Located, Samples};

/// Prefetch distance in samples, since irregular flow reads arbitrary pixels. A distance of 24 was 10% slower per pair.
const AHEAD: usize = 128;

/// Prefetches the pixels of `LANES` samples, [`AHEAD`] after sample `c`, each of `LANES` channels.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn fetch_ahead<const LANES: usize>(values: &[f32], below: usize, samples: &Samples<'_>, c: usize) {
    let Some(ahead) = samples.start.get(c + AHEAD..c + AHEAD + LANES) else {
        return;
    };
    // Two pixels may cross a cache line.
    let last = 2 * LANES - 1;
    for &start in ahead {
        let from = values.as_ptr().wrapping_add(start as usize);
        for at in [0, last, below, below + last] {
            _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(at).cast());
        }
    }
}

/// Calls [`Located::locate`] compiled for AVX2.
///
/// # Safety
/// The machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn locate<const LANES: usize>(
    located: &mut Located,
    image: &Image<'_, LANES>,
    at: [&[f32]; 2],
) {
    located.locate(image, at);
}

/// Calls [`super::pixels`] compiled for AVX2.
///
/// # Safety
/// The machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
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
/// The machine has AVX2 and FMA.
///
/// # Panics
/// When a sample is outside of `values`, or a row of `out` is shorter than the samples.
#[target_feature(enable = "avx2,fma")]
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
/// The machine has AVX2 and FMA, and [`Samples::check`] was passed.
#[target_feature(enable = "avx2,fma")]
unsafe fn mix_quads(
    values: &[f32],
    below: usize,
    samples: &Samples<'_>,
    lanes: &[usize],
    out: &mut [&mut [f32]],
) -> usize {
    let done = samples.count() / 4 * 4;
    for c in (0..done).step_by(4) {
        fetch_ahead::<4>(values, below, samples, c);
        let mut four = [_mm_setzero_ps(); 4];
        for (i, one) in four.iter_mut().enumerate() {
            let start = samples.start[c + i] as usize;
            // SAFETY: two pixels at each offset, and below, are within `values`, as was checked.
            let (top, bottom) = unsafe {
                let from = values.as_ptr().add(start);
                (_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(below)))
            };
            let down = _mm256_set1_ps(samples.down[c + i]);
            let both = _mm256_fmadd_ps(_mm256_sub_ps(bottom, top), down, top);
            let (left, right) = (_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both));
            *one = _mm_fmadd_ps(_mm_sub_ps(right, left), _mm_set1_ps(samples.along[c + i]), left);
        }
        let [a, b, d, e] = four;
        let (low, high) = (_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let (next_low, next_high) = (_mm_unpacklo_ps(d, e), _mm_unpackhi_ps(d, e));
        let turned = [
            _mm_movelh_ps(low, next_low),
            _mm_movehl_ps(next_low, low),
            _mm_movelh_ps(high, next_high),
            _mm_movehl_ps(next_high, high),
        ];
        for (&lane, row) in lanes.iter().zip(out.iter_mut()) {
            let to = &mut row[c..c + 4];
            // SAFETY: four values.
            unsafe { _mm_storeu_ps(to.as_mut_ptr(), turned[lane]) };
        }
    }
    done
}

/// Interpolates all samples but the last `count % 8` of an 8-channel image; returns how many. Arguments are those of [`mix`].
///
/// # Safety
/// As [`mix_quads`].
#[target_feature(enable = "avx2,fma")]
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
            let (down, along) = (
                _mm256_set1_ps(samples.down[c + i]),
                _mm256_set1_ps(samples.along[c + i]),
            );
            // SAFETY: two pixels at each offset, and below, are within `values`, as was checked.
            let (left, right) = unsafe {
                let from = values.as_ptr().add(start);
                let column = |at: usize| {
                    (
                        _mm256_loadu_ps(from.add(at)),
                        _mm256_loadu_ps(from.add(at + below)),
                    )
                };
                (column(0), column(8))
            };
            let left = _mm256_fmadd_ps(_mm256_sub_ps(left.1, left.0), down, left.0);
            let right = _mm256_fmadd_ps(_mm256_sub_ps(right.1, right.0), down, right.0);
            *one = _mm256_fmadd_ps(_mm256_sub_ps(right, left), along, left);
        }
        store_lanes(eight, c, lanes, out);
    }
    done
}

/// Transposes eight samples of eight channels and stores the channels `lanes` to the rows `out`, from column `c` on.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store_lanes(samples: [__m256; 8], c: usize, lanes: &[usize], out: &mut [&mut [f32]]) {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = samples;
    let (a0, a1) = (_mm256_unpacklo_ps(s0, s1), _mm256_unpackhi_ps(s0, s1));
    let (a2, a3) = (_mm256_unpacklo_ps(s2, s3), _mm256_unpackhi_ps(s2, s3));
    let (a4, a5) = (_mm256_unpacklo_ps(s4, s5), _mm256_unpackhi_ps(s4, s5));
    let (a6, a7) = (_mm256_unpacklo_ps(s6, s7), _mm256_unpackhi_ps(s6, s7));
    let (b0, b1) = (
        _mm256_shuffle_ps::<0x44>(a0, a2),
        _mm256_shuffle_ps::<0xee>(a0, a2),
    );
    let (b2, b3) = (
        _mm256_shuffle_ps::<0x44>(a1, a3),
        _mm256_shuffle_ps::<0xee>(a1, a3),
    );
    let (b4, b5) = (
        _mm256_shuffle_ps::<0x44>(a4, a6),
        _mm256_shuffle_ps::<0xee>(a4, a6),
    );
    let (b6, b7) = (
        _mm256_shuffle_ps::<0x44>(a5, a7),
        _mm256_shuffle_ps::<0xee>(a5, a7),
    );
    let turned = [
        _mm256_permute2f128_ps::<0x20>(b0, b4),
        _mm256_permute2f128_ps::<0x20>(b1, b5),
        _mm256_permute2f128_ps::<0x20>(b2, b6),
        _mm256_permute2f128_ps::<0x20>(b3, b7),
        _mm256_permute2f128_ps::<0x31>(b0, b4),
        _mm256_permute2f128_ps::<0x31>(b1, b5),
        _mm256_permute2f128_ps::<0x31>(b2, b6),
        _mm256_permute2f128_ps::<0x31>(b3, b7),
    ];
    for (&lane, row) in lanes.iter().zip(out.iter_mut()) {
        let to = &mut row[c..c + 8];
        // SAFETY: eight values.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), turned[lane]) };
    }
}
