//! Generator of the conformance cases: every operation at every size, dense inverse searches, and random trees of
//! operations.

use super::{Case, Expr, Input};
use crate::{Activation, ConvKind, ConvSpec, DisOptions, Resize};

/// Sizes `[height, width]` at and around multiples of tiles of 4, 8, 16, 32 and 48 pixels.
const SIDES: [[usize; 2]; 8] = [
    [1, 1],
    [2, 3],
    [4, 4],
    [7, 9],
    [8, 16],
    [15, 17],
    [33, 31],
    [16, 49],
];

/// Sizes `[height, width]` of the frames and levels of dense inverse searches: one pixel, complete and incomplete cells of
/// 4x4 pixels, pyramids of one and of several levels.
const SEARCHES: [([usize; 2], u32); 6] = [
    ([1, 1], 0),
    ([4, 4], 0),
    ([21, 37], 0),
    ([24, 8], 1),
    ([66, 130], 0),
    ([128, 192], 1),
];

/// Makes all cases: each operation at each size, dense inverse searches, and `random` random trees of operations.
pub fn cases(random: u32) -> Vec<Case> {
    let operations = SIDES
        .into_iter()
        .enumerate()
        .flat_map(|(i, size)| operations(i as u32, size));
    let searches = SEARCHES.into_iter().map(|(size, level)| search(size, level));
    operations.chain(searches).chain((0..random).map(tree)).collect()
}

/// Pseudo-random number generator (linear congruential: Knuth, TAOCP volume 2, section 3.3.4).
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// Draws 31 random bits.
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// Draws an integer in `0..bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }

    /// Draws a number between `low` and `high`.
    fn value(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.next() as f32 / (1u64 << 31) as f32)
    }

    /// Draws `count` numbers between `low` and `high`.
    fn values(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| self.value(low, high)).collect()
    }
}

/// Builder of a case: draws inputs and weights.
struct Builder {
    random: Random,
    inputs: Vec<Input>,
}

impl Builder {
    /// Starts a case without inputs.
    fn new(seed: u32) -> Self {
        Self {
            random: Random(u64::from(seed) + 1),
            inputs: Vec::new(),
        }
    }

    /// Adds an input `[channels, height, width]` of values between `low` and `high`, and returns its expression.
    fn input(&mut self, shape: [usize; 3], low: f32, high: f32) -> Expr {
        let data = self.random.values(shape.iter().product(), low, high);
        self.inputs.push(Input { shape, data });
        Expr::Input(self.inputs.len() - 1)
    }

    /// Adds an input of values between -1 and 1, and returns its expression.
    fn image(&mut self, channels: usize, [height, width]: [usize; 2]) -> Box<Expr> {
        Box::new(self.input([channels, height, width], -1.0, 1.0))
    }

    /// Adds a flow `[2, height, width]` of up to 6 pixels, and returns its expression.
    fn flow(&mut self, [height, width]: [usize; 2]) -> Box<Expr> {
        Box::new(self.input([2, height, width], -6.0, 6.0))
    }

    /// Adds a frame `[3, height, width]` of values around 0.5 whose content is displaced by `[x, y]` pixels, and returns its
    /// expression. It consists of sine waves of many directions and lengths, so that the true displacement is unambiguous.
    fn scene(&mut self, [height, width]: [usize; 2], [x, y]: [f32; 2]) -> Box<Expr> {
        let wave = |i: usize, u: f32, v: f32| {
            let (angle, frequency) = (i as f32 * 2.4, 0.04 * 1.19f32.powi(i as i32));
            (frequency * (angle.cos() * u + angle.sin() * v) + i as f32).sin()
        };
        let value = |i: usize| {
            let (c, row, column) = (i / (height * width), i / width % height, i % width);
            let (u, v) = (column as f32 - x, row as f32 - y);
            0.5 + (0..14).map(|i| 0.06 * wave(i + c, u, v)).sum::<f32>()
        };
        let data = (0..3 * height * width).map(value).collect();
        let shape = [3, height, width];
        self.inputs.push(Input { shape, data });
        Box::new(Expr::Input(self.inputs.len() - 1))
    }

    /// Draws a convolution with these channels and groups, and a random activation.
    fn conv(
        &mut self,
        kind: ConvKind,
        input: usize,
        output: usize,
        groups: usize,
        residual: bool,
    ) -> ConvSpec {
        let taps = if kind == ConvKind::Up { 16 } else { 9 };
        let count = input / groups * output * taps;
        let bound = 1.0 / ((input / groups * taps) as f32).sqrt();
        let activation = match self.random.below(3) {
            0 => Activation::None,
            1 => Activation::LeakyRelu(0.2),
            _ => Activation::Prelu(self.random.values(output, 0.0, 0.5)),
        };
        ConvSpec {
            kind,
            input,
            output,
            groups,
            weight: self.random.values(count, -bound, bound),
            bias: self.random.values(output, -0.1, 0.1),
            residual: residual.then(|| self.random.values(output, 0.0, 1.0)),
            activation,
        }
    }

    /// Completes the case.
    fn case(self, name: String, expr: Expr) -> Case {
        Case {
            name,
            expr,
            inputs: self.inputs,
        }
    }
}

/// Function that makes an operation's expression for an image of `[height, width]`.
type Make = fn(&mut Builder, [usize; 2]) -> Expr;

/// Makes the cases of every operation at a size `[height, width]`: alone, and downsampled by 2 and by 4 if that divides the
/// height and width of the result.
fn operations(seed: u32, size: [usize; 2]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, make) in OPERATIONS {
        let mut builder = Builder::new(seed);
        let expr = make(&mut builder, size);
        let [height, width] = size;
        cases.push(builder.case(format!("{name} at {height}x{width}"), expr));
        for factor in [2, 4] {
            // A convolution with stride 2 halves the size before.
            let multiple = if name.contains("down") { 2 * factor } else { factor };
            if height % multiple == 0 && width % multiple == 0 {
                let mut builder = Builder::new(seed);
                let expr = make(&mut builder, size);
                let reduced = Expr::Resize(Box::new(expr), Resize::Down(factor));
                cases.push(builder.case(
                    format!("{name} at {height}x{width}, reduced by {factor}"),
                    reduced,
                ));
            }
        }
    }
    cases
}

/// Names of the operations, and the functions that make their expressions.
const OPERATIONS: &[(&str, Make)] = &[
    ("plane", |b, size| Expr::Plane(b.image(3, size), -0.7)),
    ("timestep_affine", |b, size| {
        Expr::TimestepAffine([0.3, -2.0, 0.75], b.image(3, size))
    }),
    ("timestep_plane", |b, size| {
        Expr::TimestepPlane(0.3, b.image(3, size))
    }),
    ("mul_timestep", |b, size| Expr::MulTimestep(b.image(3, size), 0.3)),
    ("cat", |b, size| {
        Expr::Cat(vec![*b.image(3, size), *b.image(1, size), *b.image(17, size)])
    }),
    ("narrow", |b, size| Expr::Narrow(b.image(9, size), 2..5)),
    ("add", |b, size| Expr::Add(b.image(5, size), b.image(5, size))),
    ("mul", |b, size| Expr::Mul(b.image(5, size), b.image(1, size))),
    ("affine", |b, size| Expr::Affine(b.image(3, size), -1.5, 0.25)),
    ("clamp01", |b, size| Expr::Clamp01(b.image(3, size))),
    ("sigmoid", |b, size| Expr::Sigmoid(b.image(3, size))),
    ("resize up 2", |b, size| {
        Expr::Resize(b.image(3, size), Resize::Up(2))
    }),
    ("resize up 8", |b, size| {
        Expr::Resize(b.image(2, size), Resize::Up(8))
    }),
    ("warp", |b, size| Expr::Warp(b.image(3, size), b.flow(size))),
    ("warp, 20 channels", |b, size| {
        Expr::Warp(b.image(20, size), b.flow(size))
    }),
    ("warp_obmc", |b, size| {
        Expr::WarpObmc(b.image(3, size), b.flow(size), -0.4, [[3, 3], [-3, -3]])
    }),
    ("cubic_residual", |b, size| {
        Expr::CubicResidual(b.image(1, size), b.flow(size))
    }),
    ("add_last_channel", |b, size| {
        Expr::AddLastChannel(b.image(4, size), b.image(1, size))
    }),
    ("project_flow", |b, [height, width]| {
        Expr::ProjectFlow(Box::new(b.input([4, height, width], -3.0, 3.0)), 0.3)
    }),
    ("blend", |b, size| {
        Expr::Blend(b.image(3, size), b.image(3, size), b.image(1, size))
    }),
    ("keep_static", |b, size| {
        let first = b.image(3, size);
        let second = Expr::Affine(first.clone(), 1.0, 0.002);
        Expr::KeepStatic(first, Box::new(second), b.image(3, size), 1.5)
    }),
    ("keep_static, another threshold", |b, size| {
        let first = b.image(3, size);
        let second = Expr::Affine(first.clone(), 1.0, 0.01);
        Expr::KeepStatic(first, Box::new(second), b.image(3, size), 3.0)
    }),
    ("conv same", |b, size| {
        Expr::Conv(b.image(6, size), b.conv(ConvKind::Same, 6, 18, 1, false))
    }),
    ("conv same, wide, residual", |b, size| {
        Expr::Conv(b.image(48, size), b.conv(ConvKind::Same, 48, 48, 1, true))
    }),
    ("conv same, groups", |b, size| {
        Expr::Conv(b.image(32, size), b.conv(ConvKind::Same, 32, 32, 2, true))
    }),
    ("conv down", |b, size| {
        Expr::Conv(b.image(7, size), b.conv(ConvKind::Down, 7, 16, 1, false))
    }),
    ("conv up", |b, size| {
        Expr::Conv(b.image(16, size), b.conv(ConvKind::Up, 16, 4, 1, false))
    }),
    ("conv_chain", |b, size| {
        let layers = [(20, 32, false), (32, 32, true), (32, 32, true), (32, 8, false)];
        let specs =
            layers.map(|(input, output, residual)| b.conv(ConvKind::Same, input, output, 1, residual));
        Expr::ConvChain(b.image(20, size), specs.to_vec())
    }),
    ("conv_shuffled", |b, size| {
        Expr::ConvShuffled(b.image(24, size), b.conv(ConvKind::Up, 24, 20, 1, false))
    }),
    ("conv down of a concatenation of warps", |b, size| {
        let flow = b.flow(size);
        let parts = vec![
            Expr::Warp(b.image(3, size), flow.clone()),
            Expr::Affine(b.image(1, size), 2.0, -0.5),
            *flow,
        ];
        Expr::Conv(
            Box::new(Expr::Cat(parts)),
            b.conv(ConvKind::Down, 6, 16, 1, false),
        )
    }),
    ("pixel_shuffle", |b, size| Expr::PixelShuffle(b.image(12, size))),
    ("rotate180", |b, size| Expr::Rotate180(b.image(3, size))),
    ("materialize", |b, size| {
        Expr::Materialize(Box::new(Expr::Warp(b.image(3, size), b.flow(size))))
    }),
];

/// Makes the case of a dense inverse search in two frames of `[height, width]` that differ by a known motion.
fn search(size: [usize; 2], level: u32) -> Case {
    let mut builder = Builder::new(0);
    let [first, second] = [[0.0, 0.0], [2.3, -1.1]].map(|motion| builder.scene(size, motion));
    let expr = Expr::DisFlow(first, second, level, DisOptions::default());
    let [height, width] = size;
    builder.case(format!("dis_flow at {height}x{width}, level {level}"), expr)
}

/// Makes the case of a random tree of operations.
fn tree(seed: u32) -> Case {
    let mut builder = Builder::new(seed + 1_000);
    let sides = [4, 8, 12, 16, 20, 32];
    let size = [sides[builder.random.below(6)], sides[builder.random.below(6)]];
    let channels = 1 + builder.random.below(5);
    let expr = branch(&mut builder, channels, size, 5);
    builder.case(format!("tree {seed}"), expr)
}

/// Draws a random expression of shape `[channels, height, width]`, of at most `depth` nested operations.
fn branch(b: &mut Builder, channels: usize, size: [usize; 2], depth: u32) -> Expr {
    if depth == 0 {
        return *b.image(channels, size);
    }
    let [height, width] = size;
    let part = |b: &mut Builder, channels: usize| Box::new(branch(b, channels, size, depth - 1));
    match b.random.below(24) {
        0 => Expr::Add(part(b, channels), part(b, channels)),
        1 => Expr::Mul(part(b, channels), part(b, 1)),
        2 => Expr::Affine(
            part(b, channels),
            b.random.value(-1.5, 1.5),
            b.random.value(-0.5, 0.5),
        ),
        3 => Expr::Clamp01(part(b, channels)),
        4 => Expr::Sigmoid(part(b, channels)),
        5 => Expr::Warp(part(b, channels), b.flow(size)),
        6 => Expr::CubicResidual(part(b, channels), b.flow(size)),
        7 => Expr::Blend(part(b, channels), part(b, channels), part(b, 1)),
        8 => Expr::Rotate180(part(b, channels)),
        9 => Expr::Narrow(part(b, channels + 2), 1..channels + 1),
        10 => Expr::Cat((0..channels).map(|_| *part(b, 1)).collect()),
        11 if height % 2 == 0 && width % 2 == 0 => {
            let half = branch(b, channels, [height / 2, width / 2], depth - 1);
            Expr::Resize(Box::new(half), Resize::Up(2))
        }
        12 => {
            let twice = branch(b, channels, [height * 2, width * 2], depth.saturating_sub(2));
            Expr::Resize(Box::new(twice), Resize::Down(2))
        }
        13 => Expr::Conv(part(b, 4), b.conv(ConvKind::Same, 4, channels, 1, false)),
        14 => Expr::AddLastChannel(part(b, channels + 1), part(b, 1)),
        15 => Expr::MulTimestep(part(b, channels), b.random.value(0.0, 1.0)),
        16 if channels == 4 => Expr::ProjectFlow(Box::new(b.input([4, height, width], -3.0, 3.0)), 0.4),
        // Frames as they are: the operation multiplies their rounding by 255.
        17 => {
            let (first, second) = (b.image(channels, size), b.image(channels, size));
            Expr::KeepStatic(first, second, part(b, channels), 100.0)
        }
        18 => {
            let twice = branch(b, 5, [height * 2, width * 2], depth.saturating_sub(2));
            Expr::Conv(Box::new(twice), b.conv(ConvKind::Down, 5, channels, 1, false))
        }
        19 if height % 2 == 0 && width % 2 == 0 => {
            let half = branch(b, 3, [height / 2, width / 2], depth - 1);
            Expr::Conv(Box::new(half), b.conv(ConvKind::Up, 3, channels, 1, false))
        }
        20 if height % 4 == 0 && width % 4 == 0 => {
            let quarter = branch(b, 6, [height / 4, width / 4], depth - 1);
            Expr::ConvShuffled(Box::new(quarter), b.conv(ConvKind::Up, 6, channels * 4, 1, false))
        }
        21 if height % 2 == 0 && width % 2 == 0 => {
            let half = branch(b, channels * 4, [height / 2, width / 2], depth - 1);
            Expr::PixelShuffle(Box::new(half))
        }
        22 => {
            let x = part(b, 5);
            let specs = [(5, 16), (16, 16), (16, channels)];
            let specs = specs.map(|(input, output)| b.conv(ConvKind::Same, input, output, 1, false));
            Expr::ConvChain(x, specs.to_vec())
        }
        23 => Expr::Materialize(part(b, channels)),
        _ => Expr::WarpObmc(part(b, channels), b.flow(size), 0.3, [[3, -3], [-3, 3]]),
    }
}
