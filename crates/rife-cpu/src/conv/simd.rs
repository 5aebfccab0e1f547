//! SIMD vectors of sixteen f32 or int32 for each tier (portable, AVX2, AVX-512, VNNI, NEON), and the kernels compiled for
//! them.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod vnni;

use super::kernel::Row;
use super::kernel::int8::Int8Kernels;
use super::kernel::winograd::{TransformInput, TransformOutput};
use crate::runtime::Tier;

/// The convolution kernels of a tier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernels {
    /// Direct convolution of a row of one output block, and of two: see [`super::kernel::row`].
    pub(crate) row: [unsafe fn(&Row<'_>); 2],
    /// Winograd's input transform.
    pub(crate) transform_input: unsafe fn(&TransformInput),
    /// Winograd's output transform.
    pub(crate) transform_output: unsafe fn(&TransformOutput),
    /// Int8 kernels; `None` if this tier has none on this machine.
    pub(crate) int8: Option<Int8Kernels>,
    /// Number of output blocks that direct kernels compute together.
    pub(crate) together: usize,
}

impl Kernels {
    /// Selects the kernels of a tier.
    ///
    /// # Panics
    /// When the tier is not available on this machine.
    pub(crate) fn new(tier: Tier) -> Self {
        assert!(tier.is_available(), "the machine lacks {}", tier.name());
        match tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2 => Self {
                row: [avx2::one, avx2::two],
                transform_input: avx2::input_tile,
                transform_output: avx2::output_tile,
                int8: None,
                together: 1,
            },
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512 | Tier::Amx => Self {
                row: [avx512::one, avx512::two],
                transform_input: avx512::input_tile,
                transform_output: avx512::output_tile,
                int8: int8(tier),
                together: 2,
            },
            #[cfg(target_arch = "aarch64")]
            Tier::Neon => Self {
                row: [neon::one, neon::two],
                transform_input: neon::input_tile,
                transform_output: neon::output_tile,
                int8: None,
                together: 1,
            },
            _ => Self {
                row: [scalar::one, scalar::two],
                transform_input: scalar::input_tile,
                transform_output: scalar::output_tile,
                int8: Some(scalar::INT8),
                together: 1,
            },
        }
    }
}

/// Returns the int8 kernels of an AVX-512 tier, with the products by AMX tiles for [`Tier::Amx`]; `None` if the processor
/// lacks VNNI.
#[cfg(target_arch = "x86_64")]
fn int8(tier: Tier) -> Option<Int8Kernels> {
    let vnni = vnni::kernels()?;
    Some(match tier {
        #[cfg(target_os = "linux")]
        Tier::Amx => Int8Kernels {
            rows: [amx::rows::<1>, amx::rows::<2>],
            full_blocks: true,
            min_channels: 16,
            ..vnni
        },
        _ => vnni,
    })
}
