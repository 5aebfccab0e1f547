//! A clip of our own whose truth is known at any time: rendered motion with sound, for `make demo`, the README's
//! picture and tests. What is in the picture is in `scene`, the sound in `tone`.

mod scene;
mod tone;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use num_rational::Ratio;
use rife_media::plan::{Companions, plan_streams};
use rife_media::probe::{DisplayMatrix, HdrMetadata};
use rife_media::sink::{same_file, write_image};
use rife_media::{
    CancelToken, ColorTags, Frame, Limits, Matrix, Output, PixelFormat, Primaries, Range, RgbImage, SinkSpec,
    Transfer, VideoParams, open_sink, probe,
};

#[cfg(feature = "benchmark")]
pub(crate) use scene::noise;
pub use scene::render;

use crate::{Error, Interpolator, Result};

/// What the sample clip is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleSpec {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
    /// Seconds.
    pub seconds: u32,
}

impl Default for SampleSpec {
    /// 640x360, three seconds at 15 frames a second.
    fn default() -> Self {
        Self {
            width: 640,
            height: 360,
            fps: 15,
            seconds: 3,
        }
    }
}

/// Quality of the clips: the encoder should not be what a comparison measures.
const CRF: u32 = 10;

/// BT.709, limited range, 4:2:0: what most video is.
const TAGS: ColorTags = ColorTags {
    matrix: Matrix::Bt709,
    range: Range::Limited,
    primaries: Primaries::Bt709,
    transfer: Transfer::Bt709,
    ..ColorTags::SRGB
};

/// Renders the clip into `output`, and its truth at `factor` times the rate into `truth` where one is given.
///
/// # Errors
/// Those of writing video, [`Error::Cancelled`].
pub fn write(
    spec: &SampleSpec,
    output: &Path,
    truth: Option<(&Path, u32)>,
    overwrite: bool,
    cancel: &CancelToken,
) -> Result<Vec<PathBuf>> {
    if let Some((path, _)) = truth
        && (path == output || same_file(path, output))
    {
        return Err(Error::Usage(format!(
            "both the sample and its truth are to be {}: two names are needed",
            path.display()
        )));
    }
    let folder = output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let sound = tone::Wav::write(folder, spec.seconds)?;
    let mut written = vec![clip(spec, output, Some(sound.path()), overwrite, cancel)?];
    if let Some((path, factor)) = truth {
        let spec = SampleSpec {
            fps: spec.fps * factor,
            ..*spec
        };
        written.push(clip(&spec, path, None, overwrite, cancel)?);
    }
    Ok(written)
}

fn clip(
    spec: &SampleSpec,
    output: &Path,
    sound: Option<&Path>,
    overwrite: bool,
    cancel: &CancelToken,
) -> Result<PathBuf> {
    let step = Ratio::new(1, i64::from(spec.fps));
    let mut sink_spec = SinkSpec::new(Output::File(output.to_owned()));
    (sink_spec.crf, sink_spec.overwrite, sink_spec.cancel) = (Some(CRF), overwrite, cancel.clone());
    if let Some(sound) = sound {
        let media = probe(sound, &Limits::default())?;
        let streams = plan_streams(&media, sink_spec.container()?, Companions::Keep);
        sink_spec.companions = Some((media, streams));
    }
    let mut sink = open_sink(&sink_spec, &params(spec, step))?;
    let format = sink.params().format;
    for index in 0..i64::from(spec.fps * spec.seconds) {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let at = step * index;
        let image = render(rife_media::time::seconds(at), spec.width, spec.height);
        sink.write(&Frame::from_rgb(&image, format, &TAGS).at(at, step))?;
    }
    sink.finish()?;
    Ok(output.to_owned())
}

fn params(spec: &SampleSpec, step: Ratio<i64>) -> VideoParams {
    VideoParams {
        width: spec.width,
        height: spec.height,
        format: PixelFormat::YUV420P,
        tags: TAGS,
        sample_aspect: Ratio::from(1),
        matrix: DisplayMatrix::IDENTITY,
        time_base: step,
        frame_rate: Some(step.recip()),
        hdr: HdrMetadata::default(),
    }
}

/// Draws the README's picture: a frame of the sample, the frame that `interpolator` makes between it and the next
/// one, and the next one, side by side.
///
/// # Errors
/// Those of interpolating and writing.
pub fn picture(output: &Path, interpolator: &Interpolator, overwrite: bool) -> Result<()> {
    let spec = SampleSpec::default();
    let [before, after] = [1.0, 1.0 + 1.0 / f64::from(spec.fps)].map(|at| {
        let image = render(at, spec.width, spec.height);
        interpolator.prepare(Arc::new(image))
    });
    let (before, after) = (before?, after?);
    let between = interpolator.between(&before, &after).at(Ratio::new(1, 2))?;
    let joined = row(&[before.image(), &between, after.image()]);
    let frame = Frame::from_rgb(&joined, PixelFormat::RGB8, &ColorTags::SRGB);
    Ok(write_image(output, &frame, &ColorTags::SRGB, overwrite)?)
}

/// White columns between pictures.
const GAP: usize = 8;

/// Pictures of one size from left to right.
pub(crate) fn row(images: &[&Arc<RgbImage>]) -> RgbImage {
    let (width, height) = (images[0].width as usize, images[0].height as usize);
    let total = images.len() * (width + GAP) - GAP;
    let mut data = vec![1.0; 3 * total * height];
    for (line, target) in data.chunks_exact_mut(total).enumerate() {
        for (image, target) in images.iter().zip(target.chunks_mut(width + GAP)) {
            target[..width].copy_from_slice(&image.data[line * width..][..width]);
        }
    }
    RgbImage::new(total as u32, height as u32, data)
}
