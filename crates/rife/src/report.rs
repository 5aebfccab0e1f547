//! What interpolation does to a clip, measured on the clip itself: frames that are there are left out, rebuilt from
//! their neighbours, and compared with themselves, beside blending and holding. The page is in `page`.
//!
//! The step over which a frame is rebuilt is twice the one of real use, so the figures are lower bounds.

mod page;

use std::path::Path;

use base64::Engine as _;
use num_rational::Ratio;
use rife_media::scene::{Miniature, SceneOptions};
use rife_media::{CancelToken, Frame, RgbImage, Source, SourceSpec, StreamInfo, open_source, time};
use serde::Serialize;

use crate::interpolator::to_f32;
use crate::{Error, Interpolator, InterpolatorSpec, Result, metrics};

/// PSNR of equal pictures, which have none, where figures are averaged.
pub const MOST_PSNR: f64 = 100.0;
/// Width of a thumbnail, about.
const THUMBNAIL: u32 = 320;

/// A clip to report on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReportJob {
    /// What to read.
    pub source: SourceSpec,
    /// What to interpolate with.
    pub interpolator: InterpolatorSpec,
    /// What counts as a cut.
    pub scene: SceneOptions,
    /// Most frames that are rebuilt, spread evenly over the clip's odd frames.
    pub samples: u64,
    /// How many of the worst frames get thumbnails.
    pub worst: usize,
}

impl ReportJob {
    /// At most 60 frames, and thumbnails of the 6 worst.
    pub fn new(source: SourceSpec) -> Self {
        Self {
            source,
            interpolator: InterpolatorSpec::default(),
            scene: SceneOptions::default(),
            samples: 60,
            worst: 6,
        }
    }
}

/// Likeness to the truth.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Likeness {
    /// PSNR in dB after rounding to 8 bits, at most [`MOST_PSNR`].
    pub psnr: f64,
    /// SSIM, see [`metrics::ssim`].
    pub ssim: f64,
}

/// One frame that was rebuilt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sampled {
    /// Its index in the clip, from 0.
    pub frame: u64,
    /// Its time in seconds.
    pub time: f64,
    /// The network's frame.
    pub network: Likeness,
    /// The mixture of both neighbours.
    pub blend: Likeness,
    /// The neighbour before it.
    pub hold: Likeness,
    /// See [`Interpolator::confidence`].
    pub confidence: f64,
}

/// Means over all frames that were rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Means {
    /// The network's.
    pub network: Likeness,
    /// Blending's.
    pub blend: Likeness,
    /// Holding's.
    pub hold: Likeness,
    /// The mean confidence.
    pub confidence: f64,
}

/// A frame with pictures of it, as `data:` URLs of JPEG images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worst {
    /// Its place in [`Report::frames`].
    pub index: usize,
    /// As it is.
    #[serde(skip)]
    pub truth: String,
    /// As the network made it.
    #[serde(skip)]
    pub network: String,
    /// As blending makes it.
    #[serde(skip)]
    pub blend: String,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The program's version.
    pub program: &'static str,
    /// The clip's name.
    pub clip: String,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Frames read.
    pub frames_read: u64,
    /// Odd frames that could not be rebuilt because a cut lies beside them.
    pub beside_cuts: u64,
    /// The model and its options.
    pub model: String,
    /// What was rebuilt, in order.
    pub frames: Vec<Sampled>,
    /// Means over `frames`.
    pub means: Means,
    /// In how many of `frames` the network's PSNR is above blending's.
    pub better_than_blend: usize,
    /// How well confidence ranks the network's PSNR on this clip (Spearman, -1 to 1); nothing for fewer than 5 frames.
    pub confidence_rank_correlation: Option<f64>,
    /// The worst frames by the network's PSNR, worst first.
    pub worst: Vec<Worst>,
}

impl ReportJob {
    /// Reads the clip once. `progress` is told frames read, and how many there should be.
    ///
    /// # Errors
    /// Those of reading and of the network; [`Error::Data`] for clips of fewer than three frames;
    /// [`Error::Cancelled`].
    pub fn run(&self, progress: &mut dyn FnMut(u64, Option<u64>), cancel: &CancelToken) -> Result<Report> {
        let spec = SourceSpec {
            cancel: cancel.clone(),
            ..self.source.clone()
        };
        let mut source = open_source(&spec)?;
        let interpolator = Interpolator::new(&InterpolatorSpec {
            cancel: cancel.clone(),
            ..self.interpolator.clone()
        })?;
        let info = source.info().clone();
        let mut sampler = Sampler::new(self, &interpolator, &info);
        let mut window: Vec<Held> = Vec::new();
        let mut read = 0;
        while let Some(held) = self.next(source.as_mut(), &info)? {
            read += 1;
            progress(read, info.frames);
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            window.push(held);
            if window.len() > 3 {
                window.remove(0);
            }
            if let [before, truth, after] = window.as_slice() {
                sampler.take(read - 2, [before, truth, after])?;
            }
        }
        if read < 3 {
            return Err(Error::Data(format!(
                "a report needs three frames or more, not {read}: one is rebuilt from its neighbours"
            )));
        }
        let mut report = sampler.finish(read, &info);
        report.clip = crate::video::input_path(&self.source.input)
            .and_then(Path::file_name)
            .map_or("standard input".into(), |name| {
                name.to_string_lossy().into_owned()
            });
        report.model = interpolator.describe();
        Ok(report)
    }

    fn next(&self, source: &mut dyn Source, info: &StreamInfo) -> Result<Option<Held>> {
        Ok(source.next_frame()?.map(|frame| Held::new(&frame, info)))
    }
}

/// A frame of the window.
struct Held {
    image: RgbImage,
    miniature: Miniature,
    at: Ratio<i64>,
}

impl Held {
    fn new(frame: &Frame, info: &StreamInfo) -> Self {
        let image = RgbImage {
            alpha: None,
            ..frame.to_rgb(&info.tags)
        };
        Self {
            miniature: Miniature::new(&image),
            image,
            at: frame.pts,
        }
    }
}

/// Rebuilds the frames whose turn it is.
struct Sampler<'a> {
    job: &'a ReportJob,
    interpolator: &'a Interpolator,
    /// Every so many odd frames is rebuilt.
    stride: u64,
    report: Report,
}

impl<'a> Sampler<'a> {
    fn new(job: &'a ReportJob, interpolator: &'a Interpolator, info: &StreamInfo) -> Self {
        let by_duration = || {
            let frames = time::seconds(info.duration?) * time::seconds(info.frame_rate?);
            (1.0..1e12).contains(&frames).then_some(frames as u64)
        };
        let odd = info.frames.or_else(by_duration).unwrap_or(0) / 2;
        Self {
            job,
            interpolator,
            stride: odd.div_ceil(job.samples.max(1)).max(1),
            report: Report {
                program: env!("CARGO_PKG_VERSION"),
                clip: String::new(),
                size: [info.width, info.height],
                frames_read: 0,
                beside_cuts: 0,
                model: String::new(),
                frames: Vec::new(),
                means: Means::default(),
                better_than_blend: 0,
                confidence_rank_correlation: None,
                worst: Vec::new(),
            },
        }
    }

    /// Rebuilds the frame of this index, if it is one of the sample.
    fn take(&mut self, index: u64, [before, truth, after]: [&Held; 3]) -> Result<()> {
        let odd = index / 2;
        let turn = index % 2 == 1 && odd.is_multiple_of(self.stride);
        let advances = before.at < truth.at && truth.at < after.at;
        if !turn || !advances || self.report.frames.len() as u64 >= self.job.samples.max(1) {
            return Ok(());
        }
        let cut = |a: &Held, b: &Held| self.job.scene.is_cut(a.miniature.similarity(&b.miniature));
        if cut(before, truth) || cut(truth, after) {
            self.report.beside_cuts += 1;
            return Ok(());
        }
        let timestep = (truth.at - before.at) / (after.at - before.at);
        let [first, second] =
            [before, after].map(|held| self.interpolator.prepare(held.image.clone().into()));
        let (first, second) = (first?, second?);
        let made = self.interpolator.between(&first, &second).at(timestep)?;
        let blend = before.image.blend(&after.image, to_f32(timestep));
        let sampled = Sampled {
            frame: index,
            time: time::seconds(truth.at),
            network: likeness(&made, &truth.image),
            blend: likeness(&blend, &truth.image),
            hold: likeness(&before.image, &truth.image),
            confidence: self
                .interpolator
                .confidence(&before.image, &after.image, timestep)?,
        };
        self.consider(sampled.network.psnr, [&truth.image, &made, &blend]);
        self.report.frames.push(sampled);
        Ok(())
    }

    /// Keeps pictures of the frame that is about to be added if it is among the worst so far.
    fn consider(&mut self, psnr: f64, [truth, network, blend]: [&RgbImage; 3]) {
        let (frames, worst) = (&self.report.frames, &mut self.report.worst);
        let place = worst.partition_point(|kept| frames[kept.index].network.psnr <= psnr);
        if place < self.job.worst {
            let entry = Worst {
                index: frames.len(),
                truth: thumbnail(truth),
                network: thumbnail(network),
                blend: thumbnail(blend),
            };
            worst.insert(place, entry);
            worst.truncate(self.job.worst);
        }
    }

    fn finish(mut self, read: u64, info: &StreamInfo) -> Report {
        let frames = &self.report.frames;
        let mean =
            |of: &dyn Fn(&Sampled) -> f64| frames.iter().map(of).sum::<f64>() / frames.len().max(1) as f64;
        let likeness = |of: &dyn Fn(&Sampled) -> Likeness| Likeness {
            psnr: mean(&|sampled| of(sampled).psnr),
            ssim: mean(&|sampled| of(sampled).ssim),
        };
        self.report.means = Means {
            network: likeness(&|sampled| sampled.network),
            blend: likeness(&|sampled| sampled.blend),
            hold: likeness(&|sampled| sampled.hold),
            confidence: mean(&|sampled| sampled.confidence),
        };
        let better = |sampled: &&Sampled| sampled.network.psnr > sampled.blend.psnr;
        self.report.better_than_blend = frames.iter().filter(better).count();
        let pairs: Vec<_> = frames.iter().map(|s| (s.confidence, s.network.psnr)).collect();
        self.report.confidence_rank_correlation = rank_correlation(&pairs);
        self.report.frames_read = read;
        self.report.size = [info.width, info.height];
        self.report
    }
}

fn likeness(made: &RgbImage, truth: &RgbImage) -> Likeness {
    let round = |image: &RgbImage| {
        let mut data = image.data.clone();
        metrics::round8(&mut data);
        data
    };
    let (made, truth, size) = (
        round(made),
        round(truth),
        [truth.height as usize, truth.width as usize],
    );
    Likeness {
        psnr: metrics::psnr(&made, &truth).min(MOST_PSNR),
        ssim: metrics::ssim(&made, &truth, size),
    }
}

/// A small JPEG picture as a `data:` URL; empty where it cannot be encoded.
fn thumbnail(image: &RgbImage) -> String {
    let small = image.reduced(image.width.div_ceil(THUMBNAIL));
    let level = |value: &f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let area = (small.width * small.height) as usize;
    let pixels: Vec<u8> = (0..area)
        .flat_map(|i| [0, 1, 2].map(|channel| level(&small.data[channel * area + i])))
        .collect();
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 85);
    let encoded = encoder.encode(&pixels, small.width, small.height, image::ExtendedColorType::Rgb8);
    if encoded.is_err() {
        return String::new();
    }
    let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
    format!("data:image/jpeg;base64,{text}")
}

/// Spearman's rank correlation; nothing for fewer than five pairs, or where one side does not vary.
fn rank_correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < 5 {
        return None;
    }
    let left = ranks(&pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
    let right = ranks(&pairs.iter().map(|pair| pair.1).collect::<Vec<_>>());
    let mean = (pairs.len() as f64 - 1.0) / 2.0;
    let product =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum() };
    let scale = (product(&left, &left) * product(&right, &right)).sqrt();
    (scale > 0.0).then(|| product(&left, &right) / scale)
}

/// The place of each value in their order; equal values share the mean of their places.
fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: &f64| values.iter().filter(|other| *other < value).count() as f64;
    let equal = |value: &f64| values.iter().filter(|other| *other == value).count() as f64;
    values
        .iter()
        .map(|value| below(value) + (equal(value) - 1.0) / 2.0)
        .collect()
}

impl Report {
    /// The figures as JSON, without the pictures.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Everything as one HTML page that needs nothing else.
    pub fn html(&self) -> String {
        page::html(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_correlate_whatever_the_scale() {
        let rising: Vec<_> = (0..9).map(|i| (f64::from(i), f64::from(i * i))).collect();
        assert_eq!(rank_correlation(&rising), Some(1.0));
        let falling: Vec<_> = (0..9).map(|i| (f64::from(i), -f64::from(i))).collect();
        assert_eq!(rank_correlation(&falling), Some(-1.0));
        assert_eq!(rank_correlation(&[(1.0, 1.0); 9]), None, "nothing varies");
        assert_eq!(rank_correlation(&rising[..4]), None, "too few");
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
    }
}
