//! Data augmentation of the RIFE paper: time reversal, rotation by multiples of 90 degrees, horizontal flip, RGB to BGR.

use super::{Field, Picture, Sample};
use crate::rng::Rng;

/// Applies each augmentation to a sample at random, transforming its flow accordingly.
pub fn augment(mut sample: Sample, rng: &mut Rng) -> Sample {
    if rng.chance(0.5) {
        sample = reversed(sample);
    }
    let (turns, flip, swap) = (rng.below(4), rng.chance(0.5), rng.chance(0.5));
    for _ in 0..turns {
        sample = turned(&sample);
    }
    if flip {
        sample = flipped(&sample);
    }
    if swap {
        sample.frames = sample.frames.map(|frame| channels_reversed(&frame));
    }
    sample
}

/// Reverses time: swaps the outer frames and the flow directions.
fn reversed(sample: Sample) -> Sample {
    let [first, middle, second] = sample.frames;
    let swap = |field: Field| {
        let (to_first, to_second) = field.flow.split_at(field.flow.len() / 2);
        Field {
            flow: [to_second, to_first].concat(),
            ..field
        }
    };
    Sample {
        frames: [second, middle, first],
        time: 1.0 - sample.time,
        flow: sample.flow.map(swap),
    }
}

/// Rotates by 90 degrees counterclockwise.
fn turned(sample: &Sample) -> Sample {
    let from = |side: usize, y: usize, x: usize| [x, side - 1 - y];
    // After the rotation, right becomes up and down becomes right.
    permuted(sample, from, |[x, y]| [y, -x])
}

/// Flips horizontally.
fn flipped(sample: &Sample) -> Sample {
    permuted(sample, |side, y, x| [y, side - 1 - x], |[x, y]| [-x, y])
}

/// Permutes the pixels of all frames and the flow: `from(side, y, x)` returns row and column of the source pixel, `vector`
/// transforms a flow vector (x, y).
fn permuted(
    sample: &Sample,
    from: impl Fn(usize, usize, usize) -> [usize; 2],
    vector: impl Fn([f32; 2]) -> [f32; 2],
) -> Sample {
    let frames = sample.frames.each_ref().map(|frame| {
        let [side, _] = frame.size();
        Picture::from_fn([side, side], |y, x| {
            let [y, x] = from(side, y, x);
            frame.at(y, x)
        })
    });
    let flow = sample
        .flow
        .as_ref()
        .map(|field| permuted_field(field, &from, vector));
    Sample {
        frames,
        time: sample.time,
        flow,
    }
}

/// Permutes the pixels of a flow field and transforms its vectors, (x, y) in pixels, for [`permuted`].
fn permuted_field(
    field: &Field,
    from: impl Fn(usize, usize, usize) -> [usize; 2],
    vector: impl Fn([f32; 2]) -> [f32; 2],
) -> Field {
    let (side, plane) = (field.side, field.side * field.side);
    let mut permuted = Field {
        side,
        flow: vec![0.0; 4 * plane],
        known: vec![0.0; plane],
    };
    for i in 0..plane {
        let [y, x] = from(side, i / side, i % side);
        let source = y * side + x;
        permuted.known[i] = field.known[source];
        for frame in 0..2 {
            let at = |axis: usize| (2 * frame + axis) * plane;
            let transformed = vector([field.flow[at(0) + source], field.flow[at(1) + source]]);
            permuted.flow[at(0) + i] = transformed[0];
            permuted.flow[at(1) + i] = transformed[1];
        }
    }
    permuted
}

/// Swaps red and blue.
fn channels_reversed(picture: &Picture) -> Picture {
    Picture::from_fn(picture.size(), |y, x| {
        let [red, green, blue] = picture.at(y, x);
        [blue, green, red]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a sample of a bright dot that moves right by 2 and down by 1 pixel per frame; the flow is known at the dot.
    fn dot() -> Sample {
        let side = 16;
        let at = |row: usize, column: usize| {
            Picture::from_fn([side, side], |y, x| {
                if (y, x) == (row, column) {
                    [200, 100, 0]
                } else {
                    [0; 3]
                }
            })
        };
        let (mut flow, mut known) = (vec![0.0; 4 * side * side], vec![0.0; side * side]);
        for (channel, value) in [-2.0, -1.0, 2.0, 1.0].into_iter().enumerate() {
            flow[channel * side * side + 5 * side + 8] = value;
        }
        known[5 * side + 8] = 1.0;
        let flow = Some(Field { side, flow, known });
        Sample {
            frames: [at(4, 6), at(5, 8), at(6, 10)],
            time: 0.25,
            flow,
        }
    }

    fn place(picture: &Picture) -> [isize; 2] {
        let [_, width] = picture.size();
        let bright = picture
            .pixels()
            .chunks(3)
            .position(|pixel| pixel != [0; 3])
            .unwrap();
        [(bright / width) as isize, (bright % width) as isize]
    }

    #[test]
    fn the_flow_still_points_at_the_dot() {
        for place_of_draw in 0..64 {
            let sample = augment(dot(), &mut Rng::new(1, place_of_draw));
            let field = sample.flow.as_ref().unwrap();
            let [y, x] = place(&sample.frames[1]);
            let i = y as usize * 16 + x as usize;
            assert_eq!(field.known[i], 1.0);
            for (frame, channel) in [(0, 0), (2, 2)] {
                let vector = [field.flow[(channel + 1) * 256 + i], field.flow[channel * 256 + i]];
                let [to_y, to_x] = place(&sample.frames[frame]);
                assert_eq!(vector, [(to_y - y) as f32, (to_x - x) as f32], "frame {frame}");
            }
        }
    }

    #[test]
    fn every_change_is_drawn() {
        let seen: std::collections::HashSet<_> = (0..200)
            .map(|draw| {
                let sample = augment(dot(), &mut Rng::new(2, draw));
                (
                    place(&sample.frames[0]),
                    sample.time.to_bits(),
                    sample.frames[0].pixels().iter().max().copied(),
                )
            })
            .collect();
        // Eight places of a square for each direction of time.
        assert_eq!(seen.len(), 16);
    }
}
