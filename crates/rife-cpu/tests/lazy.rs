//! Lazily evaluated operations against their definitions: evaluated completely, and through a downsampling that reads only
//! a few pixels. On every tier of this machine, with one thread and with several.

use rife_backend::{Activation, ConvKind, ConvSpec, Resize};
use rife_cpu::reference::conv as plain_conv;
use rife_cpu::{Engine, EngineOptions, Tensor, Tier};

fn values(count: usize, seed: usize) -> Vec<f32> {
    let value = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7 & 0xffff) as f32 / 32_768.0 - 1.0;
    (0..count).map(|i| value(i + seed * 7919)).collect()
}

/// Shape `[channels, height, width]` and planar values.
#[derive(Clone)]
struct Plain([usize; 3], Vec<f32>);

impl Plain {
    fn new(shape: [usize; 3], seed: usize) -> Self {
        Self(shape, values(shape.iter().product(), seed))
    }

    fn at(&self, c: usize, y: usize, x: usize) -> f32 {
        let [_, height, width] = self.0;
        self.1[(c * height + y) * width + x]
    }

    fn build(shape: [usize; 3], value: impl Fn(usize, usize, usize) -> f32) -> Self {
        let [channels, height, width] = shape;
        let pixels = (0..channels).flat_map(|c| (0..height).map(move |y| (c, y)));
        let value = &value;
        let rows = pixels.flat_map(|(c, y)| (0..width).map(move |x| value(c, y, x)));
        Self(shape, rows.collect())
    }

    fn map(&self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0, self.1.iter().map(|v| f(*v)).collect())
    }

    /// Interpolates bilinearly at row `y` and column `x` inside of the image.
    fn sample(&self, c: usize, y: f32, x: f32) -> f32 {
        let [_, height, width] = self.0;
        let (y, x) = (
            y.clamp(0.0, (height - 1) as f32),
            x.clamp(0.0, (width - 1) as f32),
        );
        let (top, left) = (y as usize, x as usize);
        let (bottom, right) = ((top + 1).min(height - 1), (left + 1).min(width - 1));
        let (v, u) = (y - top as f32, x - left as f32);
        let upper = self.at(c, top, left) * (1.0 - u) + self.at(c, top, right) * u;
        let lower = self.at(c, bottom, left) * (1.0 - u) + self.at(c, bottom, right) * u;
        upper * (1.0 - v) + lower * v
    }

    fn resize(&self, factor: Resize) -> Self {
        let [channels, height, width] = self.0;
        let (step, size): (f32, &dyn Fn(usize) -> usize) = match factor {
            Resize::Up(n) => (1.0 / n as f32, &move |side| side * n),
            Resize::Down(n) => (n as f32, &move |side| side / n),
        };
        let place = |i: usize| (i as f32 + 0.5) * step - 0.5;
        Self::build([channels, size(height), size(width)], |c, y, x| {
            self.sample(c, place(y), place(x))
        })
    }

    fn warp(&self, flow: &Self) -> Self {
        Self::build(self.0, |c, y, x| {
            self.sample(c, y as f32 + flow.at(1, y, x), x as f32 + flow.at(0, y, x))
        })
    }

    /// Shifts the image by rows down and columns right with replicated edges, and multiplies it by a factor.
    fn near(&self, factor: f32, [down, right]: [isize; 2]) -> Self {
        let [_, height, width] = self.0;
        let inside =
            |at: usize, off: isize, side: usize| (at as isize + off).clamp(0, side as isize - 1) as usize;
        Self::build(self.0, |c, y, x| {
            factor * self.at(c, inside(y, down, height), inside(x, right, width))
        })
    }

    /// Computes the cubic residual by its definition: weighted second differences with replicated edges, sampled by the flow.
    fn detail(&self, flow: &Self) -> Self {
        let [_, height, width] = self.0;
        let bent = |down: isize, right: isize| {
            let [before, after] = [[-down, -right], [down, right]].map(|near| self.near(1.0, near));
            Self::build(self.0, |c, y, x| {
                before.at(c, y, x) - 2.0 * self.at(c, y, x) + after.at(c, y, x)
            })
        };
        let (along, down) = (bent(0, 1), bent(1, 0));
        let share = |at: f32, side: usize| at.clamp(0.0, (side - 1) as f32).fract();
        Self::build(self.0, |c, y, x| {
            let (v, u) = (y as f32 + flow.at(1, y, x), x as f32 + flow.at(0, y, x));
            let (g, f) = (share(v, height), share(u, width));
            let lost = f * (1.0 - f) * along.sample(c, v, u) + g * (1.0 - g) * down.sample(c, v, u);
            -0.5 * lost
        })
    }

    fn shuffle(&self) -> Self {
        let [channels, height, width] = self.0;
        Self::build([channels / 4, height * 2, width * 2], |c, y, x| {
            self.at(4 * c + 2 * (y % 2) + x % 2, y / 2, x / 2)
        })
    }
}

type Run<'a> = &'a dyn Fn(&Engine) -> Tensor;

/// An operation on an engine, and its expected result.
struct Case<'a> {
    name: &'a str,
    run: Run<'a>,
    expected: Plain,
}

fn check(case: &Case<'_>) {
    use Resize::{Down, Up};
    check_by(case, &[None, Some(Down(2)), Some(Down(4)), Some(Up(2))]);
}

fn check_by(case: &Case<'_>, factors: &[Option<Resize>]) {
    for tier in Tier::available() {
        for &factor in factors {
            let expected = factor.map_or(case.expected.clone(), |factor| case.expected.resize(factor));
            let found = [1, 3].map(|threads| {
                let options = EngineOptions {
                    threads: Some(threads),
                    tier: Some(tier),
                    ..EngineOptions::default()
                };
                let engine = Engine::new(options).unwrap();
                let x = (case.run)(&engine);
                engine.download(&factor.map_or(x.clone(), |factor| engine.resize(&x, factor)))
            });
            assert_eq!(
                found[0],
                found[1],
                "{} {}: bits of three threads",
                tier.name(),
                case.name
            );
            let differences = found[0].iter().zip(&expected.1).map(|(a, b)| (a - b).abs());
            let largest = differences.fold(0.0, f32::max);
            assert_eq!(found[0].len(), expected.1.len());
            let (name, tier) = (case.name, tier.name());
            assert!(
                largest < 3e-6,
                "{tier} {name}, then {factor:?}: off by {largest:e}"
            );
        }
    }
}

fn upload(engine: &Engine, x: &Plain) -> Tensor {
    engine.upload(x.0, &x.1)
}

#[test]
fn sampling_at_and_around_the_tiles() {
    println!("tiers: {:?}", Tier::available());
    for channels in [1, 3, 4, 5] {
        for width in [4, 8, 12, 20, 36] {
            let x = Plain::new([channels, 12, width], 1);
            // Within the image, past its edges, and far outside.
            for reach in [0.0, 3.0, 1e6] {
                let flow = Plain::new([2, 12, width], 2).map(|v| v * reach);
                check(&Case {
                    name: "warp",
                    run: &|e| e.warp(&upload(e, &x), &upload(e, &flow)),
                    expected: x.warp(&flow),
                });
            }
        }
    }
}

#[test]
fn sampling_by_the_neighbours_velocities() {
    for [channels, height, width] in [[3, 12, 20], [5, 8, 36], [1, 4, 4], [7, 12, 8]] {
        let x = Plain::new([channels, height, width], 1);
        let velocity = Plain::new([2, height, width], 2);
        for near in [[[3, 3], [-3, -3]], [[3, -3], [-3, 3]], [[0, 0], [-9, 40]]] {
            let [a, b] = near.map(|near| x.warp(&velocity.near(-2.5, near)));
            let moved = |e: &Engine| e.warp_obmc(&upload(e, &x), &upload(e, &velocity), -2.5, near);
            let expected = Plain::build(x.0, |c, y, x| 0.5 * (a.at(c, y, x) + b.at(c, y, x)));
            check(&Case {
                name: "near",
                run: &moved,
                expected: expected.clone(),
            });
            check(&Case {
                name: "a channel of near",
                run: &|e| e.narrow(&moved(e), channels - 1..channels),
                expected: Plain::build([1, height, width], |_, y, x| expected.at(channels - 1, y, x)),
            });
        }
    }
}

#[test]
fn detail_at_and_around_the_edges() {
    println!("tiers: {:?}", Tier::available());
    for [channels, height] in [[1, 12], [3, 4], [1, 20]] {
        for width in [4, 8, 12, 36] {
            let x = Plain::new([channels, height, width], 1);
            // Within the image, past its edges, and far outside.
            for reach in [0.0, 0.75, 3.0, 1e6] {
                let flow = Plain::new([2, height, width], 2).map(|v| v * reach);
                check(&Case {
                    name: "detail",
                    run: &|e| e.cubic_residual(&upload(e, &x), &upload(e, &flow)),
                    expected: x.detail(&flow),
                });
            }
        }
    }
}

#[test]
fn detail_of_the_smallest_images() {
    for [height, width] in [[1, 1], [1, 7], [7, 1], [2, 2], [3, 5]] {
        let x = Plain::new([2, height, width], 1);
        let flow = Plain::new([2, height, width], 2).map(|v| v * 2.0);
        let case = Case {
            name: "detail",
            run: &|e| e.cubic_residual(&upload(e, &x), &upload(e, &flow)),
            expected: x.detail(&flow),
        };
        check_by(&case, &[None]);
    }
}

#[test]
fn sharpening() {
    let (x, by) = (Plain::new([4, 12, 20], 1), Plain::new([1, 12, 20], 2));
    let expected = Plain::build([3, 12, 20], |c, y, column| {
        x.at(c, y, column) + x.at(3, y, column) * by.at(0, y, column)
    });
    let sharpened = |e: &Engine| e.add_last_channel(&upload(e, &x), &upload(e, &by));
    check(&Case {
        name: "sharpen",
        run: &sharpened,
        expected: expected.clone(),
    });
    check(&Case {
        name: "a channel of sharpen",
        run: &|e| e.narrow(&sharpened(e), 1..2),
        expected: Plain([1, 12, 20], expected.1[240..480].to_vec()),
    });
}

/// An image interleaved with its features is sampled in that layout.
#[test]
fn sampling_a_joined_image_by_the_neighbours_velocities() {
    let (a, b) = (Plain::new([3, 12, 20], 1), Plain::new([4, 12, 20], 2));
    let velocity = Plain::new([2, 12, 20], 3);
    let near = [[3, -3], [-3, 3]];
    let [first, second] = near.map(|near| a.warp(&velocity.near(1.5, near)));
    check(&Case {
        name: "near of joined",
        run: &|e| {
            let [a, b] = [&a, &b].map(|x| e.materialize(&upload(e, x)));
            let joined = e.materialize(&e.cat(&[&a, &b]));
            e.warp_obmc(&e.narrow(&joined, 0..3), &upload(e, &velocity), 1.5, near)
        },
        expected: Plain::build(a.0, |c, y, x| 0.5 * (first.at(c, y, x) + second.at(c, y, x))),
    });
}

/// Concatenates along the channels.
fn joined(a: &Plain, b: &Plain) -> Plain {
    let [first, height, width] = a.0;
    Plain([first + b.0[0], height, width], [a.1.as_slice(), &b.1].concat())
}

#[test]
fn sampling_images_joined_to_their_features() {
    for [a, b] in [[3, 4], [3, 1], [4, 4], [1, 4], [3, 2], [5, 3]] {
        let (a, b) = (Plain::new([a, 12, 20], 1), Plain::new([b, 12, 20], 2));
        let flow = Plain::new([2, 12, 20], 3).map(|v| v * 3.0);
        let join = |e: &Engine| {
            let [a, b] = [&a, &b].map(|x| e.materialize(&upload(e, x)));
            e.materialize(&e.cat(&[&a, &b]))
        };
        let expected = joined(&a, &b);
        check(&Case {
            name: "joined",
            run: &join,
            expected: expected.clone(),
        });
        check(&Case {
            name: "warp of joined",
            run: &|e| e.warp(&join(e), &upload(e, &flow)),
            expected: expected.warp(&flow),
        });
    }
}

/// Applies a convolution that copies every other pixel.
fn copying(e: &Engine, x: &Tensor) -> Tensor {
    let channels = x.shape()[0];
    let mut weight = vec![0.0; channels * channels * 9];
    (0..channels).for_each(|c| weight[(c * channels + c) * 9 + 4] = 1.0);
    let layer = e.conv_layer(&ConvSpec {
        kind: ConvKind::Down,
        input: channels,
        output: channels,
        groups: 1,
        weight,
        bias: vec![0.0; channels],
        residual: None,
        activation: Activation::None,
    });
    e.conv(x, &layer)
}

/// Converts values exactly to the blocked layout of convolutions, by a convolution with stride 2, which direct kernels
/// compute.
fn blocks(e: &Engine, x: &Plain) -> Tensor {
    let [channels, height, width] = x.0;
    let twice = Plain::build([channels, 2 * height, 2 * width], |c, row, column| {
        x.at(c, row / 2, column / 2)
    });
    copying(e, &upload(e, &twice))
}

#[test]
fn convolving_what_is_sampled_from_a_convolution() {
    for [height, width] in [[1, 1], [3, 5], [8, 12]] {
        let (a, b) = (
            Plain::new([16, height, width], 1),
            Plain::new([20, height, width], 2),
        );
        let flow = Plain::new([2, height, width], 3).map(|v| v * 3.0);
        let both = joined(&a, &b.warp(&flow));
        let size = [36, height.div_ceil(2), width.div_ceil(2)];
        let case = Case {
            name: "a convolution of warped blocks",
            run: &|e| {
                let [a, b] = [&a, &b].map(|x| blocks(e, x));
                let warped = e.warp(&b, &upload(e, &flow));
                copying(e, &e.cat(&[&a, &warped]))
            },
            expected: Plain::build(size, |c, y, x| both.at(c, 2 * y, 2 * x)),
        };
        check_by(&case, &[None]);
    }
}

#[test]
fn sampling_the_smallest_images() {
    for [height, width] in [[1, 1], [1, 7], [7, 1], [2, 2], [3, 5]] {
        let x = Plain::new([4, height, width], 1);
        let flow = Plain::new([2, height, width], 2).map(|v| v * 2.0);
        for tier in Tier::available() {
            let engine = Engine::new(EngineOptions {
                threads: Some(1),
                tier: Some(tier),
                ..EngineOptions::default()
            })
            .unwrap();
            let found = engine.download(&engine.warp(&upload(&engine, &x), &upload(&engine, &flow)));
            let expected = x.warp(&flow);
            let differences = found.iter().zip(&expected.1).map(|(a, b)| (a - b).abs());
            assert!(differences.fold(0.0, f32::max) < 3e-6, "{height}x{width}");
        }
    }
}

#[test]
fn a_flow_that_is_no_number_stays_in_the_image() {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let x = engine.upload([3, 8, 8], &values(192, 1));
    let flow = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX].repeat(32);
    let found = engine.download(&engine.warp(&x, &engine.upload([2, 8, 8], &flow)));
    assert!(found.iter().all(|v| (-1.0..=1.0).contains(v)));
}

#[test]
fn resizing() {
    let x = Plain::new([3, 32, 48], 3);
    for factor in [2, 4, 8] {
        for factor in [Resize::Up(factor), Resize::Down(factor / 2)] {
            check(&Case {
                name: "resize",
                run: &|e| e.resize(&upload(e, &x), factor),
                expected: x.resize(factor),
            });
        }
    }
}

#[test]
fn sigmoids_of_all_sizes() {
    let mut x: Vec<f32> = (-2000..2000).map(|i| i as f32 / 50.0 + 0.003).collect();
    x.extend([
        0.0,
        -0.0,
        88.0,
        -88.0,
        1e30,
        -1e30,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ]);
    let x = Plain([1, 8, x.len() / 8], x);
    check_by(
        &Case {
            name: "sigmoid",
            run: &|e| e.sigmoid(&upload(e, &x)),
            expected: x.map(|v| (1.0 / (1.0 + (-f64::from(v)).exp())) as f32),
        },
        &[None],
    );
}

#[test]
fn arithmetic_and_joining() {
    let (a, b) = (Plain::new([3, 12, 20], 4), Plain::new([3, 12, 20], 5));
    let mask = Plain::new([1, 12, 20], 6).map(|v| v * 4.0);
    let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
    let zip =
        |f: &dyn Fn(f32, f32) -> f32| Plain(a.0, a.1.iter().zip(&b.1).map(|(a, b)| f(*a, *b)).collect());
    let checks: [(&str, Run<'_>, Plain); 9] = [
        (
            "add",
            &|e| e.add(&upload(e, &a), &upload(e, &b)),
            zip(&|a, b| a + b),
        ),
        (
            "affine",
            &|e| e.affine(&upload(e, &a), -2.0, 0.25),
            a.map(|v| v * -2.0 + 0.25),
        ),
        (
            "clamp",
            &|e| e.clamp01(&upload(e, &a)),
            a.map(|v| v.clamp(0.0, 1.0)),
        ),
        ("sigmoid", &|e| e.sigmoid(&upload(e, &a)), a.map(sigmoid)),
        (
            "blend",
            &|e| e.blend(&upload(e, &a), &upload(e, &b), &upload(e, &mask)),
            Plain::build(a.0, |c, y, x| {
                let share = sigmoid(mask.at(0, y, x));
                a.at(c, y, x) * share + b.at(c, y, x) * (1.0 - share)
            }),
        ),
        (
            "scaled",
            &|e| e.mul(&upload(e, &a), &upload(e, &mask)),
            Plain::build(a.0, |c, y, x| a.at(c, y, x) * mask.at(0, y, x)),
        ),
        (
            "scaled by a constant of which a part is wanted",
            &|e| {
                let by = e.affine(&e.plane(&upload(e, &a), 0.25), -2.0, 2.0);
                e.narrow(&e.mul(&upload(e, &a), &by), 0..3)
            },
            a.map(|v| v * 1.5),
        ),
        (
            "cat and channels",
            &|e| {
                let parts = e.cat(&[&upload(e, &a), &e.plane(&upload(e, &a), 0.5), &upload(e, &b)]);
                e.narrow(&parts, 2..6)
            },
            Plain::build([4, 12, 20], |c, y, x| match c {
                0 => a.at(2, y, x),
                1 => 0.5,
                _ => b.at(c - 2, y, x),
            }),
        ),
        (
            "rotate",
            &|e| e.rotate180(&upload(e, &a)),
            Plain::build(a.0, |c, y, x| a.at(c, 11 - y, 19 - x)),
        ),
    ];
    for (name, run, expected) in checks {
        check(&Case { name, run, expected });
    }
}

/// Frames whose pixels are equal or differ by up to two code values.
#[test]
fn still_pixels_stay() {
    let (a, made) = (Plain::new([3, 12, 20], 14), Plain::new([3, 12, 20], 15));
    let apart =
        |c: usize, y: usize, x: usize| ((7 * c + 3 * y + x) % 9).saturating_sub(4) as f32 * 0.5 / 255.0;
    let b = Plain::build(a.0, |c, y, x| a.at(c, y, x) + apart(c, y, x));
    let expected = Plain::build(a.0, |c, y, x| {
        let most = (0..3)
            .map(|c| (a.at(c, y, x) - b.at(c, y, x)).abs())
            .fold(0.0, f32::max);
        let share = (1.5 - 255.0 * most).clamp(0.0, 1.0);
        let mean = 0.5 * (a.at(c, y, x) + b.at(c, y, x));
        made.at(c, y, x) * (1.0 - share) + mean * share
    });
    let stayed = expected.1.iter().zip(&a.1).filter(|(v, a)| v == a).count();
    assert!(stayed > 0 && stayed < a.1.len(), "{stayed} of {}", a.1.len());
    let run: Run<'_> = &|e| e.keep_static([&upload(e, &a), &upload(e, &b)], &upload(e, &made), 1.5);
    check(&Case {
        name: "keep still",
        run,
        expected: expected.clone(),
    });
    check(&Case {
        name: "some channels of it",
        run: &|e| e.narrow(&run(e), 1..2),
        expected: Plain::build([1, 12, 20], |_, y, x| expected.at(1, y, x)),
    });
}

#[test]
fn shuffling() {
    let x = Plain::new([20, 8, 12], 7);
    check(&Case {
        name: "pixel shuffle",
        run: &|e| e.pixel_shuffle(&upload(e, &x)),
        expected: x.shuffle(),
    });
}

/// The head of a block: a transposed convolution and a pixel shuffle, fused if there are enough tiles for Winograd.
#[test]
fn shuffling_an_enlargement() {
    for [height, width] in [[3, 5], [20, 24], [21, 31]] {
        let x = Plain::new([16, height, width], 1);
        let spec = ConvSpec {
            kind: ConvKind::Up,
            input: 16,
            output: 8,
            groups: 1,
            weight: values(16 * 8 * 16, 2).iter().map(|v| v / 64.0).collect(),
            bias: values(8, 3),
            residual: None,
            activation: Activation::LeakyRelu(0.2),
        };
        let enlarged = Plain([8, 2 * height, 2 * width], plain_conv(&spec, &x.1, x.0));
        check(&Case {
            name: "a shuffled enlargement",
            run: &|e| e.conv_shuffled(&blocks(e, &x), &e.conv_layer(&spec)),
            expected: enlarged.shuffle(),
        });
    }
}

/// The input of coarse blocks of a flow network: an image warped by a sum of upsampled flows, downsampled.
#[test]
fn expressions_of_several_operations() {
    let (image, coarse, fine) = (
        Plain::new([3, 32, 48], 8),
        Plain::new([4, 4, 6], 9),
        Plain::new([4, 8, 12], 10),
    );
    let sum = {
        let (a, b) = (coarse.resize(Resize::Up(8)), fine.resize(Resize::Up(4)));
        Plain::build([4, 32, 48], |c, y, x| 8.0 * a.at(c, y, x) + b.at(c, y, x))
    };
    let towards = Plain::build([2, 32, 48], |c, y, x| sum.at(c + 2, y, x));
    check(&Case {
        name: "warp by a sum",
        run: &|e| {
            let coarse = e.affine(&e.resize(&upload(e, &coarse), Resize::Up(8)), 8.0, 0.0);
            let flow = e.add(&coarse, &e.resize(&upload(e, &fine), Resize::Up(4)));
            e.warp(&upload(e, &image), &e.narrow(&flow, 2..4))
        },
        expected: image.warp(&towards),
    });
}
