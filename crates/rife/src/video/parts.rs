//! The parts of a clip that a shard reads: the source frames on which its output frames depend.

use std::ops::Range;

use rife_media::sink::{Need, Needs};
use rife_media::timeline::{Pauses, Push, Timeline};
use rife_media::{Frame, PixelFormat, Time, TimelineOptions};

use crate::Result;

/// Number of frames at the clip's start and end that every shard reads, which shows whether the clip has the frames of its
/// index.
const ENDS: u64 = 16;
/// Fraction of the clip, as numerator and denominator, from which on all of it is read.
const NEARLY_ALL: (u64, u64) = (4, 5);

/// Which source frames are read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// These, as ranges of their numbers, and how many they are.
    Parts(Vec<Range<u64>>, u64),
    /// All, since these are many.
    All(u64),
}

/// Returns the source frames to read for the output frames that `needs` says, where the source's frames have these `times` in
/// seconds. `reach` is [`StreamOptions::reach`](crate::StreamOptions::reach).
pub(super) fn reading(
    times: &[Time],
    timeline: TimelineOptions,
    reach: [u64; 2],
    needs: &Needs,
) -> Result<Reading> {
    let count = times.len() as u64;
    let mut parts: Vec<Range<u64>> = Vec::new();
    let mut add = |part: Range<u64>| match parts.last_mut() {
        Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
        _ => parts.push(part),
    };
    add(0..ENDS.min(count));
    let mut number = 0;
    for frames in placed(times, timeline)? {
        for left in frames {
            if needs.of(number) == Need::Make {
                add(left.saturating_sub(reach[0])..(left + reach[1] + 1).min(count));
            }
            number += 1;
        }
    }
    // Also those after the last source frame, whose number depends on its duration.
    let tail = count.saturating_sub(ENDS.max(reach[0] + 1));
    add(tail..count);
    let read = parts.iter().map(|part| part.end - part.start).sum();
    Ok(match read * NEARLY_ALL.1 >= count * NEARLY_ALL.0 {
        true => Reading::All(read),
        false => Reading::Parts(parts, read),
    })
}

/// Returns the source frames at or before the output frames, in order, in one list for each source frame that was added.
fn placed(times: &[Time], options: TimelineOptions) -> Result<Vec<Vec<u64>>> {
    let mut timeline = Timeline::new(options)?;
    let mut pauses = Pauses::default();
    let mut lists = Vec::with_capacity(times.len());
    let mut place = |(frame, pause): (Frame, bool)| -> Result<()> {
        if let Push::Frames(frames) = timeline.push(frame.pts, Time::from(0), pause)? {
            lists.push(frames.iter().map(|frame| frame.left).collect());
        }
        Ok(())
    };
    for time in times {
        let frame = Frame::blank(0, 0, PixelFormat::YUV420P, *time);
        pauses.push(frame).map_or(Ok(()), &mut place)?;
    }
    while let Some(next) = pauses.pop() {
        place(next)?;
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use rife_media::TimelineMode;
    use rife_media::sink::Shard;

    use super::*;

    /// Reads 4000 frames at 25 a second for a shard of ten.
    fn shard(index: u32, mode: TimelineMode) -> Reading {
        let times: Vec<Time> = (0..4000).map(|n| Time::new(n, 25)).collect();
        let needs = Needs::of_shard(Shard { index, count: 10 }, 250);
        reading(&times, TimelineOptions::new(mode), [100, 30], &needs).unwrap()
    }

    #[test]
    fn a_shard_reads_its_segments_and_what_they_depend_on() {
        // Segments 8, 18 and 28 of 125 source frames each.
        let Reading::Parts(parts, read) = shard(9, TimelineMode::Factor(2)) else {
            panic!("few frames")
        };
        assert_eq!(parts, [0..16, 900..1155, 2150..2405, 3400..3655, 3899..4000]);
        assert_eq!(read, 16 + 3 * 255 + 101);
        // 600 output frames for 250 source frames: a segment is about 104.
        let Reading::Parts(parts, _) = shard(1, TimelineMode::TargetRate(Time::from(60))) else {
            panic!("few frames")
        };
        assert_eq!(parts[0], 0..134);
        assert_eq!(parts[1], 941..1176);
    }

    #[test]
    fn a_clip_whose_parts_are_nearly_all_of_it_is_read_whole() {
        let times: Vec<Time> = (0..1000).map(|n| Time::new(n, 25)).collect();
        let needs = Needs::of_shard(Shard { index: 1, count: 2 }, 250);
        let timeline = TimelineOptions::new(TimelineMode::Factor(2));
        assert_eq!(
            reading(&times, timeline, [200, 36], &needs).unwrap(),
            Reading::All(1000)
        );
    }
}
