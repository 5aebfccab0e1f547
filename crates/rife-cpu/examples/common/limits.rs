//! Measured peak arithmetic throughput of this machine: multiply-adds in registers without memory access.

use std::hint::black_box;
use std::time::Instant;

/// Number of measured runs.
const RUNS: usize = 7;

/// Returns the shortest time in seconds of a few runs, since other processes only add to it.
pub(crate) fn shortest(mut run: impl FnMut()) -> f64 {
    run();
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(|_| time(&mut run)).fold(f64::INFINITY, f64::min)
}

/// Runs `limit` on several threads at the same time and returns the sum of their results.
pub(crate) fn together(threads: usize, limit: fn() -> f64) -> f64 {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(limit)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0.0))
            .sum()
    })
}

/// Measures f32 multiplications and additions per second of one thread.
pub(crate) fn multiply_adds_limit() -> f64 {
    const ROUNDS: usize = 1_000_000;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was just found.
        let seconds = shortest(|| unsafe { avx512_rounds(ROUNDS) });
        return (ROUNDS * 24 * 16 * 2) as f64 / seconds;
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features were just found.
        let seconds = shortest(|| unsafe { avx2_rounds(ROUNDS) });
        return (ROUNDS * 12 * 8 * 2) as f64 / seconds;
    }
    let seconds = shortest(|| plain_rounds(ROUNDS));
    (ROUNDS * 64 * 2) as f64 / seconds
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512_rounds(rounds: usize) {
    use std::arch::x86_64::*;
    let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
    let mut sums = [_mm512_set1_ps(1.0); 24];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2_rounds(rounds: usize) {
    use std::arch::x86_64::*;
    let (a, b) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
    let mut sums = [_mm256_set1_ps(1.0); 12];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
}

fn plain_rounds(rounds: usize) {
    let (a, b) = (black_box(0.999f32), black_box(0.001f32));
    let mut sums = [1.0f32; 64];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = sum.mul_add(a, b);
        }
    }
    black_box(sums);
}

/// Measures int8 multiplications and additions per second of one thread with VNNI; 0 if the processor lacks it.
pub(crate) fn dots_limit() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
        const ROUNDS: usize = 1_000_000;
        // SAFETY: the features were just found.
        let seconds = shortest(|| unsafe { vnni_rounds(ROUNDS) });
        return (ROUNDS * 24 * 64 * 2) as f64 / seconds;
    }
    0.0
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni_rounds(rounds: usize) {
    use std::arch::x86_64::*;
    let (a, b) = (_mm512_set1_epi32(black_box(3)), _mm512_set1_epi32(black_box(5)));
    let mut sums = [_mm512_set1_epi32(1); 24];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, a, b);
        }
    }
    black_box(sums);
}
