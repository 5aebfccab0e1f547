//! Random access to the frames of an indexed video file: the times and key frames of its packets, and which of its frames are
//! decoded.
//!
//! Decoding begins two key frames before a wanted frame, and frames count from the second one on: pictures that lead a key
//! frame, and a picture that is refreshed over several frames, are complete by then. Every decoded frame must have the time
//! that the packets give it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use num_rational::Ratio;

use crate::ffmpeg::args::Args;
use crate::ffmpeg::child::{self, Request};
use crate::probe::{MediaInfo, MediaStream, READ_BACK_TIMEOUT};
use crate::time::{from_ticks, to_ticks};
use crate::{CancelToken, Ffmpeg, Limits, Result, Time};

use super::SourceSpec;

/// Codecs whose decoders keep nothing across a key frame but pictures that lead it.
const CODECS: [&str; 18] = [
    "h264",
    "hevc",
    "av1",
    "vp8",
    "vp9",
    "mpeg1video",
    "mpeg2video",
    "ffv1",
    "ffvhuff",
    "huffyuv",
    "utvideo",
    "prores",
    "dnxhd",
    "cfhd",
    "mjpeg",
    "png",
    "jpeg2000",
    "rawvideo",
];
/// How far behind a key frame ffmpeg is sent at most, in seconds: some demuxers go to the key frame before a time that lies
/// 3/23 s earlier, to allow for the order of decoding.
const BEHIND_KEY: Time = Ratio::new_raw(1, 5);

/// Times and key frames of a video stream, by its packets.
#[derive(Debug)]
pub(super) struct Index {
    /// Time of each frame in seconds since the container's start, in order, as a decoder gives it.
    times: Vec<Time>,
    /// Numbers of the key frames.
    keys: Vec<usize>,
}

impl Index {
    /// Reads the packets of `stream`; the inner error says, for people, why their times are not those of its frames.
    pub(super) fn scan(
        ffmpeg: &Ffmpeg,
        media: &MediaInfo,
        stream: &MediaStream,
        limits: &Limits,
        cancel: &CancelToken,
    ) -> Result<std::result::Result<Self, String>> {
        let mut args = Args::default();
        args.all(["-hide_banner", "-loglevel", "error", "-of", "csv=p=0"]);
        args.all(["-select_streams", &stream.index.to_string()]);
        args.all(["-show_entries", "packet=pts,flags"])
            .input(&media.path, limits)?;
        let mut lines = BufReader::new(child::start(Request {
            stdout: true,
            stall: READ_BACK_TIMEOUT,
            cancel: cancel.clone(),
            ..Request::new("ffprobe", &ffmpeg.ffprobe, args.0)
        })?);
        let (mut packets, mut line, mut odd) = (Vec::new(), String::new(), None);
        while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
            // A packet's side data has a line of its own.
            if !line.trim().is_empty() {
                match packet(line.trim()) {
                    Ok(packet) => packets.push(packet),
                    Err(reason) => odd = odd.or(Some(reason)),
                }
            }
            line.clear();
        }
        lines.get_mut().finish("while reading the clip's index")?;
        if let Some(reason) = odd {
            return Ok(Err(reason.to_owned()));
        }
        let time_base = stream
            .video
            .as_ref()
            .map_or(Ratio::from(1), |video| video.time_base);
        Ok(Self::new(packets, to_ticks(media.start, time_base), time_base))
    }

    /// Makes the index of packets, each with its time in ticks and whether it is a key frame, in any order; `start` is the
    /// container's start.
    fn new(mut packets: Vec<(i64, bool)>, start: i64, time_base: Time) -> std::result::Result<Self, String> {
        packets.sort_unstable();
        if packets.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("two of its packets have the same time".to_owned());
        }
        if !packets.first().is_some_and(|(_, key)| *key) {
            return Err("it does not begin with a key frame".to_owned());
        }
        let time = |(ticks, _): &(i64, bool)| from_ticks(ticks.checked_sub(start)?, time_base);
        let times: Option<Vec<Time>> = packets.iter().map(time).collect();
        let keys = packets.iter().enumerate().filter(|(_, (_, key))| *key);
        Ok(Self {
            times: times.ok_or("its times are out of range")?,
            keys: keys.map(|(number, _)| number).collect(),
        })
    }

    /// Returns the times of all frames.
    pub(super) fn times(&self) -> &[Time] {
        &self.times
    }

    /// Returns the key frames from which decoding to frame `number` may begin, the nearest first: the second one before it,
    /// then the one before that. Empty where that is the file's start.
    fn starts(&self, number: usize) -> impl Iterator<Item = usize> + use<> {
        let behind = self.keys.partition_point(|key| *key <= number);
        let at = |back: usize| behind.checked_sub(back).map(|place| self.keys[place]);
        [at(2), at(3)]
            .into_iter()
            .flatten()
            .filter(|key| *key > 0)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Returns the time in seconds to send ffmpeg to, so that it begins at key frame `key` or before.
    fn place(&self, key: usize) -> Time {
        let next = self.keys.partition_point(|other| *other <= key);
        let next = self
            .keys
            .get(next)
            .map_or(BEHIND_KEY, |next| (self.times[*next] - self.times[key]) / 2);
        self.times[key] + next.min(BEHIND_KEY)
    }
}

/// Parses a line `time,flags` of ffprobe's CSV into the time in ticks and whether it is a key frame; the error is a reason for
/// people.
fn packet(line: &str) -> std::result::Result<(i64, bool), &'static str> {
    let mut fields = line.split(',');
    let ticks = fields.next().and_then(|ticks| ticks.parse().ok());
    let flags = fields.next().unwrap_or_default();
    match ticks {
        _ if flags.contains('D') => Err("some of its packets are not shown"),
        _ if flags.contains('C') => Err("some of its packets are damaged"),
        Some(ticks) => Ok((ticks, flags.contains('K'))),
        None => Err("some of its packets have no time"),
    }
}

/// Returns why the frames of a file cannot be read from any key frame on, for people, as far as its streams tell. `filtered`
/// tells whether a filter joins neighbouring frames.
pub(super) fn hindrance(
    spec: &SourceSpec,
    media: &MediaInfo,
    stream: &MediaStream,
    filtered: bool,
) -> Option<String> {
    let indexed = ["mov", "matroska"]
        .iter()
        .any(|name| media.container.contains(name));
    let video = stream.video.as_ref();
    let reason = match () {
        () if !spec.excerpt.is_whole() => "only a part of it is read",
        () if spec.hwaccel.is_some() => "it is decoded by hardware",
        () if filtered => "a filter joins its neighbouring frames",
        () if !indexed => "only MP4, QuickTime, Matroska and WebM files have an index",
        () if !media.clock.is_continuous() || video.is_none_or(|video| !video.decoding_times.is_empty()) => {
            "its packets have no continuous times"
        }
        () if media.cut_off.is_some() => "it is cut off",
        () if video.is_some_and(|video| video.alpha_layer) => "its alpha is a stream of its own",
        () if !CODECS.contains(&stream.codec.as_str()) => {
            return Some(format!(
                "decoders of {} may need the frames before a key frame",
                stream.codec
            ));
        }
        () => return None,
    };
    Some(reason.to_owned())
}

/// What becomes of the next frame of a source that is read in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is decoded, by the running decoder.
    Decode,
    /// Decoding begins at it.
    Begin,
    /// It is not wanted, but the running decoder passes it on the way to the next part.
    Pass,
    /// It is not decoded, and a running decoder ends.
    Leave,
    /// There are no more frames.
    End,
}

/// The state of a source that is read in parts.
#[derive(Debug)]
pub(super) struct Parts {
    index: Index,
    /// The numbers of the frames to decode, in ascending order.
    wanted: VecDeque<Range<u64>>,
    /// Number of the next frame.
    next: usize,
    /// Whether a decoder runs.
    running: bool,
}

impl Parts {
    /// Begins at the first frame.
    pub(super) fn new(index: Index, wanted: Vec<Range<u64>>) -> Self {
        Self {
            index,
            wanted: wanted.into(),
            next: 0,
            running: false,
        }
    }

    /// Goes to the next frame and returns its number and time, and what becomes of it.
    pub(super) fn step(&mut self) -> (usize, Time, Step) {
        let number = self.next;
        let Some(&time) = self.index.times.get(number) else {
            return (number, Time::from(0), Step::End);
        };
        self.next += 1;
        while self.wanted.front().is_some_and(|part| part.end <= number as u64) {
            self.wanted.pop_front();
        }
        let start = self.wanted.front().map(|part| part.start);
        let step = match start {
            Some(start) if start <= number as u64 && self.running => Step::Decode,
            Some(start) if start <= number as u64 => Step::Begin,
            // A new decoder would begin here or before.
            Some(start) if self.running && self.start_of(start) <= number => Step::Pass,
            Some(_) | None => Step::Leave,
        };
        self.running = step != Step::Leave;
        (number, time, step)
    }

    /// Returns the number of the key frame from which a part is decoded, 0 for the file's start.
    fn start_of(&self, part: u64) -> usize {
        self.index.starts(part as usize).next().unwrap_or(0)
    }

    /// Returns the places from which to decode to frame `number`, in the order to try them: of each the time in seconds to send
    /// ffmpeg to, and the latest time of the first frame that then comes. The last one, `None`, is the file's start.
    pub(super) fn places(&self, number: usize) -> Vec<Option<(Time, Time)>> {
        let sought = |key: usize| Some((self.index.place(key), self.index.times[key]));
        self.index.starts(number).map(sought).chain([None]).collect()
    }
}

/// Returns the sentence about a frame that is not where the packets have it.
pub(super) fn misplaced(path: &Path, number: usize, time: Time) -> crate::MediaError {
    crate::MediaError::unreadable(
        path,
        format!(
            "frame {number}, at {:.3} s by the index, does not come there from the decoder, so that the frames cannot be shared \
             among machines; a copy made by `rife reencode` can be, and one machine can process the clip as it is",
            crate::time::seconds(time)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of 100 frames at 25 a second with a key frame every 10.
    fn index() -> Index {
        let packets = (0..100).map(|n| (n * 40 + 80, n % 10 == 0)).collect();
        Index::new(packets, 80, Ratio::new(1, 1000)).unwrap()
    }

    #[test]
    fn decoding_begins_two_key_frames_before() {
        let starts = |number| index().starts(number).collect::<Vec<_>>();
        assert_eq!(starts(45), [30, 20]);
        assert_eq!(starts(40), [30, 20]);
        assert_eq!(starts(29), [10]);
        assert!(starts(19).is_empty() && starts(0).is_empty());
        let places = Parts::new(index(), Vec::new()).places(45);
        assert_eq!(places.len(), 3);
        // Half-way to the next key frame, 0.2 s behind this one.
        assert_eq!(places[0], Some((Ratio::new(14, 10), Ratio::new(12, 10))));
        assert_eq!(places[2], None);
    }

    #[test]
    fn frames_between_parts_are_passed_or_left() {
        let mut parts = Parts::new(index(), vec![0..5, 18..22, 60..62]);
        let steps: Vec<Step> = (0..101).map(|_| parts.step().2).collect();
        assert_eq!(steps[0], Step::Begin);
        assert!(steps[1..5].iter().all(|step| *step == Step::Decode));
        assert!(
            steps[5..18].iter().all(|step| *step == Step::Pass),
            "the file's start is behind"
        );
        assert!(steps[18..22].iter().all(|step| *step == Step::Decode));
        // Frame 60 is decoded from 50 on.
        assert!(steps[22..60].iter().all(|step| *step == Step::Leave));
        assert_eq!(steps[60..62], [Step::Begin, Step::Decode]);
        assert!(steps[62..100].iter().all(|step| *step == Step::Leave));
        assert_eq!(steps[100], Step::End);
    }

    #[test]
    fn packets_whose_times_say_nothing_are_refused() {
        let refused =
            |packets: &[(i64, bool)]| Index::new(packets.to_vec(), 0, Ratio::new(1, 25)).unwrap_err();
        assert!(refused(&[(0, true), (1, false), (1, false)]).contains("same time"));
        assert!(refused(&[(0, false), (1, true)]).contains("key frame"));
        assert!(refused(&[]).contains("key frame"));
        assert_eq!(packet("12,K__"), Ok((12, true)));
        assert_eq!(packet("12,___"), Ok((12, false)));
        assert!(packet("N/A,K__").is_err() && packet("12,_D_").is_err() && packet("12,__C").is_err());
    }
}
