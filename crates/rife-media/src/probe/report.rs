//! Parser of ffprobe's JSON report (`-show_format -show_streams -show_chapters`) into [`MediaInfo`].

use std::collections::BTreeMap;
use std::path::Path;

use num_rational::Ratio;
use serde::Deserialize;

use super::{
    AudioFormat, Chapter, DisplayMatrix, FieldOrder, HdrMetadata, MasteringDisplay, MediaInfo, MediaStream,
    StreamKind, VideoStream,
};
use crate::time::{parse_decimal, parse_fraction};
use crate::{
    ChromaLocation, ColorTags, Matrix, MediaError, PixelFormat, Primaries, Range, Result, Time, Transfer,
};

/// ffprobe's JSON report.
#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    chapters: Vec<ChapterReport>,
    format: Option<Format>,
}

/// Metadata tags by name.
type Tags = BTreeMap<String, String>;

/// The container in ffprobe's report; times are decimal seconds.
#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
    #[serde(default)]
    tags: Tags,
}

/// A chapter in ffprobe's report; times are decimal seconds.
#[derive(Deserialize)]
struct ChapterReport {
    start_time: Option<String>,
    end_time: Option<String>,
    #[serde(default)]
    tags: Tags,
}

/// A stream in ffprobe's report, under ffprobe's field names.
#[derive(Deserialize)]
struct Stream {
    index: u32,
    codec_name: Option<String>,
    codec_type: Option<String>,
    profile: Option<String>,
    width: Option<i64>,
    height: Option<i64>,
    pix_fmt: Option<String>,
    color_range: Option<String>,
    color_space: Option<String>,
    color_transfer: Option<String>,
    color_primaries: Option<String>,
    chroma_location: Option<String>,
    field_order: Option<String>,
    sample_aspect_ratio: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    time_base: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    nb_frames: Option<String>,
    channels: Option<u32>,
    channel_layout: Option<String>,
    bits_per_sample: Option<u32>,
    bits_per_raw_sample: Option<String>,
    sample_rate: Option<String>,
    #[serde(default)]
    disposition: BTreeMap<String, i64>,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

/// Side data of a stream or frame in ffprobe's report; each kind of side data has some of the fields.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct SideData {
    pub(super) side_data_type: String,
    displaymatrix: Option<String>,
    rotation: Option<f64>,
    red_x: Option<String>,
    red_y: Option<String>,
    green_x: Option<String>,
    green_y: Option<String>,
    blue_x: Option<String>,
    blue_y: Option<String>,
    white_point_x: Option<String>,
    white_point_y: Option<String>,
    min_luminance: Option<String>,
    max_luminance: Option<String>,
    max_content: Option<u32>,
    max_average: Option<u32>,
    dv_bl_signal_compatibility_id: Option<u32>,
}

/// Parses ffprobe's report about the file `path`; fields that need packets to be read are left empty.
pub(super) fn parse(path: &Path, json: &[u8]) -> Result<MediaInfo> {
    let unreadable = |reason: String| MediaError::unreadable(path, reason);
    let report: Report =
        serde_json::from_slice(json).map_err(|e| unreadable(format!("ffprobe's report: {e}")))?;
    let format = report
        .format
        .ok_or_else(|| unreadable("ffprobe reports no container".to_owned()))?;
    let start = decimal(format.start_time.as_deref()).unwrap_or_default();
    let chapter = |c: ChapterReport| {
        let time = |text: Option<String>| Some(decimal(text.as_deref())? - start);
        Some(Chapter {
            start: time(c.start_time)?,
            end: time(c.end_time)?,
            title: c.tags.get("title").cloned(),
        })
    };
    Ok(MediaInfo {
        path: path.to_owned(),
        container: format.format_name,
        duration: decimal(format.duration.as_deref()).filter(|d| *d > Time::from(0)),
        start,
        streams: report
            .streams
            .into_iter()
            .map(|stream| convert(stream, start))
            .collect(),
        chapters: report.chapters.into_iter().filter_map(chapter).collect(),
        metadata: format.tags.into_iter().collect(),
        notes: Vec::new(),
        cut_off: None,
        clock: super::Clock::default(),
    })
}

/// Parses ffprobe's report about a written output file; frame times are still empty.
pub(super) fn contents(path: &Path, json: &[u8]) -> Result<super::Contents> {
    let report: Report =
        serde_json::from_slice(json).map_err(|e| MediaError::unreadable(path, e.to_string()))?;
    let is_video = |stream: &&Stream| stream.codec_type.as_deref() == Some("video");
    let video = report.streams.iter().find(is_video);
    let unit = video.and_then(|stream| parse_fraction(stream.time_base.as_deref()?));
    Ok(super::Contents {
        times: Vec::new(),
        unit: unit.ok_or_else(|| MediaError::unreadable(path, "there is no video in it"))?,
        untimed: 0,
        others: report.streams.len().saturating_sub(1),
    })
}

/// Parses a time as ffprobe prints it, in decimal seconds; `None` for `N/A`.
fn decimal(text: Option<&str>) -> Option<Time> {
    text.and_then(parse_decimal)
}

/// Converts a reported stream; `start` is the container's start time in seconds, which is subtracted from its times.
fn convert(stream: Stream, start: Time) -> MediaStream {
    let flag = |name: &str| stream.disposition.get(name).is_some_and(|v| *v != 0);
    let kind = match stream.codec_type.as_deref() {
        Some("video") if flag("attached_pic") || flag("timed_thumbnails") => StreamKind::CoverArt,
        Some("video") => StreamKind::Video,
        Some("audio") => StreamKind::Audio,
        Some("subtitle") => StreamKind::Subtitle,
        Some("attachment") => StreamKind::Attachment,
        _ => StreamKind::Data,
    };
    let tag = |name: &str| stream.tags.get(name).filter(|value| !value.is_empty()).cloned();
    let rate = stream.sample_rate.as_deref().and_then(|rate| rate.parse().ok());
    MediaStream {
        index: stream.index,
        kind,
        codec: stream
            .codec_name
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unknown".to_owned()),
        language: tag("language").filter(|language| language != "und"),
        title: tag("title"),
        default: flag("default"),
        start: decimal(stream.start_time.as_deref()).map(|time| time - start),
        duration: decimal(stream.duration.as_deref()).filter(|d| *d > Time::from(0)),
        frames: stream
            .nb_frames
            .as_deref()
            .and_then(|count| count.parse().ok())
            .filter(|count| *count > 0),
        audio: (kind == StreamKind::Audio).then(|| (stream.channels.unwrap_or(0), rate.unwrap_or(0))),
        audio_format: (kind == StreamKind::Audio).then(|| audio_format(&stream)),
        encrypted: false,
        video: matches!(kind, StreamKind::Video | StreamKind::CoverArt).then(|| video(&stream)),
    }
}

/// Extracts channel layout, sample depth and profile of an audio stream.
fn audio_format(stream: &Stream) -> AudioFormat {
    let raw = stream
        .bits_per_raw_sample
        .as_deref()
        .and_then(|bits| bits.parse().ok());
    AudioFormat {
        layout: stream.channel_layout.clone().filter(|name| name != "unknown"),
        bits: raw.or(stream.bits_per_sample).unwrap_or(0),
        profile: stream.profile.clone().filter(|name| name != "unknown"),
    }
}

/// Converts the video properties of a stream.
fn video(stream: &Stream) -> VideoStream {
    let name = stream.pix_fmt.clone().unwrap_or_default();
    let known = PixelFormat::from_ffmpeg(&name);
    let fraction = |text: &Option<String>| text.as_deref().and_then(parse_fraction);
    // A rate above 1000 is the time base, not a frame rate.
    let sane = |rate: &Ratio<i64>| *rate <= Ratio::from(1000);
    let rate = fraction(&stream.r_frame_rate)
        .filter(sane)
        .or_else(|| fraction(&stream.avg_frame_rate).filter(sane));
    let (matrix, rotation) = orientation(&stream.side_data_list);
    let mut hdr = HdrMetadata::default();
    stream
        .side_data_list
        .iter()
        .for_each(|side| side.add_to(&mut hdr));
    VideoStream {
        profile: stream.profile.clone(),
        width: stream.width.and_then(|w| u32::try_from(w).ok()).unwrap_or(0),
        height: stream.height.and_then(|h| u32::try_from(h).ok()).unwrap_or(0),
        color: color(stream, known.is_some_and(|(_, full)| full)),
        format: known.map(|(format, _)| format),
        pixel_format: name,
        sample_aspect: fraction(&stream.sample_aspect_ratio),
        matrix,
        rotation,
        frame_rate: rate,
        variable_rate: false,
        time_base: fraction(&stream.time_base).unwrap_or_else(|| Ratio::new(1, 1000)),
        field_order: match stream.field_order.as_deref() {
            Some("tt" | "tb") => FieldOrder::TopFirst,
            Some("bb" | "bt") => FieldOrder::BottomFirst,
            _ => FieldOrder::Progressive,
        },
        hdr,
        end: None,
        captions: false,
        decoding_times: Vec::new(),
        alpha_layer: stream
            .tags
            .get("alpha_mode")
            .or_else(|| stream.tags.get("ALPHA_MODE"))
            .is_some_and(|v| v == "1"),
    }
}

/// Converts the colour tags of a stream; `full` is true where its pixel format implies full range.
fn color(stream: &Stream, full: bool) -> ColorTags {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let range = Range::parse(&text(&stream.color_range));
    ColorTags {
        matrix: Matrix::parse(&text(&stream.color_space)),
        range: if full { Range::Full } else { range },
        primaries: Primaries::parse(&text(&stream.color_primaries)),
        transfer: Transfer::parse(&text(&stream.color_transfer)),
        chroma_location: ChromaLocation::parse(&text(&stream.chroma_location)),
    }
}

/// Returns the display matrix and the clockwise rotation in degrees (0 to 359) of a stream's side data.
fn orientation(list: &[SideData]) -> (DisplayMatrix, i32) {
    let Some(side) = list.iter().find(|side| side.displaymatrix.is_some()) else {
        return (DisplayMatrix::IDENTITY, 0);
    };
    let text = side.displaymatrix.as_deref().unwrap_or_default();
    // The text has three lines: an offset, a colon and three numbers.
    let rows = text.lines().filter_map(|line| line.split_once(':'));
    let numbers: Vec<i32> = rows
        .flat_map(|(_, row)| row.split_whitespace().filter_map(|n| n.parse().ok()))
        .collect();
    let matrix = <[i32; 9]>::try_from(numbers).map_or(DisplayMatrix::IDENTITY, DisplayMatrix);
    let counter_clockwise = side.rotation.filter(|r| r.is_finite()).unwrap_or(0.0).round() as i32;
    (matrix, (-counter_clockwise).rem_euclid(360))
}

impl SideData {
    /// Adds the HDR metadata of this entry to `hdr`.
    pub(super) fn add_to(&self, hdr: &mut HdrMetadata) {
        let kind = self.side_data_type.as_str();
        hdr.dolby_vision |= kind.contains("DOVI") || kind.contains("Dolby Vision");
        hdr.dolby_vision_only |= self.dv_bl_signal_compatibility_id == Some(0);
        hdr.hdr10_plus |= kind.contains("HDR10+") || kind.contains("2094-40");
        if let (Some(max), Some(average)) = (self.max_content, self.max_average) {
            hdr.content_light = Some((max, average));
        }
        hdr.mastering = self.mastering().or(hdr.mastering);
    }

    /// Converts HDR10 mastering display metadata from fractions to the units of SMPTE ST 2086; `None` for other side data.
    fn mastering(&self) -> Option<MasteringDisplay> {
        let units = |text: &Option<String>, scale: i64| -> Option<u32> {
            let (numer, denom) = text.as_deref()?.split_once('/')?;
            let (numer, denom) = (numer.parse::<i64>().ok()?, denom.parse::<i64>().ok()?);
            let value = numer
                .checked_mul(scale)?
                .checked_add(denom / 2)?
                .checked_div(denom)?;
            u32::try_from(value).ok()
        };
        let point = |x: &Option<String>, y: &Option<String>| Some([units(x, 50_000)?, units(y, 50_000)?]);
        Some(MasteringDisplay {
            primaries: [
                point(&self.red_x, &self.red_y)?,
                point(&self.green_x, &self.green_y)?,
                point(&self.blue_x, &self.blue_y)?,
            ],
            white_point: point(&self.white_point_x, &self.white_point_y)?,
            luminance: [
                units(&self.min_luminance, 10_000)?,
                units(&self.max_luminance, 10_000)?,
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    const SOUND: &str = r#"{"streams":[{"index":0,"codec_name":"h264","codec_type":"video","width":640,"height":360,
        "coded_width":640,"coded_height":368,"sample_aspect_ratio":"4:3","pix_fmt":"yuv420p","color_range":"tv",
        "color_space":"bt709","r_frame_rate":"30000/1001","avg_frame_rate":"30000/1001","time_base":"1/30000",
        "start_pts":-1001,"start_time":"-0.033367","duration":"8.341667","nb_frames":"250","nb_read_packets":"250",
        "disposition":{"default":1,"attached_pic":0},"tags":{"language":"und"},"side_data_list":[
        {"side_data_type":"Display Matrix","displaymatrix":"\n00000000: 0 65536 0\n00000001: -65536 0 0\n","rotation":-90},
        {"side_data_type":"Mastering display metadata","red_x":"34000/50000","red_y":"16000/50000",
        "green_x":"13250/50000","green_y":"34500/50000","blue_x":"7500/50000","blue_y":"3000/50000",
        "white_point_x":"15635/50000","white_point_y":"16450/50000","min_luminance":"50/10000",
        "max_luminance":"10000000/10000"},{"side_data_type":"Content light level metadata","max_content":1000,
        "max_average":400}]},{"index":1,"codec_name":"aac","codec_type":"audio","sample_rate":"48000","channels":2,
        "time_base":"1/48000","start_time":"0.000000","duration":"8.341000"}],
        "chapters":[{"start_time":"1.000000","end_time":"2.500000","tags":{"title":"one"}}],
        "format":{"format_name":"mov,mp4","start_time":"-0.033367","duration":"8.375034","tags":{"title":"x"}}}"#;

    #[test]
    fn a_sound_report_is_read() {
        let info = parse(Path::new("x"), SOUND.as_bytes()).unwrap();
        assert_eq!((info.streams.len(), info.chapters.len()), (2, 1));
        assert!(info.streams[0].video.as_ref().unwrap().hdr.mastering.is_some());
    }

    #[test]
    fn dynamic_metadata_is_noticed() {
        let hdr_of = |json: &str| {
            let mut hdr = HdrMetadata::default();
            serde_json::from_str::<SideData>(json).unwrap().add_to(&mut hdr);
            hdr
        };
        // Profile 8.4 has a base layer in HLG, profile 5 has one of its own kind.
        let dolby = |profile: u32, base: u32| {
            hdr_of(&format!(
                r#"{{"side_data_type":"DOVI configuration record","dv_profile":{profile},"bl_present_flag":1,
                "dv_bl_signal_compatibility_id":{base}}}"#
            ))
        };
        assert!(dolby(8, 4).dolby_vision && !dolby(8, 4).dolby_vision_only);
        assert!(dolby(5, 0).dolby_vision && dolby(5, 0).dolby_vision_only);
        let plus = hdr_of(r#"{"side_data_type":"HDR Dynamic Metadata SMPTE2094-40 (HDR10+)"}"#);
        assert!(plus.hdr10_plus && !plus.dolby_vision);
        assert_eq!(
            plus.dropped(),
            ["HDR10+ dynamic metadata cannot be carried over to new frames: dropped"]
        );
        assert!(HdrMetadata::default().dropped().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damaged_reports_are_read_or_refused(bytes in damaged(SOUND.as_bytes())) {
            let _ = parse(Path::new("x"), &bytes);
            let _ = contents(Path::new("x"), &bytes);
        }

        /// Any numbers within texts, which random damage hits too seldom.
        #[test]
        fn reports_with_any_numbers_are_read(numbers in prop::collection::vec("[0-9]{1,19}", 60)) {
            let mut numbers = numbers.into_iter().cycle();
            let (mut text, mut quoted, mut in_number) = (String::new(), false, false);
            for c in SOUND.chars() {
                quoted ^= c == '"';
                let digit = quoted && c.is_ascii_digit();
                match (digit, in_number) {
                    (true, false) => text += &numbers.next().unwrap(),
                    (false, _) => text.push(c),
                    _ => {}
                }
                in_number = digit;
            }
            prop_assert!(parse(Path::new("x"), text.as_bytes()).is_ok());
        }
    }
}
