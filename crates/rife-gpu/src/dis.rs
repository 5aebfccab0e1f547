//! Dense inverse search (DIS) optical flow on the GPU: [`rife_backend::Backend::dis_flow`], by the algorithm and options of
//! [`rife_backend::dis`].
//!
//! A level of the pyramid takes these kernels: the Gauss-Newton steps of all patches, each propagation round (which reads the
//! velocities before it and writes new ones), and densification with the median filter. Each computes both directions.

use std::sync::Arc;

use rife_backend::dis::{DisOptions, STRIDE};
use rife_backend::{Backend, Resize, Result, composed};

use crate::backend::GpuBackend;
use crate::engine::Kernel;
use crate::memory::Pooled;
use crate::tensor::{GpuTensor, Layout, Op, Stored, unrounded};

const DESCEND: &str = concat!(
    include_str!("kernels/dis/common.wgsl"),
    include_str!("kernels/dis/descend.wgsl")
);
const PROPAGATE: &str = concat!(
    include_str!("kernels/dis/common.wgsl"),
    include_str!("kernels/dis/propagate.wgsl")
);
const DENSIFY: &str = concat!(
    include_str!("kernels/dis/common.wgsl"),
    include_str!("kernels/dis/densify.wgsl")
);

/// Patches of a workgroup along each axis.
const PATCH_GROUP: usize = 8;
/// Pixels of a workgroup along x and y.
const PIXEL_GROUP: [usize; 2] = [16, 8];
/// Operations of a patch's cost.
const COST_WORK: usize = 1000;

/// One level of the pyramid.
struct Level {
    /// `[2, height, width]`, planar: luma of both frames, padded to multiples of [`STRIDE`].
    luma: GpuTensor,
    values: Stored,
}

impl Level {
    /// Returns height and width.
    fn size(&self) -> [usize; 2] {
        let [_, height, width] = self.luma.shape();
        [height, width]
    }
}

/// A flow of a level as quads: both directions of every pixel.
struct Field {
    buffer: Arc<Pooled>,
    size: [usize; 2],
}

/// Computes [`Backend::dis_flow`].
///
/// # Errors
/// Where memory lacks.
pub(crate) fn flow(
    b: &GpuBackend,
    frames: [&GpuTensor; 2],
    level: u32,
    options: &DisOptions,
) -> Result<GpuTensor> {
    let [height, width] = [1, 2].map(|axis| frames[0].shape()[axis] >> level);
    let mut pyramid = vec![finest(b, frames, level)?];
    for _ in 0..options.coarser_levels(height, width) {
        let smaller = b.resize(&pyramid[pyramid.len() - 1].luma, Resize::Down(2));
        pyramid.push(stored_level(b, &smaller)?);
    }
    let mut found: Option<Field> = None;
    for (coarseness, level) in pyramid.iter().enumerate().rev() {
        found = Some(search(b, level, found.as_ref(), options, coarseness == 0)?);
    }
    let found = found.expect("a pyramid has a level");
    let stored = Stored {
        buffer: found.buffer,
        layout: Layout::Quads,
    };
    let whole = GpuTensor::from_stored([4, found.size[0], found.size[1]], Ok(stored));
    Ok(window(&whole, [height, width]))
}

/// Computes the finest level: luma of both frames, halved `level` times.
fn finest(b: &GpuBackend, frames: [&GpuTensor; 2], level: u32) -> Result<Level> {
    let luma = frames.map(|frame| {
        // The search decides between candidates that are as good as each other by the last bits.
        let luma = composed::luma(b, &unrounded(frame).unwrap_or_else(|| frame.clone()));
        (0..level).fold(luma, |x, _| b.resize(&x, Resize::Down(2)))
    });
    stored_level(b, &b.cat(&luma.each_ref()))
}

/// Pads `[2, height, width]` of luma to whole cells and stores it as a level.
fn stored_level(b: &GpuBackend, luma: &GpuTensor) -> Result<Level> {
    let [_, height, width] = luma.shape();
    let padded = [height, width].map(|side| side.next_multiple_of(STRIDE));
    let luma = window(luma, padded);
    let values = b.engine().store(&luma, Layout::Planar)?;
    Ok(Level { luma, values })
}

/// Returns `x` cropped, or padded by replication, at the right and bottom to `[height, width]`.
pub(crate) fn window(x: &GpuTensor, [height, width]: [usize; 2]) -> GpuTensor {
    let [channels, rows, columns] = x.shape();
    if [rows, columns] == [height, width] {
        return x.clone();
    }
    GpuTensor::new([channels, height, width], Op::Window(x.clone()))
}

/// Searches one level, beginning with the coarser level's flow.
///
/// # Errors
/// Where memory is lacking.
fn search(
    b: &GpuBackend,
    level: &Level,
    coarser: Option<&Field>,
    options: &DisOptions,
    is_finest: bool,
) -> Result<Field> {
    let (rounds, zero_start) = match is_finest {
        true => (options.finest_propagation_rounds, options.zero_start),
        false => (options.propagation_rounds, None),
    };
    let [height, width] = level.size();
    let from = coarser.map_or([0, 0], |field| field.size);
    let floats = [
        options.damping,
        options.min_residual,
        options.max_step,
        zero_start.unwrap_or(0.0),
    ];
    let parameters = [
        [width, height, from[1], from[0]].map(|word| word as u32),
        floats.map(f32::to_bits),
    ];
    let [rows, columns] = [height / STRIDE, width / STRIDE];
    let patches = 2 * rows * columns;
    let luma = &*level.values.buffer;
    let by_patch = |name: &str, source: &str, input: &Pooled, work: usize| {
        let kernel = Kernel {
            name: format_args!("{name}, {width}x{height}"),
            source,
            inputs: &[luma, input],
            parameters: parameters.as_flattened(),
            groups: [columns.div_ceil(PATCH_GROUP), rows.div_ceil(PATCH_GROUP), 2],
            work: (patches * work) as u64,
            bytes_read: luma.bytes() + input.bytes(),
        };
        b.engine().run_to(patches * 16, &kernel)
    };
    // Without a coarser field nothing is read from this binding.
    let initial = coarser.map_or(luma, |field| &*field.buffer);
    let starts = 1 + usize::from(zero_start.is_some());
    let steps = starts * (options.gauss_newton_steps + 1) + 1;
    // Constants: where parameters alone decide about loops or branches, lavapipe may compile a kernel again at every run.
    let descend = format!(
        "const STEPS = {};\nconst HAS_COARSER = {};\nconst HAS_ZERO_START = {};\n{DESCEND}",
        options.gauss_newton_steps,
        coarser.is_some(),
        zero_start.is_some()
    );
    let mut best = by_patch("Gauss-Newton steps", &descend, initial, 2 * COST_WORK * steps)?;
    for _ in 0..rounds {
        best = by_patch("propagation", PROPAGATE, &best, 4 * COST_WORK)?;
    }
    let kernel = Kernel {
        name: format_args!("densification and median, {width}x{height}"),
        source: DENSIFY,
        inputs: &[luma, &best],
        parameters: parameters.as_flattened(),
        groups: [width.div_ceil(PIXEL_GROUP[0]), height.div_ceil(PIXEL_GROUP[1]), 1],
        work: (height * width * 300) as u64,
        bytes_read: luma.bytes() + best.bytes(),
    };
    let filtered = b.engine().run_to(height * width * 16, &kernel)?;
    Ok(Field {
        buffer: Arc::new(filtered),
        size: [height, width],
    })
}
