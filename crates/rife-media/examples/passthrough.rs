//! Example: converts every frame of a video to RGB and back and repeats it FACTOR times, without a network:
//! `cargo run -p rife-media --example passthrough -- IN OUT [FACTOR] [CODEC] [PRESET]`.

use std::error::Error;

use rife_media::timeline::Push;
use rife_media::{
    Codec, Companions, Container, Frame, Input, Orientation, Output, RgbImage, SinkSpec, SourceSpec,
    Timeline, TimelineMode, TimelineOptions, VideoParams, open_sink, open_source, plan_streams,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, ..] = args.as_slice() else {
        return Err("usage: IN OUT [FACTOR] [CODEC] [PRESET]".into());
    };
    let factor = args.get(2).map_or(Ok(1), |text| text.parse())?;

    let mut spec = SinkSpec::new(Output::parse(output));
    spec.overwrite = true;
    spec.codec = args.get(3).and_then(|text| Codec::parse(text));
    spec.preset = args.get(4).cloned();
    let container = spec.container()?;

    let mut source_spec = SourceSpec::new(Input::parse(input));
    source_spec.deinterlace = true;
    if !container.holds_rotation() {
        source_spec.orientation = Orientation::Apply;
    }
    let mut source = open_source(&source_spec)?;
    let info = source.info().clone();
    if let Some(media) = &info.media {
        let mut plan = plan_streams(media, container, Companions::Keep);
        if container != Container::VideoOnly {
            plan.check(media, container, &spec.cancel)?;
        }
        eprint!("{plan}");
        spec.companions = Some((media.clone(), plan));
    }

    let options = TimelineOptions::new(TimelineMode::Factor(factor));
    let mut sink = open_sink(&spec, &VideoParams::for_timeline(&info, &options))?;
    let (format, tags) = (sink.params().format, sink.params().tags);
    let mut timeline = Timeline::new(options)?;
    let mut left: Option<RgbImage> = None;
    let mut read = 0;
    while let Some(frame) = source.next_frame()? {
        read += 1;
        let Push::Frames(frames) = timeline.push(frame.pts, frame.duration, false)? else {
            continue;
        };
        let image = frame.to_rgb(&info.tags);
        for out in frames {
            let picture = left.as_ref().unwrap_or(&image);
            sink.write(&Frame::from_rgb(picture, format, &tags).at(out.pts, out.duration))?;
        }
        left = Some(image);
    }
    for out in timeline.finish()? {
        let Some(picture) = &left else { break };
        sink.write(&Frame::from_rgb(picture, format, &tags).at(out.pts, out.duration))?;
    }
    let written = sink.finish()?;
    let duration = info
        .duration
        .map_or("unknown".to_owned(), |d| format!("{:.3}", seconds(d)));
    println!(
        "{read} frames in {duration} s -> {} frames in {:.3} s, {}",
        written.frames,
        seconds(written.duration),
        format
    );
    source
        .warnings()
        .iter()
        .chain(&written.warnings)
        .for_each(|warning| println!("warning: {warning}"));
    Ok(())
}

fn seconds(time: rife_media::Time) -> f64 {
    rife_media::time::seconds(time)
}
