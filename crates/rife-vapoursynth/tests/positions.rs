//! Positions by number: those that the library's timeline gives in order.

use num_rational::Ratio;
use rife::media::timeline::{Push, Timeline};
use rife::media::{TimelineMode, TimelineOptions};
use rife_vapoursynth::positions::Positions;

/// Returns the source frame and timestep of each output frame of `count` frames one second apart, by the timeline.
fn in_order(count: u32, mode: TimelineMode) -> Vec<(u64, Ratio<i64>)> {
    let mut timeline = Timeline::new(TimelineOptions::new(mode)).unwrap();
    let mut frames = Vec::new();
    for index in 0..count {
        match timeline.push(i64::from(index).into(), 1.into(), false).unwrap() {
            Push::Frames(more) => frames.extend(more),
            Push::Dropped => unreachable!(),
        }
    }
    frames.extend(timeline.finish().unwrap());
    frames.iter().map(|frame| (frame.left, frame.timestep)).collect()
}

#[test]
fn positions_are_those_of_the_timeline() {
    for (numerator, denominator) in [(1, 1), (2, 1), (3, 1), (5, 2), (7, 3), (1001, 400), (256, 1)] {
        let factor = Ratio::new(numerator, denominator);
        for count in [1, 2, 7, 10] {
            let positions = Positions::new(count, factor).unwrap();
            let found: Vec<_> = (0..positions.count())
                .map(|number| positions.at(number))
                .map(|at| (u64::from(at.left), at.timestep))
                .collect();
            assert_eq!(
                found,
                in_order(count, TimelineMode::times(factor)),
                "{factor} {count}"
            );
            assert_eq!(
                found,
                in_order(count, TimelineMode::TargetRate(factor)),
                "{factor} {count}"
            );
        }
    }
    let slower = Ratio::new(3, 5);
    let positions = Positions::new(11, slower).unwrap();
    let found: Vec<_> = (0..positions.count())
        .map(|number| positions.at(number))
        .collect();
    let expected = in_order(11, TimelineMode::TargetRate(slower));
    assert_eq!(
        found
            .iter()
            .map(|at| (u64::from(at.left), at.timestep))
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn lengths_add_up_to_the_clip() {
    for factor in [Ratio::new(2, 1), Ratio::new(5, 2), Ratio::new(1001, 400)] {
        let positions = Positions::new(9, factor).unwrap();
        let sum: Ratio<i64> = (0..positions.count())
            .map(|number| positions.at(number).lengths)
            .map(|[within, beyond]| within + beyond)
            .sum();
        assert_eq!(sum, Ratio::from(9), "{factor}");
    }
}

#[test]
fn factors_out_of_range_are_refused_in_words() {
    for (count, factor) in [
        (1, Ratio::new(257, 1)),
        (1, Ratio::new(0, 1)),
        (1, Ratio::new(-2, 1)),
    ] {
        assert!(
            Positions::new(count, factor).unwrap_err().contains("is"),
            "{factor}"
        );
    }
    let error = Positions::new(1 << 24, Ratio::from(256)).unwrap_err();
    assert!(error.contains("more than a clip can have"), "{error}");
}
