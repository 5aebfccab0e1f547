//! Video frame interpolation with the RIFE networks (Real-Time Intermediate Flow Estimation, Huang et al., ECCV 2022):
//! computes the frames between two frames, on a CPU, with a network that is embedded in the crate.
//!
//! # Two images
//!
//! ```
//! use rife::{Interpolator, InterpolatorSpec, RgbImage};
//!
//! # let folder = tempfile::tempdir()?;
//! # let [a, b, out] = ["a.png", "b.png", "between.png"].map(|name| folder.path().join(name));
//! # rife_eval::sample::render(0.0, 96, 64).save(&a)?;
//! # rife_eval::sample::render(0.1, 96, 64).save(&b)?;
//! let interpolator = Interpolator::new(&InterpolatorSpec::default())?;
//! let (first, second) = (RgbImage::open(&a)?, RgbImage::open(&b)?);
//! let between = interpolator.interpolate(&first, &second, 0.5)?;
//! between.save(&out)?;
//! # assert_eq!(RgbImage::open(&out)?.width, 96);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`RgbImage`] converts from and to buffers: 8 and 16-bit RGB and RGBA, BGRA rows with a stride, and images of the `image`
//! crate. Morphs of several images, with files of any depth, are an [`image::ImageJob`].
//!
//! # A video, with progress and cancel
//!
//! A [`VideoJob`](video::VideoJob) reads a file (ffmpeg is needed for all but Y4M, animated WebP and still images), detects
//! cuts and repeated frames, keeps times exact and audio in sync, and writes the result atomically.
//!
//! ```
//! use rife::media::{CancelToken, Input, Output};
//! use rife::video::{Rate, VideoJob};
//!
//! # let folder = tempfile::tempdir()?;
//! # let [clip, out] = ["clip.y4m", "smooth.y4m"].map(|name| folder.path().join(name));
//! # let mut bytes = b"YUV4MPEG2 W64 H48 F10:1 Ip A1:1 C444\n".to_vec();
//! # for frame in 0..4 {
//! #     bytes.extend(b"FRAME\n");
//! #     bytes.extend((0..3 * 64 * 48).map(|i| (i / 7 + 3 * frame) as u8));
//! # }
//! # std::fs::write(&clip, bytes)?;
//! let cancel = CancelToken::new(); // a clone of it stops the job from any thread
//! let mut job = VideoJob::new(Input::parse(&clip), Output::parse(&out));
//! job.rate = Rate::Fps(60.into()); // twice the rate when not given
//!
//! let run = job.open(&cancel)?;
//! println!("{}", run.plan()); // nothing has been written yet
//! let summary = run.run(&mut |progress| {
//!     println!("{} of {:?} frames", progress.stream.frames_out, progress.total_out);
//! })?;
//! assert_eq!(summary.written.frames, 24);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Frames in memory
//!
//! [`Interpolator::prepare`] encodes a frame once for all its pairs, and [`Interpolator::between`] computes frames at exact
//! timesteps between two of them.
//!
//! ```
//! use std::sync::Arc;
//!
//! use rife::{Interpolator, InterpolatorSpec, Ratio, RgbImage};
//!
//! let frames: Vec<Vec<u8>> = vec![vec![100; 3 * 64 * 48], vec![104; 3 * 64 * 48]]; // interleaved RGB
//! let interpolator = Interpolator::new(&InterpolatorSpec::default())?;
//! let mut prepared = Vec::new();
//! for codes in &frames {
//!     let image = RgbImage::from_rgb8(64, 48, codes)?;
//!     prepared.push(interpolator.prepare(Arc::new(image))?);
//! }
//! for pair in prepared.windows(2) {
//!     let mut between = interpolator.between(&pair[0], &pair[1]);
//!     for third in 1..3 {
//!         let made: Vec<u8> = between.at(Ratio::new(third, 3))?.to_rgb8();
//!         assert_eq!(made.len(), 3 * 64 * 48);
//!     }
//! }
//! # Ok::<(), rife::Error>(())
//! ```
//!
//! # A stream of frames
//!
//! A [`stream::Stream`] takes frames with their times one by one and returns those of the wanted rate, with the same handling
//! of cuts, pauses, repeated frames and static overlays as the video job.
//!
//! ```
//! use std::sync::Arc;
//!
//! use rife::stream::{Stream, StreamOptions};
//! use rife::{Interpolator, InterpolatorSpec, Ratio, RgbImage};
//!
//! # let camera = (0..4).map(|i| (Ratio::new(i, 30), vec![100 + 2 * i as u8; 3 * 64 * 48]));
//! let interpolator = Arc::new(Interpolator::new(&InterpolatorSpec::default())?);
//! let mut stream = Stream::new(interpolator, StreamOptions::default())?; // twice the frames
//! let mut shown = Vec::new();
//! for (time, codes) in camera {
//!     stream.push_image(&RgbImage::from_rgb8(64, 48, &codes)?, time)?;
//!     while let Some(frame) = stream.next_frame()? {
//!         shown.push((frame.pts, frame.image().to_rgb8()));
//!     }
//! }
//! stream.finish();
//! while let Some(frame) = stream.next_frame()? {
//!     shown.push((frame.pts, frame.image().to_rgb8()));
//! }
//! assert_eq!(shown.len(), 8);
//! assert_eq!(shown[1].0, Ratio::new(1, 60));
//! # Ok::<(), rife::Error>(())
//! ```
//!
//! # Models
//!
//! [`InterpolatorSpec::model`] selects another network: a file of published RIFE weights (`.pkl`, `.safetensors`, an ncnn
//! folder) or a downloaded model (see [`models`]). Networks without a timestep input reach other times than the middle by
//! recursive bisection. [`InterpolatorSpec`] also holds the number of threads, the precision, a memory limit and a token
//! that stops the network in the middle of a frame.
//!
//! # Errors
//!
//! Every failure is an [`Error`]: its text says what was wrong, with which value, and what would be accepted;
//! [`Error::kind`] says who has to act, and [`Error::code`] is a stable identifier for programs. Bad input never panics.
//!
//! # Cargo features
//!
//! On by default: `default-weights` embeds the network of [`ModelChoice::Default`] (7 MB), `download` downloads
//! published weights over HTTPS (`models::download`). `gpu`, which is off by default here and on in `rife-cli`, computes on
//! GPUs ([`Device::Gpu`]).
//!
//! # More
//!
//! Other jobs are [`chain`] (clips joined by interpolated transitions), [`reencode`], [`batch`] (folders of videos),
//! and [`verify`]; metrics, benchmarks and quality reports are in the crate `rife-eval`. [`media`] holds frames, sources, sinks
//! and colour, [`nets`] the networks and their files. Specifications are `#[non_exhaustive]`: make one with `new` or
//! `default` and set its fields.

/// Compiles the code blocks of `README.md` as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

pub mod batch;
mod callback;
pub mod chain;
mod choice;
mod device;
mod error;
mod gamut;
mod hash;
pub mod image;
mod interpolator;
pub mod live;
pub mod manifest;
mod memory;
mod model_choice;
pub mod models;
pub mod options;
pub mod reencode;
mod runner;
pub mod stream;
pub mod verify;
pub mod video;
pub mod weights;

pub use callback::FrameCallback;
#[cfg(feature = "gpu")]
pub use device::{AdapterInfo, AdapterKind, adapters};
pub use device::{Device, EngineInfo, Precision};
pub use error::{Error, ErrorKind, Result};
pub use interpolator::{Between, Bisection, Interpolator, InterpolatorSpec, Pair, Prepared, TimestepMethod};
pub use model_choice::ModelChoice;
pub use num_rational::Ratio;
pub use rife_media as media;
pub use rife_media::RgbImage;
pub use rife_nets as nets;
pub use runner::Convolution;
