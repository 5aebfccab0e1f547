//! Names and help of the values of options that are one of several: the only list of each, for all front ends.

use rife_media::{Codec, Fit};

use super::kind::{FromValue, Refusal, Value};
use crate::chain::AudioMode;
use crate::image::Storage;
use crate::reencode::Profile;
use crate::video::{CutFill, Duplicates};
use crate::{Precision, TimestepMethod};

/// The name of a value, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChoiceName {
    /// The word for it, in lower case.
    pub name: &'static str,
    /// Its meaning in a line; empty where the name says it.
    pub help: &'static str,
}

/// What becomes of repeated frames, or that only a report of them is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicate {
    /// As [`Duplicates::Smooth`].
    #[default]
    Smooth,
    /// As [`Duplicates::Keep`].
    Keep,
    /// Nothing is made: see [`VideoJob::report_duplicates`](crate::video::VideoJob::report_duplicates).
    Report,
}

impl Duplicate {
    /// The rule of the job, which a report is about, too.
    pub fn rule(self) -> Duplicates {
        match self {
            Self::Smooth | Self::Report => Duplicates::Smooth,
            Self::Keep => Duplicates::Keep,
        }
    }
}

/// Whether still overlays are taken from the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StaticMask {
    /// Where some are found.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// What is shown in place of a frame of too little confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackFill {
    /// A mixture of both neighbours.
    Blend,
    /// The neighbour before it.
    Hold,
}

impl FallbackFill {
    /// As the job has it.
    pub fn fill(self) -> CutFill {
        match self {
            Self::Blend => CutFill::Blend,
            Self::Hold => CutFill::Repeat,
        }
    }
}

/// A type that is one of several named values.
pub trait NamedChoice: Copy + PartialEq + 'static {
    /// All values in the order of help.
    const VALUES: &'static [Self];
    /// Their names and meanings in the same order.
    const NAMES: &'static [ChoiceName];

    /// The value of this name.
    fn of_name(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().position(|known| known.name == name)?;
        Self::VALUES.get(found).copied()
    }

    /// The value's name.
    fn option_name(self) -> &'static str {
        let found = Self::VALUES.iter().position(|known| *known == self);
        found
            .and_then(|index| Self::NAMES.get(index))
            .map_or("", |known| known.name)
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

/// Lists the values of enums. A variant that is left out does not compile.
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
        Repeat "repeat" "The frame before the cut again",
        Blend "blend" "A mixture of both, as a fade",
    }
    Duplicate {
        Smooth "smooth" "Motion leads evenly through their times, from the distinct frames around them",
        Keep "keep" "They stay as they are",
        Report "report" "Say what smooth would do, and do nothing",
    }
    StaticMask {
        Auto "auto" "Where some are found",
        Off "off" "Never",
    }
    FallbackFill {
        Blend "blend" "A mixture of both neighbours",
        Hold "hold" "The neighbour before it",
    }
    Fit {
        Pad "pad" "All of it is shown; the rest is black, or transparent where there is alpha",
        Crop "crop" "The output is filled; what stands over is cut off",
        Stretch "stretch" "Width and height are scaled apart",
    }
    Storage {
        Memory "memory" "In memory: quicker",
        Disk "disk" "In temporary files, exactly: for many passes of large pictures",
    }
    AudioMode {
        Crossfade "crossfade" "Each clip's own, the end of one fading into the start of the next",
        Silence "silence" "Each clip's own, silence in the transitions",
        Drop "drop" "Nothing",
    }
    Profile {
        Web "web" "H.264 High, yuv420p, BT.709, AAC, in MP4",
        LatentSync "latentsync" "The same at 25 frames a second, sound at 16 kHz",
        Archive "archive" "FFV1 in Matroska: lossless, pixel format, tags and streams as they are",
    }
    TimestepMethod {
        Auto "auto" "Directly where the network takes a timestep, else recursively",
        Direct "direct" "Directly, each frame at its own time",
        Recursive "recursive" "By middles of middles, as the original scripts do",
    }
    Precision {
        F32 "f32" "",
        Int8 "int8" "",
        Auto "auto" "",
    }
}
