//! Sample clip: a procedurally rendered scene with known content at any time, and audio, for `make demo`, the README's image
//! and tests. `scene` renders frames, `audio` the audio.

mod audio;
mod scene;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use num_rational::Ratio;
use rife::media::plan::{Companions, plan_streams};
use rife::media::probe::{DisplayMatrix, HdrMetadata};
use rife::media::sink::{same_file, write_image};
use rife::media::{
    CancelToken, ColorTags, Frame, Limits, Matrix, Output, PixelFormat, Primaries, Range, RgbImage, SinkSpec,
    Transfer, VideoParams, open_sink, probe,
};

pub(crate) use scene::noise;
pub use scene::render;

use rife::{Error, Interpolator, Result};

/// Size, rate and duration of the sample clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleSpec {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// Duration in seconds.
    pub seconds: u32,
}

impl Default for SampleSpec {
    /// Returns 640x360, three seconds at 15 frames per second.
    fn default() -> Self {
        Self {
            width: 640,
            height: 360,
            fps: 15,
            seconds: 3,
        }
    }
}

/// The encoder's quality setting (CRF), high enough that a comparison does not measure the encoder.
const CRF: u32 = 10;

/// The clip's colour tags: BT.709, limited range.
const TAGS: ColorTags = ColorTags {
    matrix: Matrix::Bt709,
    range: Range::Limited,
    primaries: Primaries::Bt709,
    transfer: Transfer::Bt709,
    ..ColorTags::SRGB
};

/// Writes the clip to `output`; `truth`, a path and a factor, is the same clip at `factor` times the frame rate, without audio.
/// Returns the paths of the files.
///
/// # Errors
/// Those of writing video, [`Error::Usage`] if both paths are the same, [`Error::Cancelled`].
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
    let audio = audio::Wav::write(folder, spec.seconds)?;
    let mut written = vec![clip(spec, output, Some(audio.path()), overwrite, cancel)?];
    if let Some((path, factor)) = truth {
        let spec = SampleSpec {
            fps: spec.fps * factor,
            ..*spec
        };
        written.push(clip(&spec, path, None, overwrite, cancel)?);
    }
    Ok(written)
}

/// Writes one clip, with the audio of a WAV file if given; returns the output's path.
fn clip(
    spec: &SampleSpec,
    output: &Path,
    audio: Option<&Path>,
    overwrite: bool,
    cancel: &CancelToken,
) -> Result<PathBuf> {
    let step = Ratio::new(1, i64::from(spec.fps));
    let mut sink_spec = SinkSpec::new(Output::File(output.to_owned()));
    (sink_spec.crf, sink_spec.overwrite, sink_spec.cancel) = (Some(CRF), overwrite, cancel.clone());
    if let Some(audio) = audio {
        let media = probe(audio, &Limits::default())?;
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
        let image = render(rife::media::time::seconds(at), spec.width, spec.height);
        sink.write(&Frame::from_rgb(&image, format, &TAGS).at(at, step))?;
    }
    sink.finish()?;
    Ok(output.to_owned())
}

/// Returns the clip's video stream; `step` is the duration of a frame in seconds.
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

/// Writes the README's image: two successive frames of the sample with the interpolated middle frame between them, side by
/// side.
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

/// Width in pixels of the white gap between images.
const GAP: usize = 8;

/// Joins images of the same size from left to right, with white gaps.
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
