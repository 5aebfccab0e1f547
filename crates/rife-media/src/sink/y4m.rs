//! Y4M (YUV4MPEG2) writer to a file or standard output, without ffmpeg.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Sink, SinkSpec, VideoParams, Written, check_frame};
use crate::persist::part::Part;
use crate::time::{narrow, widen};
use crate::{ChromaLocation, Frame, Layout, MediaError, PixelFormat, Range, Result, Time};

/// A sink that writes a Y4M stream of constant rate.
pub(super) struct Writer {
    /// Path or name for messages.
    name: PathBuf,
    /// The temporary file; `None` for standard output.
    part: Option<Part>,
    output: BufWriter<Box<dyn Write + Send>>,
    params: VideoParams,
    /// Frame interval in seconds.
    interval: Time,
    cancel: crate::CancelToken,
    buffer: Vec<u8>,
    /// Number of frames written.
    frames: u64,
    /// Time of the first frame in seconds.
    first: Time,
    /// End of the last frame in seconds.
    end: Time,
    /// Number of frames whose time is not that of the constant rate.
    off_grid: u64,
    warnings: Vec<String>,
}

impl Writer {
    /// Creates the temporary file of the output `path` and writes the header.
    pub(super) fn create(path: &Path, spec: &SinkSpec, params: &VideoParams) -> Result<Self> {
        let part = Part::create(path, spec.overwrite, spec.all_inputs())?;
        let file = part
            .file()
            .try_clone()
            .map_err(|e| MediaError::io("create", path, e))?;
        Self::new(path.to_owned(), Some(part), Box::new(file), spec, params)
    }

    /// Writes the header to standard output.
    pub(super) fn stdout(spec: &SinkSpec, params: &VideoParams) -> Result<Self> {
        Self::new(
            PathBuf::from("standard output"),
            None,
            Box::new(io::stdout()),
            spec,
            params,
        )
    }

    /// Chooses a pixel format that Y4M supports and writes the header to `output`.
    fn new(
        name: PathBuf,
        part: Option<Part>,
        output: Box<dyn Write + Send>,
        spec: &SinkSpec,
        params: &VideoParams,
    ) -> Result<Self> {
        let format = y4m_format(spec.pixel_format.unwrap_or(params.format));
        let mut tags = params.tags.for_yuv();
        if tags.range == Range::Unspecified && params.format.layout == Layout::Gray {
            tags.range = Range::Full;
        }
        let params = VideoParams {
            format,
            tags,
            ..params.clone()
        };
        let interval = params.frame_rate.map_or(params.time_base, |rate| rate.recip());
        let mut writer = Self {
            name,
            part,
            output: BufWriter::with_capacity(1 << 18, output),
            params,
            interval,
            cancel: spec.cancel.clone(),
            buffer: Vec::new(),
            frames: 0,
            first: Time::from(0),
            end: Time::from(0),
            off_grid: 0,
            warnings: Vec::new(),
        };
        let header = header(&writer.params, interval)?;
        writer.put(header.as_bytes())?;
        Ok(writer)
    }

    /// Writes bytes to the output.
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.output
            .write_all(bytes)
            .map_err(|e| MediaError::io("write", &self.name, e))
    }
}

impl Sink for Writer {
    fn params(&self) -> &VideoParams {
        &self.params
    }

    /// Writes a frame; counts it where its time is not that of the constant rate.
    fn write(&mut self, frame: &Frame) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        check_frame(&self.params, frame, self.frames)?;
        if self.frames == 0 {
            self.first = frame.pts;
        }
        let place = widen(self.first) + widen(self.interval) * i128::from(self.frames);
        self.off_grid += u64::from(narrow(place) != Some(frame.pts));
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        bytes.extend(b"FRAME\n");
        frame.to_raw(&mut bytes);
        let written = self.put(&bytes);
        self.buffer = bytes;
        written?;
        if self.part.is_none() {
            // A reader of standard output gets each frame when it is complete.
            self.output
                .flush()
                .map_err(|e| MediaError::io("write", &self.name, e))?;
        }
        self.frames += 1;
        self.end = narrow(widen(frame.pts) + widen(frame.duration)).unwrap_or(frame.pts);
        Ok(())
    }

    /// Flushes the output, warns of frames off the constant rate, and renames the file.
    fn finish(mut self: Box<Self>) -> Result<Written> {
        self.output
            .flush()
            .map_err(|e| MediaError::io("write", &self.name, e))?;
        if self.off_grid > 0 {
            self.warnings.push(format!(
                "Y4M holds a constant rate only: {} of {} frames are not shown at their own time",
                self.off_grid, self.frames
            ));
        }
        let Self {
            name,
            part,
            frames,
            first,
            end,
            warnings,
            ..
        } = *self;
        let path = part.is_some().then_some(name);
        let bytes = part.map(Part::promote).transpose()?;
        Ok(Written {
            path,
            frames,
            duration: end - first,
            bytes,
            streams: None,
            warnings,
        })
    }
}

/// Returns the nearest pixel format that Y4M supports.
pub(super) fn y4m_format(format: PixelFormat) -> PixelFormat {
    let depth = match format.depth {
        0..=8 => 8,
        9..=10 => 10,
        11..=12 => 12,
        13..=14 => 14,
        _ => 16,
    };
    let layout = match format.layout {
        Layout::Rgb | Layout::Yuv440 | Layout::Yuv410 => Layout::Yuv444,
        Layout::Yuv411 if depth > 8 => Layout::Yuv444,
        layout => layout,
    };
    PixelFormat::new(layout, depth).with_alpha(format.alpha && layout == Layout::Yuv444 && depth == 8)
}

/// Builds the stream header line; an error for rates above 1000 frames per second. `interval` is the frame interval in seconds.
fn header(params: &VideoParams, interval: Time) -> Result<String> {
    let deep = params.format.depth > 8;
    let space = match (params.format.layout, params.tags.chroma_location) {
        (Layout::Yuv420, _) if deep => "420p",
        (Layout::Yuv420, ChromaLocation::Center) => "420jpeg",
        (Layout::Yuv420, ChromaLocation::TopLeft) => "420paldv",
        (Layout::Yuv420, _) => "420mpeg2",
        (Layout::Yuv422, _) if deep => "422p",
        (Layout::Yuv422, _) => "422",
        (Layout::Yuv411, _) => "411",
        (Layout::Gray, _) => "mono",
        _ if params.format.alpha => "444alpha",
        _ if deep => "444p",
        _ => "444",
    };
    let depth = if deep {
        params.format.depth.to_string()
    } else {
        String::new()
    };
    let range = match params.tags.range {
        Range::Full => " XCOLORRANGE=FULL",
        Range::Limited => " XCOLORRANGE=LIMITED",
        Range::Unspecified => "",
    };
    let (rate, aspect) = (interval.recip(), params.sample_aspect);
    if rate > Time::from(1000) {
        let accepted = "up to 1000 frames a second; Y4M needs a constant rate, so ask for one";
        return Err(MediaError::limit("the rate of the Y4M output", rate, accepted));
    }
    Ok(format!(
        "YUV4MPEG2 W{} H{} F{}:{} Ip A{}:{} C{space}{depth}{range}\n",
        params.width,
        params.height,
        rate.numer(),
        rate.denom(),
        aspect.numer(),
        aspect.denom()
    ))
}
