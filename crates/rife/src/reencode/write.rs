//! Encoding of a re-encoding job: source frames at the profile's frame rate, converted to its pixel format and colour tags.

use std::path::Path;
use std::sync::Arc;

use rife_media::sink::{Need, Needs, Resume};
use rife_media::timeline::Push;
use rife_media::{
    CancelToken, Codec, ColorTags, Frame, Matrix, Output, OutputFrame, PixelFormat, Primaries, Range,
    RgbImage, Sink, SinkSpec, StreamInfo, Timeline, TimelineMode, TimelineOptions, Transfer, VideoParams,
    Written, open_sink, open_source,
};

use super::{Profile, ReencodeJob, ReencodeRun, Stage};
use crate::{Error, Result, gamut};

/// Colour tags of all profiles but the archive.
const BT709: ColorTags = ColorTags {
    matrix: Matrix::Bt709,
    range: Range::Limited,
    primaries: Primaries::Bt709,
    transfer: Transfer::Bt709,
    chroma_location: rife_media::ChromaLocation::Left,
};

/// Encodes the result to `path`; also returns the source's warnings.
pub(super) fn write(
    run: &ReencodeRun,
    path: &Path,
    progress: &mut dyn FnMut(Stage, u64),
) -> Result<(Written, Vec<String>)> {
    let archive = run.job.profile == Profile::Archive;
    let options = timeline(run);
    let mut params = VideoParams::for_timeline(&run.info, &options);
    if !archive {
        params.tags = BT709;
        (params.width, params.height) = (even(params.width), even(params.height));
    }
    let sink = open_sink(&spec(run, path)?, &params)?;
    let mut writer = Writer {
        needs: sink.needs(),
        sink,
        info: &run.info,
        convert: !archive,
        cancel: &run.cancel,
        progress,
        frames: 0,
    };
    let mut source = open_source(&run.job.source)?;
    let mut timeline = Timeline::new(options)?;
    let mut left: Option<Arc<Frame>> = None;
    while let Some(frame) = source.next_frame()? {
        // Every interval is treated as a pause: frames are repeated, not interpolated.
        if let Push::Frames(frames) = timeline.push(frame.pts, frame.duration, true)? {
            if let Some(left) = &left {
                writer.show(left, &frames)?;
            }
            left = Some(Arc::new(frame));
        }
    }
    if let Some(left) = &left {
        writer.show(left, &timeline.finish()?)?;
    }
    Ok((writer.sink.finish()?, source.warnings()))
}

/// Returns the specification of the output file `path`.
fn spec(run: &ReencodeRun, path: &Path) -> Result<SinkSpec> {
    let job = &run.job;
    let archive = job.profile == Profile::Archive;
    let facts = job
        .keep
        .on
        .then(|| facts(job, &run.cancel))
        .transpose()?
        .flatten();
    let mut spec = SinkSpec::new(Output::File(path.to_owned()));
    spec.codec = Some(if archive { Codec::Ffv1 } else { Codec::H264 });
    spec.crf = job.crf;
    spec.preset = job.preset.clone();
    spec.pixel_format = (!archive).then_some(PixelFormat::YUV420P);
    spec.overwrite = true;
    spec.companions = run.info.media.clone().zip(run.streams.clone());
    spec.resume = facts.map(|facts| {
        let mut resume = Resume::new(facts);
        resume.restart = job.keep.restart;
        resume.segment_frames = job.keep.segment_frames;
        resume
    });
    spec.cancel = run.cancel.clone();
    Ok(spec)
}

/// Returns the fingerprint of `job`, everything that its frames depend on, as pairs of a name and a value; `None` if the
/// input cannot be read twice.
fn facts(job: &ReencodeJob, cancel: &CancelToken) -> Result<Option<Vec<(String, String)>>> {
    let ReencodeJob {
        source,
        profile,
        // The sink adds the encoder's settings.
        crf: _,
        preset: _,
        // Whether and where it is written, and what is accepted.
        output: _,
        force: _,
        overwrite: _,
        limits: _,
        keep: _,
    } = job;
    let Some(input) = crate::hash::input_facts(&source.input, cancel)? else {
        return Ok(None);
    };
    Ok(Some(crate::video::owned(vec![
        ("the program", env!("CARGO_PKG_VERSION").to_owned()),
        ("the input", input),
        ("the job", "a re-encoding".to_owned()),
        ("--preset-profile", profile.name().to_owned()),
        ("the rate of pictures", crate::video::or_usual(source.frame_rate)),
        ("--deinterlace", source.deinterlace.to_string()),
    ])))
}

/// Returns the timeline options: the profile's constant rate, else the source's times unchanged.
fn timeline(run: &ReencodeRun) -> TimelineOptions {
    let rate = run.job.profile.rate();
    let mode = rate.map_or(TimelineMode::Factor(1), TimelineMode::TargetRate);
    TimelineOptions::new(mode)
}

/// Writer of a re-encoding job: converts source frames to the sink's pixel format (and to BT.709 where wanted) and writes those
/// that the sink needs.
struct Writer<'a> {
    sink: Box<dyn Sink>,
    /// Which frames the sink needs; the others were written by an earlier run.
    needs: Needs,
    /// The source's video stream.
    info: &'a StreamInfo,
    /// Whether colours are converted to BT.709.
    convert: bool,
    cancel: &'a CancelToken,
    /// Receives the stage and the number of frames done.
    progress: &'a mut dyn FnMut(Stage, u64),
    /// Number of frames passed so far, those of an earlier run included.
    frames: u64,
}

impl Writer<'_> {
    /// Writes one source frame at each of the times at which it is shown.
    fn show(&mut self, frame: &Frame, times: &[OutputFrame]) -> Result<()> {
        let mut converted = None;
        for at in times {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if self.needs.of(self.frames) == Need::Make {
                let frame = converted.get_or_insert_with(|| self.converted(frame)).clone();
                self.sink.write(&frame.at(at.pts, at.duration))?;
            } else {
                self.sink.skip(at.pts)?;
            }
            self.frames += 1;
            (self.progress)(Stage::Writing, self.frames);
        }
        Ok(())
    }

    /// Converts a frame to the sink's pixel format, size and colour tags; returns a copy if it has these already.
    fn converted(&self, frame: &Frame) -> Frame {
        let (params, tags) = (self.sink.params(), &self.info.tags);
        let same_size = [frame.width, frame.height] == [params.width, params.height];
        let same_colors = tags.effective_matrix(frame.width, frame.height) == params.tags.matrix
            && tags.range != Range::Full
            && !gamut::differs(tags.primaries, BT709.primaries);
        if frame.format == params.format && same_size && (!self.convert || same_colors) {
            return frame.clone();
        }
        let mut image = frame.to_rgb(tags);
        if self.convert {
            gamut::convert(&mut image, tags.primaries, BT709.primaries);
        }
        Frame::from_rgb(
            &extend(image, params.width, params.height),
            params.format,
            &params.tags,
        )
    }
}

/// Rounds a side up to an even number of pixels.
fn even(side: u32) -> u32 {
    side.next_multiple_of(2)
}

/// Pads an image to a size by repeating its last column and row; alpha is dropped if padding is needed.
fn extend(image: RgbImage, width: u32, height: u32) -> RgbImage {
    if [image.width, image.height] == [width, height] {
        return image;
    }
    let (w, h) = (image.width as usize, image.height as usize);
    let pixel = |plane: &[f32], x: usize, y: usize| plane[y.min(h - 1) * w + x.min(w - 1)];
    let data = image.channels().into_iter().flat_map(|plane| {
        (0..height as usize).flat_map(move |y| (0..width as usize).map(move |x| pixel(plane, x, y)))
    });
    RgbImage::new(width, height, data.collect())
}
