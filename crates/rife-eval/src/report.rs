//! Quality report on a clip without ground truth: existing frames are left out, interpolated from their two neighbours, and
//! compared with the original (leave-one-out), with blending and repeating a neighbour as baselines. `html_page` writes the HTML.
//!
//! Frames are interpolated over twice the interval of real use, so the scores are lower bounds.

mod html_page;

use std::path::Path;

use base64::Engine as _;
use num_rational::Ratio;
use rife::media::scene::{Miniature, SceneOptions};
use rife::media::{CancelToken, Frame, RgbImage, SourceSpec, StreamInfo, open_source, time};
use serde::Serialize;

use crate::metrics;
use rife::media::time::seconds;
use rife::{Error, Interpolator, InterpolatorSpec, Result};

/// Maximum PSNR in dB: that of equal frames, which would be infinite and could not be averaged.
pub const MAX_PSNR: f64 = 100.0;
/// Maximum width of a thumbnail in pixels.
const THUMBNAIL: u32 = 320;

/// A clip to report on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReportJob {
    /// The clip.
    pub source: SourceSpec,
    /// Model and options of the network.
    pub interpolator: InterpolatorSpec,
    /// Threshold of cut detection.
    pub scene: SceneOptions,
    /// Maximum number of frames that are evaluated, at even distances among the odd-numbered frames.
    pub samples: u64,
    /// Number of the worst frames that are shown as thumbnails.
    pub worst: usize,
}

impl ReportJob {
    /// Makes a job that evaluates at most 60 frames and shows the 6 worst.
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

/// Quality of a frame compared with the original.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Quality {
    /// PSNR in dB after rounding to 8 bits, at most [`MAX_PSNR`].
    pub psnr: f64,
    /// SSIM as by [`metrics::ssim`].
    pub ssim: f64,
    /// SSIMULACRA 2 as by [`metrics::ssimulacra2`], if no side is shorter than 128 pixels.
    pub ssimulacra2: Option<f64>,
}

/// One evaluated frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluatedFrame {
    /// Zero-based number in the clip.
    pub frame: u64,
    /// Time in seconds.
    pub time: f64,
    /// Quality of the network's frame.
    pub network: Quality,
    /// Quality of a linear blend of both neighbours.
    pub blend: Quality,
    /// Quality of the previous frame, repeated.
    pub hold: Quality,
    /// The network's [`Interpolator::confidence`], 0..=1.
    pub confidence: f64,
}

/// Means over all evaluated frames.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Means {
    /// Quality of the network's frames.
    pub network: Quality,
    /// Quality of linear blends.
    pub blend: Quality,
    /// Quality of repeated frames.
    pub hold: Quality,
    /// Mean confidence, 0..=1.
    pub confidence: f64,
}

/// Thumbnails of one of the worst frames, as `data:` URLs of JPEG images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstFrame {
    /// Index of the frame in [`Report::frames`].
    pub index: usize,
    /// The original frame.
    #[serde(skip)]
    pub truth: String,
    /// The network's frame.
    #[serde(skip)]
    pub network: String,
    /// The linear blend.
    #[serde(skip)]
    pub blend: String,
}

/// Result of a [`ReportJob`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The program's version.
    pub program: &'static str,
    /// The clip's file name.
    pub clip: String,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Number of frames read.
    pub frames_read: u64,
    /// Number of selected frames that were not evaluated because of a cut to a neighbour.
    #[serde(rename = "beside_cuts")]
    pub skipped_at_cuts: u64,
    /// The model and its options, for people.
    pub model: String,
    /// The evaluated frames, in order.
    pub frames: Vec<EvaluatedFrame>,
    /// Means over `frames`.
    pub means: Means,
    /// Number of `frames` in which the network's PSNR is above that of blending.
    pub better_than_blend: usize,
    /// Spearman's rank correlation, -1..=1, of confidence and the network's PSNR; `None` for fewer than 5 frames or if one of
    /// them does not vary.
    pub confidence_rank_correlation: Option<f64>,
    /// The worst frames by the network's PSNR, worst first.
    pub worst: Vec<WorstFrame>,
}

impl ReportJob {
    /// Reads the clip once and evaluates frames. `progress` is called with the number of frames read and the expected total.
    ///
    /// # Errors
    /// Those of reading and of the network; [`Error::Data`] for clips of fewer than three frames;
    /// [`Error::Cancelled`].
    pub fn run(&self, progress: &mut dyn FnMut(u64, Option<u64>), cancel: &CancelToken) -> Result<Report> {
        let mut source = self.source.clone();
        source.cancel = cancel.clone();
        let mut source = open_source(&source)?;
        let mut interpolator = self.interpolator.clone();
        interpolator.cancel = cancel.clone();
        let interpolator = Interpolator::new(&interpolator)?;
        let info = source.info().clone();
        let mut evaluator = Evaluator::new(self, &interpolator, &info);
        let mut window: Vec<WindowFrame> = Vec::new();
        let mut read = 0;
        while let Some(frame) = source.next_frame()? {
            read += 1;
            progress(read, info.frames);
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            window.push(WindowFrame::new(&frame, &info));
            if window.len() > 3 {
                window.remove(0);
            }
            if let [before, truth, after] = window.as_slice() {
                evaluator.evaluate(read - 2, [before, truth, after])?;
            }
        }
        if read < 3 {
            return Err(Error::Data(format!(
                "a report needs three frames or more, not {read}: one is rebuilt from its neighbours"
            )));
        }
        let mut report = evaluator.finish(read, &info);
        report.clip = rife::video::input_path(&self.source.input)
            .and_then(Path::file_name)
            .map_or("standard input".into(), |name| {
                name.to_string_lossy().into_owned()
            });
        report.model = interpolator.describe();
        Ok(report)
    }
}

/// A frame of the sliding window of three.
struct WindowFrame {
    /// The frame as RGB without alpha.
    image: RgbImage,
    /// Thumbnail for cut detection.
    miniature: Miniature,
    /// Time in seconds.
    at: Ratio<i64>,
}

impl WindowFrame {
    /// Converts a decoded frame to RGB and makes its thumbnail.
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

/// Evaluator of selected frames, which collects the report.
struct Evaluator<'a> {
    job: &'a ReportJob,
    interpolator: &'a Interpolator,
    /// Every `stride`th odd-numbered frame is evaluated.
    stride: u64,
    report: Report,
}

impl<'a> Evaluator<'a> {
    /// Makes an evaluator; its stride follows from the clip's number of frames and [`ReportJob::samples`].
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
                skipped_at_cuts: 0,
                model: String::new(),
                frames: Vec::new(),
                means: Means::default(),
                better_than_blend: 0,
                confidence_rank_correlation: None,
                worst: Vec::new(),
            },
        }
    }

    /// Evaluates `truth`, the frame number `index` of the clip, if it is selected: interpolates it from its neighbours and
    /// compares.
    fn evaluate(&mut self, index: u64, [before, truth, after]: [&WindowFrame; 3]) -> Result<()> {
        let odd = index / 2;
        let selected = index % 2 == 1 && odd.is_multiple_of(self.stride);
        let advances = before.at < truth.at && truth.at < after.at;
        if !selected || !advances || self.report.frames.len() as u64 >= self.job.samples.max(1) {
            return Ok(());
        }
        let cut =
            |a: &WindowFrame, b: &WindowFrame| self.job.scene.is_cut(a.miniature.similarity(&b.miniature));
        if cut(before, truth) || cut(truth, after) {
            self.report.skipped_at_cuts += 1;
            return Ok(());
        }
        let timestep = (truth.at - before.at) / (after.at - before.at);
        let [first, second] =
            [before, after].map(|frame| self.interpolator.prepare(frame.image.clone().into()));
        let (first, second) = (first?, second?);
        let made = self.interpolator.between(&first, &second).at(timestep)?;
        let blend = before.image.blend(&after.image, seconds(timestep) as f32);
        let evaluated = EvaluatedFrame {
            frame: index,
            time: time::seconds(truth.at),
            network: quality(&made, &truth.image),
            blend: quality(&blend, &truth.image),
            hold: quality(&before.image, &truth.image),
            confidence: self
                .interpolator
                .confidence(&before.image, &after.image, timestep)?,
        };
        self.keep_if_worst(evaluated.network.psnr, [&truth.image, &made, &blend]);
        self.report.frames.push(evaluated);
        Ok(())
    }

    /// Keeps thumbnails of the frame that is added next if its PSNR is among the lowest so far.
    fn keep_if_worst(&mut self, psnr: f64, [truth, network, blend]: [&RgbImage; 3]) {
        let (frames, worst) = (&self.report.frames, &mut self.report.worst);
        let rank = worst.partition_point(|kept| frames[kept.index].network.psnr <= psnr);
        if rank < self.job.worst {
            let entry = WorstFrame {
                index: frames.len(),
                truth: thumbnail(truth),
                network: thumbnail(network),
                blend: thumbnail(blend),
            };
            worst.insert(rank, entry);
            worst.truncate(self.job.worst);
        }
    }

    /// Computes the means; `read` is the number of frames read.
    fn finish(mut self, read: u64, info: &StreamInfo) -> Report {
        let frames = &self.report.frames;
        let mean = |of: &dyn Fn(&EvaluatedFrame) -> f64| {
            frames.iter().map(of).sum::<f64>() / frames.len().max(1) as f64
        };
        let quality = |of: &dyn Fn(&EvaluatedFrame) -> Quality| Quality {
            psnr: mean(&|frame| of(frame).psnr),
            ssim: mean(&|frame| of(frame).ssim),
            ssimulacra2: frames
                .iter()
                .map(|frame| of(frame).ssimulacra2)
                .sum::<Option<f64>>()
                .filter(|_| !frames.is_empty())
                .map(|sum| sum / frames.len() as f64),
        };
        self.report.means = Means {
            network: quality(&|frame| frame.network),
            blend: quality(&|frame| frame.blend),
            hold: quality(&|frame| frame.hold),
            confidence: mean(&|frame| frame.confidence),
        };
        let better = |frame: &&EvaluatedFrame| frame.network.psnr > frame.blend.psnr;
        self.report.better_than_blend = frames.iter().filter(better).count();
        let pairs: Vec<_> = frames.iter().map(|s| (s.confidence, s.network.psnr)).collect();
        self.report.confidence_rank_correlation = rank_correlation(&pairs);
        self.report.frames_read = read;
        self.report.size = [info.width, info.height];
        self.report
    }
}

/// Compares a frame with the original, both rounded to 8 bits.
fn quality(made: &RgbImage, truth: &RgbImage) -> Quality {
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
    Quality {
        psnr: metrics::psnr(&made, &truth).min(MAX_PSNR),
        ssim: metrics::ssim(&made, &truth, size),
        ssimulacra2: metrics::ssimulacra2(&made, &truth, size),
    }
}

/// Encodes a reduced copy of an image as a `data:` URL of a JPEG; empty if it cannot be encoded.
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

/// Computes Spearman's rank correlation, -1..=1; `None` for fewer than five pairs, or if one side does not vary.
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

/// Returns the zero-based rank of each value; equal values get the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: &f64| values.iter().filter(|other| *other < value).count() as f64;
    let equal = |value: &f64| values.iter().filter(|other| *other == value).count() as f64;
    values
        .iter()
        .map(|value| below(value) + (equal(value) - 1.0) / 2.0)
        .collect()
}

impl Report {
    /// Serializes the report as JSON, without thumbnails.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Formats the report as one self-contained HTML page with plots and thumbnails.
    pub fn html(&self) -> String {
        html_page::html(self)
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
