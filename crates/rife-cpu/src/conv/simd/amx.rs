//! Int8 convolution kernel with AMX tiles (`TDPBUSD`): one instruction multiplies 16 pixels by up to 64 input channels with
//! 64 by 16 weights.
//!
//! The three horizontal taps of a 3x3 filter are adjacent in memory (nChw16c), so that they are read as 48 channels of one
//! pixel; those of the next pixel begin 16 bytes later. See Intel's "Architecture Instruction Set Extensions Programming
//! Reference", chapter on AMX. Tile registers are accessed by inline assembly: the compiler does not allocate them.

use std::arch::asm;

use super::vnni;
use crate::conv::kernel::int8::{Dequantiser, Int8Lanes, Int8Rows, Offsets};

/// Pixels, and output channels, of a tile register of sums.
const SIDE: usize = 16;

/// Operand of `ldtilecfg`, in the processor's format: bytes per row and number of rows of each tile register.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    first_row: u8,
    unused: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// Configures registers 0 to 3 for sums, 4 and 5 for pixels, 6 and 7 for weights of `taps` horizontally adjacent taps.
    fn new(taps: usize) -> Self {
        let (channels, quads) = ((taps * 16) as u16, (taps * 4) as u8);
        let mut shapes = Self {
            palette: 1,
            first_row: 0,
            unused: [0; 14],
            bytes: [0; 16],
            rows: [0; 16],
        };
        shapes.bytes[..8].copy_from_slice(&[64, 64, 64, 64, channels, channels, 64, 64]);
        shapes.rows[..8].copy_from_slice(&[16, 16, 16, 16, 16, 16, quads, quads]);
        shapes
    }
}

/// int32 sums of sixteen pixels by sixteen output channels.
#[repr(C, align(64))]
struct Sums([[i32; SIDE]; SIDE]);

/// Computes rows of `BLOCKS` output blocks (1 or 2), twice sixteen pixels at a time.
///
/// # Safety
/// The pointers of `job` are valid for what it describes, its input for sixteen pixels past the last one; AMX and AVX-512
/// are available.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn rows<const BLOCKS: usize>(job: &Int8Rows<'_>) {
    let across = job.columns.div_ceil(SIDE);
    let parts = job.rows * across;
    let side = if job.taps.len() == 9 { 3 } else { 2 };
    let part = |i: usize| [i / across, i % across * SIDE];
    let shapes = Shapes::new(side);
    let mut sums = [const { Sums([[0; SIDE]; SIDE]) }; 4];
    // SAFETY: the shapes are those that palette 1 allows; the tile registers are ours until they are released.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly)) };
    for first in (0..parts).step_by(2) {
        // If the number is odd, the last one is computed twice.
        let pair = [part(first), part((first + 1).min(parts - 1))];
        let offsets = pair.map(|[row, column]| job.offsets(row, column));
        // SAFETY: both parts are the job's; what is past its last column is not written.
        unsafe {
            products::<BLOCKS>(job, side, offsets, &mut sums);
            for (i, sums) in sums.iter().enumerate().filter(|(i, _)| i % 2 < BLOCKS) {
                finish(job, i % 2, (offsets[i / 2], job.columns - pair[i / 2][1]), sums);
            }
        }
    }
    // SAFETY: as above.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Computes the sums of two runs of sixteen pixels, each for up to two output blocks.
///
/// # Safety
/// As [`rows`], within which the tile registers have their shapes.
#[inline(always)]
unsafe fn products<const BLOCKS: usize>(
    job: &Int8Rows<'_>,
    side: usize,
    offsets: [Offsets; 2],
    sums: &mut [Sums; 4],
) {
    // SAFETY: pixels and weights are valid by the caller's contract; `sums` are four times 1024 bytes.
    unsafe {
        start::<BLOCKS>(job.start);
        let mut weights = job.weights;
        for block in 0..job.channels.div_ceil(16) {
            for taps in job.taps.chunks_exact(side) {
                let pixels = job.input.add(block * job.input_stride + taps[0]);
                let pixels = offsets.map(|at| pixels.add(at.input));
                multiply::<BLOCKS>(pixels, job.pixel, weights);
                weights = weights.add(side * 4 * 64 * BLOCKS);
            }
        }
        asm!(
            "tilestored [{0} + {1}], tmm0",
            "tilestored [{0} + {1} + 1024], tmm1",
            "tilestored [{0} + {1} + 2048], tmm2",
            "tilestored [{0} + {1} + 3072], tmm3",
            in(reg) sums.as_mut_ptr(),
            in(reg) 64_usize,
            options(nostack),
        );
    }
}

/// Loads the initial sums, the same for all pixels, into the tile registers.
///
/// # Safety
/// As [`rows`].
#[inline(always)]
unsafe fn start<const BLOCKS: usize>(from: *const i32) {
    // SAFETY: each block has sixteen values, which a stride of 0 loads into all rows.
    unsafe {
        asm!(
            "tileloadd tmm0, [{0} + {1}]",
            "tileloadd tmm2, [{0} + {1}]",
            "tileloadd tmm1, [{2} + {1}]",
            "tileloadd tmm3, [{2} + {1}]",
            in(reg) from,
            in(reg) 0_usize,
            in(reg) from.add((BLOCKS - 1) * 16),
            options(nostack, readonly),
        );
    }
}

/// Adds the products of a row of horizontally adjacent taps to the sums of two runs of pixels.
///
/// # Safety
/// As [`products`].
#[inline(always)]
unsafe fn multiply<const BLOCKS: usize>(pixels: [*const u8; 2], pixel: usize, weights: *const i8) {
    // SAFETY: the caller's contract.
    unsafe {
        if BLOCKS == 1 {
            asm!(
                "tileloadd tmm6, [{weights} + {quad}]",
                "tileloadd tmm4, [{first} + {pixel}]",
                "tdpbusd tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{second} + {pixel}]",
                "tdpbusd tmm2, tmm5, tmm6",
                weights = in(reg) weights,
                quad = in(reg) 64_usize,
                first = in(reg) pixels[0],
                second = in(reg) pixels[1],
                pixel = in(reg) pixel,
                options(nostack, readonly),
            );
        } else {
            asm!(
                "tileloadd tmm6, [{weights} + {quad}]",
                "tileloadd tmm4, [{first} + {pixel}]",
                "tdpbusd tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{second} + {pixel}]",
                "tdpbusd tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{weights} + {quad} + 64]",
                "tdpbusd tmm1, tmm4, tmm7",
                "tdpbusd tmm3, tmm5, tmm7",
                weights = in(reg) weights,
                quad = in(reg) 128_usize,
                first = in(reg) pixels[0],
                second = in(reg) pixels[1],
                pixel = in(reg) pixel,
                options(nostack, readonly),
            );
        }
    }
}

/// Dequantises and writes up to sixteen pixels of an output block.
///
/// # Safety
/// As [`rows`]; at least `min(left, 16)` pixels of the job begin at `first`.
#[inline(always)]
unsafe fn finish(job: &Int8Rows<'_>, block: usize, (first, left): (Offsets, usize), sums: &Sums) {
    // SAFETY: the caller's contract.
    unsafe {
        let dequantiser = Dequantiser::<vnni::Sums>::new(job, block);
        for (t, sums) in sums.0.iter().enumerate().take(left) {
            let at = first.out + block * job.block_stride + t * job.out_pixel;
            dequantiser.store(job, at, vnni::Sums::load(sums.as_ptr()));
        }
    }
}
