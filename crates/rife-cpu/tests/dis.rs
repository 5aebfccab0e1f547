//! Dense inverse search: kernels against the composed definition on every tier of this machine, with one thread and with
//! several; known motion is found.

use rife_backend::reference::ReferenceBackend;
use rife_backend::{Backend, DisOptions};
use rife_cpu::{CpuBackend, EngineOptions, Tier};

/// Makes a smooth image `[3, height, width]` whose content is shifted by `[x, y]` pixels.
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

fn engine(tier: Tier, threads: usize) -> CpuBackend {
    let options = EngineOptions {
        threads: Some(threads),
        tier: Some(tier),
        ..EngineOptions::default()
    };
    CpuBackend::new(options).unwrap()
}

/// Computes the projected flow with any engine.
fn motion<B: Backend>(b: &B, size: [usize; 2], frames: [&[f32]; 2], t: f32, level: u32) -> Vec<f32> {
    motion_with(b, size, frames, t, level, &DisOptions::default())
}

fn motion_with<B: Backend>(
    b: &B,
    size: [usize; 2],
    frames: [&[f32]; 2],
    t: f32,
    level: u32,
    options: &DisOptions,
) -> Vec<f32> {
    let frames = frames.map(|values| b.upload([3, size[0], size[1]], values).unwrap());
    let timestep = b.timestep(t, &frames[0]);
    let flow = b.dis_flow(frames.each_ref(), level, options);
    b.download(&b.project_flow(&flow, &timestep)).unwrap()
}

/// Image sizes `[height, width]` and levels: single pixels, complete and incomplete cells, one and several pyramid levels.
const CASES: [([usize; 2], u32); 8] = [
    ([1, 1], 0),
    ([4, 4], 0),
    ([64, 64], 0),
    ([66, 190], 0),
    ([64, 192], 1),
    ([21, 37], 0),
    ([24, 8], 1),
    ([128, 64], 2),
];

#[test]
fn kernels_agree_with_the_definition() {
    let tiers = Tier::available();
    println!(
        "tiers: {:?}",
        tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>()
    );
    for (size, level) in CASES {
        let (first, second) = (picture(size, [0.0, 0.0]), picture(size, [2.3, -1.1]));
        for t in [0.5, 0.2] {
            let frames = [&first[..], &second[..]];
            let wanted = motion(&ReferenceBackend, size, frames, t, level);
            for tier in &tiers {
                let found = motion(&engine(*tier, 1), size, frames, t, level);
                assert_eq!(wanted.len(), found.len());
                let mut off: Vec<f32> = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs()).collect();
                off.sort_by(f32::total_cmp);
                // A patch takes the better of two places: where they are as good, rounding decides which.
                let (most, usual) = (off[off.len() - 1], off[off.len() * 99 / 100]);
                let name = tier.name();
                println!("{size:?} at {t} on {name}: off by {usual} and {most}");
                assert!(
                    most < 0.05 && usual < 5e-3,
                    "{size:?} at {t} on {name}: {usual}, {most}"
                );
                assert_eq!(
                    found,
                    motion(&engine(*tier, 3), size, frames, t, level),
                    "threads"
                );
            }
        }
    }
}

/// With each option changed alone, the kernels agree with the definition, and the result changes.
#[test]
fn every_option_reaches_the_kernels() {
    let size = [66, 190];
    let (first, second) = (picture(size, [0.0, 0.0]), picture(size, [7.3, -4.1]));
    let frames = [&first[..], &second[..]];
    let usual = DisOptions::default();
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
    for tier in Tier::available() {
        let engine = engine(tier, 2);
        let before = motion(&engine, size, frames, 0.5, 0);
        for options in &changed {
            let found = motion_with(&engine, size, frames, 0.5, 0, options);
            assert_ne!(found, before, "{options:?}");
            let wanted = motion_with(&ReferenceBackend, size, frames, 0.5, 0, options);
            let mut off: Vec<f32> = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs()).collect();
            off.sort_by(f32::total_cmp);
            let usual = off[off.len() * 99 / 100];
            assert!(usual < 5e-3, "{options:?} on {}: {usual}", tier.name());
        }
    }
}

#[test]
fn a_shift_is_found() {
    let size = [128, 192];
    let (first, second) = (picture(size, [0.0, 0.0]), picture(size, [6.5, -3.25]));
    let found = motion(
        &engine(Tier::detect().unwrap(), 2),
        size,
        [&first, &second],
        0.5,
        1,
    );
    let parts: Vec<&[f32]> = found.chunks(found.len() / 4).collect();
    // Half the size; edges see what comes in from outside.
    let inner = |part: &[f32]| {
        let rows = part.chunks(96).skip(16).take(32);
        let mut values: Vec<f32> = rows.flat_map(|row| row[16..80].to_vec()).collect();
        values.sort_by(f32::total_cmp);
        [values[values.len() / 20], values[values.len() * 19 / 20]]
    };
    // Forward, then backward search, x and y each.
    for (part, wanted) in parts.into_iter().zip([3.25, -1.625, 3.25, -1.625]) {
        let [low, high] = inner(part);
        assert!(
            (low - wanted).abs() < 0.1 && (high - wanted).abs() < 0.1,
            "{low} to {high}, not {wanted}"
        );
    }
}

/// NaN and huge values give finite velocities, and nothing is read outside of the image.
#[test]
fn any_values_give_finite_velocities() {
    let size = [64, 64];
    let wild: Vec<f32> = (0..3 * 64 * 64)
        .map(|i| [f32::NAN, 1e30, -1e30, 0.5][i % 4])
        .collect();
    for tier in Tier::available() {
        let found = motion(&engine(tier, 1), size, [&wild, &picture(size, [0.0; 2])], 0.5, 1);
        assert_eq!(found.len(), 4 * 32 * 32);
        assert!(found.iter().all(|v| v.is_finite()), "{}", tier.name());
    }
}
