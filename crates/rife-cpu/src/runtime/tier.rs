//! CPU tiers: instruction sets that kernels exist for, detected at run time or selected by the environment variable
//! `RIFE_CPU`.

use std::fmt;

/// An instruction set that kernels exist for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Plain Rust, available everywhere.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512F.
    Avx512,
    /// x86-64 with AVX-512F, and AMX for int8 convolutions.
    Amx,
    /// 64-bit ARM with NEON.
    Neon,
}

/// Reason why a tier cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TierError {
    /// There is no tier of this name.
    Unknown(String),
    /// The machine or this build lacks the tier.
    Missing(Tier),
    /// The tier has no int8 kernels on this machine.
    NoInt8(Tier),
}

impl std::error::Error for TierError {}

impl fmt::Display for TierError {
    /// Writes the reason in English, with the tiers that this machine has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |tiers: &[Tier]| tiers.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
        match self {
            Self::Unknown(name) => {
                write!(
                    f,
                    "RIFE_CPU={name:?} is no CPU tier; known are {}, here: {}",
                    names(&Tier::ALL),
                    names(&Tier::available())
                )
            }
            Self::NoInt8(tier) => write!(
                f,
                "int8 needs a processor with AVX-512 VNNI, and the CPU tier {} here has none; f32 works anywhere",
                tier.name()
            ),
            Self::Missing(tier) => {
                write!(
                    f,
                    "this machine lacks the CPU tier {}; it has {}",
                    tier.name(),
                    names(&Tier::available())
                )
            }
        }
    }
}

impl Tier {
    /// All tiers; those of one architecture from slow to fast.
    pub const ALL: [Self; 5] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Amx, Self::Neon];

    /// Returns the name, as accepted in `RIFE_CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
            Self::Neon => "neon",
        }
    }

    /// Returns the tier of a name.
    ///
    /// # Errors
    /// [`TierError`] if there is no such tier or the machine lacks it.
    pub fn from_name(name: &str) -> Result<Self, TierError> {
        let tier = Self::ALL.into_iter().find(|tier| tier.name() == name);
        let tier = tier.ok_or_else(|| TierError::Unknown(name.to_owned()))?;
        if tier.is_available() {
            Ok(tier)
        } else {
            Err(TierError::Missing(tier))
        }
    }

    /// Returns the tier named by the environment variable `RIFE_CPU` if it is set, else the fastest available one.
    ///
    /// # Errors
    /// [`TierError`] if the named tier is unknown or not available.
    pub fn detect() -> Result<Self, TierError> {
        match std::env::var_os("RIFE_CPU") {
            Some(name) => Self::from_name(&name.to_string_lossy()),
            None => Ok(Self::available().pop().unwrap_or(Self::Scalar)),
        }
    }

    /// Lists the tiers available on this machine, slowest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|tier| tier.is_available()).collect()
    }

    /// Reports whether this machine and build support the tier.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma"),
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx => Self::Avx512.is_available() && has_amx(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }
}

/// Reports whether the processor has AMX-INT8 and Linux grants its state to this process (requested by `arch_prctl`).
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn has_amx() -> bool {
    /// Result of the first call.
    static AVAILABLE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        /// CPUID leaf 7, EDX: AMX-TILE.
        const TILES: u32 = 1 << 24;
        /// CPUID leaf 7, EDX: AMX-INT8.
        const INT8: u32 = 1 << 25;
        /// Code of the system call `arch_prctl`: ARCH_REQ_XCOMP_PERM.
        const ASK_FOR_STATE: libc::c_long = 0x1023;
        /// Number of the tile data in the processor state (XFEATURE_XTILEDATA).
        const TILE_DATA: libc::c_long = 18;
        let bits = TILES | INT8;
        // SAFETY: the call reads and writes no memory of ours; older kernels refuse it.
        std::arch::x86_64::__cpuid_count(7, 0).edx & bits == bits
            && unsafe { libc::syscall(libc::SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) } == 0
    })
}

/// Compiles functions over rows of values for each tier (auto-vectorised); the generated functions take the tier as their
/// first argument.
macro_rules! for_every_tier {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $body:block)*) => {
        $(
            $(#[$doc])*
            #[inline]
            pub(super) fn $name(tier: $crate::runtime::Tier, $($arg: $type),*) {
                match tier {
                    // SAFETY: tiers are those that the machine has.
                    #[cfg(target_arch = "x86_64")]
                    $crate::runtime::Tier::Avx512 | $crate::runtime::Tier::Amx => unsafe { avx512::$name($($arg),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    $crate::runtime::Tier::Avx2 => unsafe { avx2::$name($($arg),*) },
                    _ => plain::$name($($arg),*),
                }
            }
        )*

        mod plain {
            #[allow(unused_imports)]
            use super::*;
            $(#[inline(always)] pub(super) fn $name($($arg: $type),*) $body)*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx2 {
            use super::*;
            $(#[target_feature(enable = "avx2,fma")] pub(super) fn $name($($arg: $type),*) { plain::$name($($arg),*) })*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx512 {
            use super::*;
            $(#[target_feature(enable = "avx512f")] pub(super) fn $name($($arg: $type),*) { plain::$name($($arg),*) })*
        }
    };
}

pub(crate) use for_every_tier;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_tiers() {
        for tier in Tier::available() {
            assert_eq!(Tier::from_name(tier.name()), Ok(tier));
        }
    }

    #[test]
    fn unknown_and_missing_tiers_are_refused_with_what_there_is() {
        let unknown = Tier::from_name("sse9").unwrap_err();
        assert!(unknown.to_string().contains("scalar"), "{unknown}");
        let missing = if cfg!(target_arch = "aarch64") {
            "avx2"
        } else {
            "neon"
        };
        assert!(matches!(Tier::from_name(missing), Err(TierError::Missing(_))));
    }
}
