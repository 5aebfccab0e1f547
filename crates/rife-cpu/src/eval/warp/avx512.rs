//! Four samples of an image of four channels at once.

use std::arch::x86_64::*;

use super::Samples;

/// Which values of `[sample][channel]` pairs of registers make `[channel][sample]`: the left pixels of four samples,
/// 16 counting on into the second register.
const LEFT: [i32; 16] = [0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27];

/// Mixes all samples but the last `count % 4`, into a row each of some of the four lanes from `first` on. `below`
/// is how far the lower neighbour is; the right one is next to each pixel.
///
/// # Safety
/// The machine has AVX-512F.
///
/// # Panics
/// Where a sample lies outside of `values`, or a row of `out` is shorter than the samples.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn mix_quads(
    values: &[f32],
    below: usize,
    samples: &Samples,
    first: usize,
    out: &mut [&mut [f32]],
) {
    let last = samples.start.iter().copied().max().unwrap_or(0) as usize;
    assert!(last + below + 8 <= values.len(), "a sample outside of the image");
    let count = samples.start.len();
    let [top_left, top_right, left, right] = &samples.shares;
    let shares = [top_left, top_right, left, right];
    assert!(shares.iter().all(|s| s.len() == count) && first + out.len() <= 4);
    assert!(out.iter().all(|row| row.len() >= count));
    // SAFETY: places and shares were just checked, reads are of two pixels from each place and each place below,
    // and of four shares and places from `c`, where `c + 4 <= count`.
    unsafe {
        let to_left = _mm512_loadu_si512(LEFT.as_ptr().cast());
        let to_right = _mm512_add_epi32(to_left, _mm512_set1_epi32(4));
        // Of a register of four left and four right shares: those of samples 0 and 1, and of 2 and 3.
        let spread = _mm512_set_epi32(5, 5, 5, 5, 1, 1, 1, 1, 4, 4, 4, 4, 0, 0, 0, 0);
        let next = _mm512_add_epi32(spread, _mm512_set1_epi32(2));
        for c in (0..count / 4 * 4).step_by(4) {
            let start = &samples.start[c..c + 4];
            let place = [
                start[0] as usize,
                start[1] as usize,
                start[2] as usize,
                start[3] as usize,
            ];
            let mut sums = [_mm512_setzero_ps(); 2];
            for (pair, offset) in [(0, 0), (2, below)] {
                let near = _mm256_castps128_ps256(_mm_loadu_ps(shares[pair].as_ptr().add(c)));
                let near = _mm256_insertf128_ps::<1>(near, _mm_loadu_ps(shares[pair + 1].as_ptr().add(c)));
                let near = _mm512_castps256_ps512(near);
                let from = values.as_ptr().add(offset);
                for (i, spread) in [spread, next].into_iter().enumerate() {
                    let one = _mm256_loadu_ps(from.add(place[2 * i]));
                    let other = _mm256_loadu_ps(from.add(place[2 * i + 1]));
                    let pixels = _mm512_insertf64x4::<1>(
                        _mm512_castps_pd(_mm512_castps256_ps512(one)),
                        _mm256_castps_pd(other),
                    );
                    let share = _mm512_permutexvar_ps(spread, near);
                    sums[i] = _mm512_fmadd_ps(_mm512_castpd_ps(pixels), share, sums[i]);
                }
            }
            let mixed = _mm512_add_ps(
                _mm512_permutex2var_ps(sums[0], to_left, sums[1]),
                _mm512_permutex2var_ps(sums[0], to_right, sums[1]),
            );
            let mut lanes = [[0.0f32; 4]; 4];
            _mm512_storeu_ps(lanes.as_mut_ptr().cast(), mixed);
            for (lane, row) in lanes[first..].iter().zip(out.iter_mut()) {
                row[c..c + 4].copy_from_slice(lane);
            }
        }
    }
}
