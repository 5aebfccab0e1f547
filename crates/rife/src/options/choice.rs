//! Enumerated option values: names and help texts, defined once for all front ends.

use rife_media::{Codec, Fit};

use super::kind::{FromValue, Refusal, Value};
use crate::chain::AudioMode;
pub use crate::choice::{ChoiceName, NamedChoice};
use crate::image::Storage;
use crate::reencode::Profile;
use crate::video::{CutFill, Duplicates};
use crate::{Precision, TimestepMethod};

/// Handling of repeated frames, or a report on them (`--duplicates`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicate {
    /// The handling [`Duplicates::Smooth`].
    #[default]
    Smooth,
    /// The handling [`Duplicates::Keep`].
    Keep,
    /// A report instead of a job: see [`VideoJob::report_duplicates`](crate::video::VideoJob::report_duplicates).
    Report,
}

impl Duplicate {
    /// Returns the job's handling; a report is on [`Duplicates::Smooth`].
    pub fn rule(self) -> Duplicates {
        match self {
            Self::Smooth | Self::Report => Duplicates::Smooth,
            Self::Keep => Duplicates::Keep,
        }
    }
}

/// Handling of static overlays (`--mask-static`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StaticMask {
    /// Overlays that are detected are copied from the source.
    #[default]
    Auto,
    /// Overlays are not detected.
    Off,
}

/// Replacement of frames with a low confidence (`--fallback`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackFill {
    /// A linear blend of both neighbours.
    Blend,
    /// The previous source frame.
    Hold,
}

impl FallbackFill {
    /// Converts the replacement to the job's option.
    pub fn fill(self) -> CutFill {
        match self {
            Self::Blend => CutFill::Blend,
            Self::Hold => CutFill::Repeat,
        }
    }
}

impl<C: NamedChoice> FromValue for C {
    fn from_value(value: &Value) -> Result<Self, Refusal> {
        let found = match value {
            Value::Text(text) => C::of_name(text),
            _ => None,
        };
        found.ok_or_else(|| Refusal::OneOf(C::NAMES.iter().map(|known| known.name).collect()))
    }
}

/// Implements [`NamedChoice`] for enums: variant, name, help text. A missing variant is a compile error.
macro_rules! choices {
    ($($type:ident { $($variant:ident $name:literal $help:literal,)+ })+) => {$(
        impl NamedChoice for $type {
            const VALUES: &'static [Self] = &[$(Self::$variant,)+];
            const NAMES: &'static [ChoiceName] = &[$(ChoiceName { name: $name, help: $help },)+];
        }

        const _: fn($type) = |value| match value {
            $($type::$variant => (),)+
        };
    )+};
}

choices! {
    Codec {
        H264 "h264" "H.264 by libx264: CRF 18, preset medium",
        H265 "h265" "H.265 by libx265: CRF 20, preset medium",
        Av1 "av1" "AV1 by SVT-AV1: CRF 28, preset 8",
        Vp9 "vp9" "VP9 by libvpx: CRF 24",
        ProRes "prores" "ProRes 422 HQ",
        Ffv1 "ffv1" "FFV1, lossless",
        Gif "gif" "GIF",
    }
    CutFill {
        Repeat "repeat" "The frame before the cut, repeated",
        Blend "blend" "A crossfade of both frames",
    }
    Duplicate {
        Smooth "smooth" "Replace them by even motion between the distinct frames around them",
        Keep "keep" "Keep them",
        Report "report" "Print what smooth would change, and write nothing",
    }
    StaticMask {
        Auto "auto" "Copy overlays that are detected",
        Off "off" "Do not detect overlays",
    }
    FallbackFill {
        Blend "blend" "A linear blend of both neighbours",
        Hold "hold" "The previous source frame",
    }
    Fit {
        Pad "pad" "Scale to fit inside the output; the rest is black, or transparent with alpha",
        Crop "crop" "Scale to fill the output, and crop the rest",
        Stretch "stretch" "Scale width and height independently",
    }
    Storage {
        Memory "memory" "In memory: faster",
        Disk "disk" "In temporary files, losslessly: for many passes of large images",
    }
    AudioMode {
        Crossfade "crossfade" "Each clip's audio, crossfaded during the transitions",
        Silence "silence" "Each clip's audio, with silence during the transitions",
        Drop "drop" "No audio",
    }
    Profile {
        Web "web" "H.264 High, yuv420p, BT.709, AAC, in MP4",
        LatentSync "latentsync" "As web, at 25 frames per second, audio at 16 kHz",
        Archive "archive" "FFV1 in Matroska: lossless, with the source's pixel format, colour tags and streams",
    }
    TimestepMethod {
        Auto "auto" "Direct if the network has a timestep input, else recursive",
        Direct "direct" "One run of the network per frame",
        Recursive "recursive" "Recursive bisection, as the original scripts do: the middle of two frames, of a half...",
    }
    Precision {
        F32 "f32" "",
        Int8 "int8" "",
        F16 "f16" "",
        Auto "auto" "",
    }
}
