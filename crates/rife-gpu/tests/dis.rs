//! Dense inverse search: the kernels against the composed definition, at sizes at and around the edges of workgroups.

mod support;

use rife_backend::reference::ReferenceBackend;
use rife_backend::{Backend, DisOptions};
use rife_gpu::GpuBackend;

/// A smooth picture `[3, height, width]` whose content lies `[x, y]` pixels away.
fn picture([height, width]: [usize; 2], [x, y]: [f32; 2]) -> Vec<f32> {
    // Waves of many directions and lengths, so that no other shift looks like the true one.
    let wave = |i: usize, u: f32, v: f32| {
        let (angle, length) = (i as f32 * 2.4, 0.04 * 1.19f32.powi(i as i32));
        (length * (angle.cos() * u + angle.sin() * v) + i as f32).sin()
    };
    let value = |c: usize, row: usize, column: usize| {
        let (u, v) = (column as f32 - x, row as f32 - y);
        0.5 + (0..14).map(|i| 0.06 * wave(i + c, u, v)).sum::<f32>()
    };
    let places =
        (0..3).flat_map(|c| (0..height).flat_map(move |row| (0..width).map(move |column| (c, row, column))));
    places.map(|(c, row, column)| value(c, row, column)).collect()
}

/// Flow projected to the middle.
fn velocities<B: Backend>(
    b: &B,
    size: [usize; 2],
    frames: [&[f32]; 2],
    level: u32,
    options: &DisOptions,
) -> Vec<f32> {
    let frames = frames.map(|values| b.upload([3, size[0], size[1]], values).unwrap());
    let timestep = b.timestep(0.5, &frames[0]);
    let flow = b.dis_flow(frames.each_ref(), level, options);
    b.download(&b.project_flow(&flow, &timestep)).unwrap()
}

/// Sorted absolute differences to the reference engine's velocities, and these.
fn differences(
    backend: &GpuBackend,
    size: [usize; 2],
    shift: [f32; 2],
    level: u32,
    options: &DisOptions,
) -> (Vec<f32>, Vec<f32>) {
    let (first, second) = (picture(size, [0.0; 2]), picture(size, shift));
    let frames = [&first[..], &second[..]];
    let wanted = velocities(&ReferenceBackend, size, frames, level, options);
    let found = velocities(backend, size, frames, level, options);
    assert_eq!(wanted.len(), found.len());
    let mut off: Vec<f32> = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs()).collect();
    off.sort_by(f32::total_cmp);
    (off, found)
}

#[test]
fn kernels_agree_with_the_definition() {
    let Some(backend) = support::backend() else {
        return;
    };
    let cases = [
        ([1, 1], 0),
        ([4, 4], 0),
        ([64, 64], 0),
        ([66, 190], 0),
        ([64, 192], 1),
        ([21, 37], 0),
        ([24, 8], 1),
        ([128, 64], 2),
    ];
    for (size, level) in cases {
        let (off, _) = differences(&backend, size, [2.3, -1.1], level, &DisOptions::default());
        // A patch takes the better of two places: where they are as good, rounding decides which.
        let (most, usual) = (off[off.len() - 1], off[off.len() * 99 / 100]);
        println!("{size:?} level {level}: off by {usual} and {most}");
        assert!(most < 0.05 && usual < 5e-3, "{size:?}: {usual}, {most}");
    }
}

/// Every option changed alone: the kernels still agree with the definition, and find something else than before.
#[test]
fn every_option_reaches_the_kernels() {
    let Some(backend) = support::backend() else {
        return;
    };
    let (size, shift, usual) = ([66, 94], [7.3, -4.1], DisOptions::default());
    let (_, before) = differences(&backend, size, shift, 0, &usual);
    let changed = [
        DisOptions {
            min_coarsest_area: 8192,
            ..usual
        },
        DisOptions {
            gauss_newton_steps: 1,
            ..usual
        },
        DisOptions {
            propagation_rounds: 0,
            ..usual
        },
        DisOptions {
            finest_propagation_rounds: 0,
            ..usual
        },
        DisOptions {
            damping: 0.1,
            ..usual
        },
        DisOptions {
            min_residual: 0.1,
            ..usual
        },
        DisOptions {
            max_step: 0.25,
            ..usual
        },
        DisOptions {
            zero_start: Some(1.0),
            ..usual
        },
        DisOptions {
            zero_start: Some(0.5),
            ..usual
        },
    ];
    for options in changed {
        let (off, found) = differences(&backend, size, shift, 0, &options);
        assert_ne!(found, before, "{options:?}");
        let usual = off[off.len() * 99 / 100];
        assert!(usual < 5e-3, "{options:?}: {usual}");
    }
}

/// NaN and huge values give finite velocities: nothing is read outside of the image.
#[test]
fn any_values_give_finite_velocities() {
    let Some(backend) = support::backend() else {
        return;
    };
    let size = [64, 64];
    let wild: Vec<f32> = (0..3 * 64 * 64)
        .map(|i| [f32::NAN, 1e30, -1e30, 0.5][i % 4])
        .collect();
    let frames = [&wild[..], &picture(size, [0.0; 2])];
    let found = velocities(&backend, size, frames, 1, &DisOptions::default());
    assert_eq!(found.len(), 4 * 32 * 32);
    assert!(found.iter().all(|v| v.is_finite()));
}
