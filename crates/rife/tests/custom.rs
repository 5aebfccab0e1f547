//! Video job with a custom source and a custom sink.

use std::sync::{Arc, Mutex};

use rife::media::{
    CancelToken, ColorTags, Frame, Input, MediaError, Output, PixelFormat, Result, Sink, Source, StreamInfo,
    VideoParams, Written,
};
use rife::video::{Rate, VideoJob};
use rife::{ModelChoice, Ratio};
use rife_eval::sample::render;

/// Source of frames rendered in memory.
struct Rendered {
    info: StreamInfo,
    next: i64,
    frames: i64,
    /// The frame that is of another size.
    broken: Option<i64>,
}

impl Rendered {
    fn new(frames: i64) -> Self {
        let mut info = StreamInfo::new(64, 48, PixelFormat::RGB8, 24.into()).unwrap();
        info.frames = Some(frames as u64);
        Self {
            info,
            next: 0,
            frames,
            broken: None,
        }
    }
}

impl Source for Rendered {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let index = self.next;
        self.next += 1;
        if index == self.frames {
            return Ok(None);
        }
        let height = if self.broken == Some(index) { 32 } else { 48 };
        let image = render(index as f64 / 30.0, 64, height);
        let frame = Frame::from_rgb(&image, self.info.format, &self.info.tags);
        Ok(Some(frame.at(self.info.time_base * index, self.info.time_base)))
    }
}

/// Sink that stores the times and content of frames.
struct Kept {
    params: VideoParams,
    frames: Arc<Mutex<Vec<Frame>>>,
}

impl Sink for Kept {
    fn params(&self) -> &VideoParams {
        &self.params
    }

    fn write(&mut self, frame: &Frame) -> Result<()> {
        self.frames.lock().unwrap().push(frame.clone());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let frames = self.frames.lock().unwrap();
        Ok(Written {
            frames: frames.len() as u64,
            ..Written::default()
        })
    }
}

fn job() -> VideoJob {
    let mut job = VideoJob::new(
        Input::Custom("the renderer".into()),
        Output::Custom("memory".into()),
    );
    job.rate = Rate::Factor(2);
    job.interpolator.model = ModelChoice::Random("4.17.lite".parse().unwrap());
    job
}

#[test]
fn own_frames_go_through_the_job_into_an_own_sink() {
    let run = job()
        .open_from(Box::new(Rendered::new(6)), &CancelToken::new())
        .unwrap();
    let plan = run.plan().to_string();
    assert!(plan.contains("the renderer") && plan.contains("memory"), "{plan}");
    let frames = Arc::new(Mutex::new(Vec::new()));
    let params = run.params();
    assert_eq!(
        (params.width, params.format, params.frame_rate),
        (64, PixelFormat::RGB8, Some(48.into()))
    );
    let sink = Kept {
        params: VideoParams {
            format: PixelFormat::RGB16,
            ..params
        },
        frames: frames.clone(),
    };
    let mut told = 0;
    let summary = run
        .run_into(Box::new(sink), &mut |progress| told = progress.stream.frames_out)
        .unwrap();
    let frames = frames.lock().unwrap();
    assert_eq!(
        (
            summary.written.frames,
            summary.counts.stream.frames_out,
            frames.len()
        ),
        (12, 12, 12)
    );
    // Repeats of the last frame come after the last call.
    assert_eq!(told, 10);
    let times: Vec<_> = frames.iter().map(|frame| frame.pts).collect();
    assert_eq!(
        times,
        (0..12).map(|index| Ratio::new(index, 48)).collect::<Vec<_>>()
    );
    let first = Frame::from_rgb(&render(0.0, 64, 48), PixelFormat::RGB8, &ColorTags::SRGB);
    let shown = frames[0].to_rgb(&ColorTags::SRGB);
    assert_eq!(shown.to_rgb8(), first.to_rgb(&ColorTags::SRGB).to_rgb8());
    assert!(
        frames.iter().all(|frame| frame.format == PixelFormat::RGB16),
        "as the sink asks"
    );
}

#[test]
fn what_an_own_source_gives_is_checked() {
    let cancel = CancelToken::new();
    let sink = |params: VideoParams| {
        Box::new(Kept {
            params,
            frames: Arc::default(),
        })
    };
    let mut source = Rendered::new(6);
    source.broken = Some(3);
    let run = job().open_from(Box::new(source), &cancel).unwrap();
    let params = run.params();
    let error = run.run_into(sink(params), &mut |_| ()).unwrap_err();
    assert!(error.to_string().starts_with("frame 3: it is 64x32"), "{error}");
    let mut source = Rendered::new(6);
    source.info.width = 4;
    let error = job().open_from(Box::new(source), &cancel).unwrap_err();
    assert!(error.to_string().contains("4x48"), "{error}");
    // Names alone open nothing.
    let error = job().open(&cancel).unwrap_err();
    assert!(
        matches!(&error, rife::Error::Media(MediaError::Unsupported(text)) if text.contains("the renderer")),
        "{error}"
    );
    let run = job().open_from(Box::new(Rendered::new(6)), &cancel).unwrap();
    let error = run.run(&mut |_| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("memory is a sink of the program's own"),
        "{error}"
    );
}
