//! Streams: the same frames as a video job on the same source, and errors.

use std::path::Path;
use std::sync::Arc;

use rife::media::scene::CutRule;
use rife::media::{
    CancelToken, ColorTags, Frame, Input, Output, PixelFormat, SourceSpec, Time, TimelineMode,
    TimelineOptions, open_source,
};
use rife::stream::{Duplicates, Stream, StreamFrame, StreamOptions};
use rife::video::{Keep, Rate, VideoJob};
use rife::{Interpolator, InterpolatorSpec, ModelChoice, Ratio, RgbImage};
use rife_eval::sample::render;

fn spec() -> InterpolatorSpec {
    let mut spec = InterpolatorSpec::default();
    spec.model = ModelChoice::Random("4.17.lite".parse().unwrap());
    spec
}

fn stream(options: StreamOptions) -> Stream {
    Stream::new(Arc::new(Interpolator::new(&spec()).unwrap()), options).unwrap()
}

/// Writes a clip of animation on twos with a cut in the middle, at 24 frames per second.
fn clip(path: &Path) {
    let mut bytes = b"YUV4MPEG2 W96 H64 F24:1 Ip A1:1 C444\n".to_vec();
    for index in 0..32 {
        bytes.extend(b"FRAME\n");
        let scene = if index < 16 { 0.0 } else { 40.0 };
        let image = render(scene + f64::from(index / 2) / 40.0, 96, 64);
        let dark = if index < 16 { 1.0 } else { 0.3 };
        bytes.extend(image.data.iter().map(|value| (16.0 + 219.0 * dark * value) as u8));
    }
    std::fs::write(path, bytes).unwrap();
}

fn frames(path: &Path) -> (Vec<Frame>, ColorTags) {
    let mut source = open_source(&SourceSpec::new(Input::File(path.to_owned()))).unwrap();
    let tags = source.info().tags;
    let frames = std::iter::from_fn(|| source.next_frame().unwrap()).collect();
    (frames, tags)
}

/// Pushes all frames and returns the output, taken after each frame.
fn through(mut stream: Stream, frames: Vec<Frame>) -> (Vec<StreamFrame>, Stream) {
    let mut out = Vec::new();
    for frame in frames {
        stream.push(frame).unwrap();
        out.extend(std::iter::from_fn(|| stream.next_frame().unwrap()));
    }
    stream.finish();
    out.extend(std::iter::from_fn(|| stream.next_frame().unwrap()));
    (out, stream)
}

#[test]
fn a_stream_gives_what_the_job_writes() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in.y4m", "out.y4m"].map(|name| folder.path().join(name));
    clip(&input);
    for (rate, mode) in [
        (Rate::Factor(3), TimelineMode::Factor(3)),
        (Rate::Fps(60.into()), TimelineMode::TargetRate(60.into())),
    ] {
        let mut job = VideoJob::new(Input::File(input.clone()), Output::File(output.clone()));
        job.rate = rate;
        job.interpolator = spec();
        job.sink.overwrite = true;
        let mut keep = Keep::default();
        keep.on = false;
        job.keep = keep;
        let summary = job.open(&CancelToken::new()).unwrap().run(&mut |_| ()).unwrap();
        let (pushed, tags) = frames(&input);
        let (written, _) = frames(&output);
        let mut options = StreamOptions::default();
        options.timeline = TimelineOptions::new(mode);
        options.tags = tags;
        let (out, stream) = through(stream(options), pushed);
        let counts = stream.counts();
        assert_eq!(counts.cuts, 1, "the clip has a cut");
        assert!(counts.held > 8, "and repeated frames: {counts:?}");
        assert_eq!(
            (
                counts.frames_in,
                counts.frames_out,
                counts.made,
                counts.held,
                counts.retimed
            ),
            (
                summary.counts.stream.frames_in,
                summary.counts.stream.frames_out,
                summary.counts.stream.made,
                summary.counts.stream.held,
                summary.counts.stream.retimed
            )
        );
        assert_eq!(stream.cuts()[0].frame, 16);
        assert_eq!(out.len(), written.len());
        for (number, (frame, written)) in out.iter().zip(&written).enumerate() {
            let encoded = match &frame.made {
                Some(image) => Frame::from_rgb(image, written.format, &tags),
                None => Frame::clone(&frame.source),
            };
            let encoded = encoded.at(written.pts, written.duration);
            assert!(encoded == *written, "frame {number} of {mode:?} differs");
            assert_eq!(frame.pts, written.pts, "frame {number}");
        }
    }
}

#[test]
fn frames_come_after_the_documented_delay_and_not_before() {
    for (cut_threshold, duplicates, delay) in [
        (None, Duplicates::Smooth, 34),
        (Some(0.0), Duplicates::Smooth, 24),
        (None, Duplicates::Keep, 14),
        (Some(0.0), Duplicates::Keep, 4),
    ] {
        let mut options = StreamOptions::default();
        options.duplicates = duplicates;
        if let Some(threshold) = cut_threshold {
            options.cuts = CutRule::Detect(threshold);
        }
        assert_eq!(options.delay(), delay);
        let mut stream = stream(options);
        for index in 0..50 {
            let image = render(index as f64 / 30.0, 64, 48);
            let time = Ratio::new(index, 30);
            stream.push_image(&image, time).unwrap();
            let mut count = 0;
            while stream.next_frame().unwrap().is_some() {
                count += 1;
            }
            // Frame `index - delay` is classified now, and with it the frames from the one before are known.
            let expected = if index as usize > delay { 2 } else { 0 };
            assert_eq!(count, expected, "after {index}, delay {delay}");
        }
    }
}

#[test]
fn factors_that_are_no_whole_number_have_exact_durations() {
    for factor in [Ratio::new(5, 2), Ratio::new(4, 3)] {
        let mut options = StreamOptions::default();
        options.timeline = TimelineOptions::new(TimelineMode::times(factor));
        options.cuts = CutRule::Detect(0.0);
        options.duplicates = Duplicates::Keep;
        let delay = options.delay() as i64;
        assert_eq!(delay, 5);
        let mut stream = stream(options);
        let mut out = Vec::new();
        for index in 0..12 {
            let image = render(index as f64 / 30.0, 64, 48);
            stream.push_image(&image, Ratio::new(index, 30)).unwrap();
            while let Some(frame) = stream.next_frame().unwrap() {
                out.push(frame);
            }
            let known = out
                .iter()
                .filter(|f| f.pts < Ratio::new(index - delay, 30))
                .count() as i64;
            let expected = (factor * (index - delay)).ceil().to_integer().max(0);
            assert_eq!(known, expected, "after {index}");
        }
        stream.finish();
        while let Some(frame) = stream.next_frame().unwrap() {
            out.push(frame);
        }
        let step = (factor * 30).recip();
        assert_eq!(out.len(), (factor * 12).to_integer() as usize);
        for (number, frame) in out.iter().enumerate() {
            assert_eq!(
                (frame.pts, frame.duration),
                (step * number as i64, step),
                "{factor}"
            );
        }
    }
}

#[test]
fn frames_come_as_soon_as_they_are_known_and_times_are_exact() {
    let mut options = StreamOptions::default();
    let slow = options.delay();
    options.duplicates = Duplicates::Keep;
    let delay = options.delay() as i64;
    assert!(delay < slow as i64, "{delay} {slow}");
    let mut stream = stream(options);
    let time = |index: i64| Ratio::new(1001 * index, 30_000);
    let mut out = Vec::new();
    for index in 0..40 {
        let image = render(index as f64 / 30.0, 64, 48);
        stream.push_image(&image, time(index)).unwrap();
        while let Some(frame) = stream.next_frame().unwrap() {
            out.push(frame);
        }
        assert!(
            out.len() as i64 >= 2 * (index - delay),
            "{} frames after {index}",
            out.len()
        );
    }
    stream.finish();
    while let Some(frame) = stream.next_frame().unwrap() {
        out.push(frame);
    }
    let expected: Vec<Time> = (0..80).map(|index| time(index) / 2).collect();
    assert_eq!(out.iter().map(|frame| frame.pts).collect::<Vec<_>>(), expected);
    assert!(out.iter().all(|frame| frame.duration == time(1) / 2));
    assert_eq!(
        *out[2].image().as_ref(),
        render(1.0 / 30.0, 64, 48),
        "a source frame is itself"
    );
    assert!(out[2].made.is_none() && out[3].made.is_some());
}

#[test]
fn frames_whose_time_does_not_advance_are_left_out() {
    let mut stream = stream(StreamOptions::default());
    for (index, time) in [0, 1, 1, 0, 2, 3].into_iter().enumerate() {
        let image = render(index as f64 / 30.0, 64, 48);
        stream.push_image(&image, Ratio::new(time, 30)).unwrap();
    }
    stream.finish();
    let out: Vec<_> = std::iter::from_fn(|| stream.next_frame().unwrap()).collect();
    assert_eq!(
        (out.len(), stream.counts().dropped, stream.counts().frames_in),
        (8, 2, 6)
    );
}

#[test]
fn what_is_no_frame_of_the_stream_is_refused() {
    let image =
        |width: u32, height: u32| RgbImage::new(width, height, vec![0.5; 3 * (width * height) as usize]);
    let frame = || Frame::zeroed(64, 48, PixelFormat::RGB8);
    let mut wrong = Vec::new();
    let mut refused = |change: &dyn Fn(&mut Stream) -> rife::Result<()>| {
        let mut stream = stream(StreamOptions::default());
        stream.push(frame()).unwrap();
        wrong.push(change(&mut stream).unwrap_err().to_string());
    };
    refused(&|stream| stream.push(Frame::zeroed(64, 64, PixelFormat::RGB8)));
    refused(&|stream| stream.push_image(&image(64, 48), 1.into()));
    refused(&|stream| stream.push(Frame::zeroed(8, 48, PixelFormat::RGB8)));
    refused(&|stream| stream.push(frame().at(Ratio::new(1, i64::MAX), 0.into())));
    refused(&|stream| stream.push(frame().at(i64::MAX.into(), 0.into())));
    refused(&|stream| stream.push(frame().at(1.into(), (-1).into())));
    refused(&|stream| {
        let mut frame = frame();
        frame.planes.pop();
        stream.push(frame)
    });
    refused(&|stream| {
        let mut image = image(64, 48);
        image.data.pop();
        stream.push_image(&image, 1.into())
    });
    refused(&|stream| {
        stream.finish();
        stream.push(frame())
    });
    for (error, told) in wrong.iter().zip([
        "64x64",
        "the first was 64x48",
        "8x48",
        "denominators up to",
        "the frame's time",
        "the frame's time",
        "2 planes",
        "9215 values",
        "it takes no more frames",
    ]) {
        assert!(error.contains(told), "{error} does not tell of {told}");
    }
}

#[test]
fn a_stream_without_frames_ends_and_a_cancelled_one_stops() {
    let mut empty = stream(StreamOptions::default());
    empty.finish();
    assert!(empty.next_frame().unwrap().is_none());
    let mut spec = spec();
    spec.cancel = CancelToken::new();
    let interpolator = Arc::new(Interpolator::new(&spec).unwrap());
    let mut stream = Stream::new(interpolator, StreamOptions::default()).unwrap();
    let image = render(0.0, 64, 48);
    stream.push_image(&image, 0.into()).unwrap();
    spec.cancel.cancel();
    for result in [
        stream.push_image(&image, 1.into()),
        stream.next_frame().map(|_| ()),
    ] {
        assert!(matches!(result, Err(rife::Error::Cancelled)), "{result:?}");
    }
    // It can be made in one thread and used in another.
    std::thread::spawn(move || drop(stream)).join().unwrap();
}
