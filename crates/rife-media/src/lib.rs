//! Frames in and out: sources, sinks, timeline, colour and the ffmpeg child process.
//!
//! Frames come from a [`Source`] with exact rational times, are converted to RGB by [`Frame::to_rgb`], and go
//! back through [`Frame::from_rgb`] into a [`Sink`]. [`timeline`] computes for each output frame its two source frames
//! and the timestep between them; [`scene`] detects cuts and repeated frames. Nothing here depends on a network.

pub mod audio;
pub mod cancel;
pub mod color;
#[cfg(test)]
mod damaged;
pub mod error;
pub mod ffmpeg;
pub mod fit;
pub mod format;
pub mod frame;
mod frame_view;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod isobmff;
pub mod limits;
mod nut;
mod persist;
pub mod plan;
pub mod probe;
mod rgb_image;
pub mod scene;
pub mod scratch;
pub mod sink;
pub mod source;
pub mod time;
pub mod timeline;
mod words;

pub use cancel::CancelToken;
pub use color::{ChromaLocation, ColorTags, Matrix, Primaries, Range, Transfer};
pub use error::{MediaError, Result};
pub use ffmpeg::{Ffmpeg, minterpolate};
pub use fit::{Fit, fit};
pub use format::{Layout, PixelFormat};
pub use frame::{Frame, Plane, Samples};
pub use frame_view::{ChannelOrder, FrameView, FrameViewMut, SampleType};
pub use limits::Limits;
pub use plan::{Action, Companions, PlannedStream, StreamPlan, plan_streams};
pub use probe::{MediaInfo, probe};
pub use rgb_image::{RgbImage, srgb_decode, srgb_encode};
pub use sink::{
    Codec, Container, Encoding, ImageFormat, Output, Sink, SinkSpec, VideoParams, Written, open_sink,
    plan_encoding, write_image,
};
pub use source::{
    ImageHeader, Input, Orientation, Source, SourceSpec, StreamInfo, image_header, natural_order,
    open_source, read_image,
};
pub use time::Time;
pub use timeline::{OutputFrame, Timeline, TimelineMode, TimelineOptions};
pub use words::counted;
