//! Conformance suite: expressions of [`Backend`] operations with their inputs, and what the reference engine computes of
//! them. An engine's tests evaluate every [`Case`] of [`cases`] and compare with [`Case::expected`].
//!
//! Each operation appears at sizes at and around the tile edges of common kernels, alone and read through a reduction
//! (which lazy engines compute at a few pixels only); random trees of operations follow, from fixed seeds.

use std::ops::Range;

use crate::reference::ReferenceBackend;
use crate::{Activation, Backend, ConvKind, ConvSpec, DisOptions, Resize, Result};

/// An expression: an operation of [`Backend`] and its arguments.
#[derive(Debug, Clone)]
#[allow(
    missing_docs,
    reason = "each variant is the operation of its name, its fields that method's arguments"
)]
pub enum Expr {
    /// The input of this index.
    Input(usize),
    TimestepPlane(f32, Box<Expr>),
    MulTimestep(Box<Expr>, f32),
    Cat(Vec<Expr>),
    Narrow(Box<Expr>, Range<usize>),
    Add(Box<Expr>, Box<Expr>),
    Mul(Box<Expr>, Box<Expr>),
    Affine(Box<Expr>, f32, f32),
    Clamp01(Box<Expr>),
    Sigmoid(Box<Expr>),
    Resize(Box<Expr>, Resize),
    Warp(Box<Expr>, Box<Expr>),
    WarpObmc(Box<Expr>, Box<Expr>, f32, [[isize; 2]; 2]),
    CubicResidual(Box<Expr>, Box<Expr>),
    AddLastChannel(Box<Expr>, Box<Expr>),
    DisFlow(Box<Expr>, Box<Expr>, u32, DisOptions),
    ProjectFlow(Box<Expr>, f32),
    Blend(Box<Expr>, Box<Expr>, Box<Expr>),
    KeepStatic(Box<Expr>, Box<Expr>, Box<Expr>, f32),
    Conv(Box<Expr>, ConvSpec),
    ConvShuffled(Box<Expr>, ConvSpec),
    PixelShuffle(Box<Expr>),
    Rotate180(Box<Expr>),
    Materialize(Box<Expr>),
}

impl Expr {
    /// Evaluates the expression on an engine.
    ///
    /// # Errors
    /// Those of [`Backend::materialize`].
    ///
    /// # Panics
    /// Where the engine refuses shapes.
    pub fn eval<B: Backend>(&self, b: &B, inputs: &[B::Tensor]) -> Result<B::Tensor> {
        let of = |expr: &Expr| expr.eval(b, inputs);
        let timestep = |value: f32, like: &B::Tensor| b.timestep(value, like);
        Ok(match self {
            Self::Input(index) => inputs[*index].clone(),
            Self::TimestepPlane(value, like) => {
                let like = of(like)?;
                b.timestep_plane(&timestep(*value, &like), &like)
            }
            Self::MulTimestep(x, value) => {
                let x = of(x)?;
                b.mul_timestep(&x, &timestep(*value, &x))
            }
            Self::Cat(parts) => {
                let parts = parts.iter().map(of).collect::<Result<Vec<_>>>()?;
                b.cat(&parts.iter().collect::<Vec<_>>())
            }
            Self::Narrow(x, channels) => b.narrow(&of(x)?, channels.clone()),
            Self::Add(x, y) => b.add(&of(x)?, &of(y)?),
            Self::Mul(x, y) => b.mul(&of(x)?, &of(y)?),
            Self::Affine(x, factor, offset) => b.affine(&of(x)?, *factor, *offset),
            Self::Clamp01(x) => b.clamp01(&of(x)?),
            Self::Sigmoid(x) => b.sigmoid(&of(x)?),
            Self::Resize(x, factor) => b.resize(&of(x)?, *factor),
            Self::Warp(x, flow) => b.warp(&of(x)?, &of(flow)?),
            Self::WarpObmc(x, velocity, factor, neighbours) => {
                let (x, velocity) = (of(x)?, of(velocity)?);
                b.warp_obmc(&x, &velocity, &timestep(*factor, &x), *neighbours)
            }
            Self::CubicResidual(x, flow) => b.cubic_residual(&of(x)?, &of(flow)?),
            Self::AddLastChannel(x, by) => b.add_last_channel(&of(x)?, &of(by)?),
            Self::DisFlow(x, y, level, options) => b.dis_flow([&of(x)?, &of(y)?], *level, options),
            Self::ProjectFlow(flow, value) => {
                let flow = of(flow)?;
                b.project_flow(&flow, &timestep(*value, &flow))
            }
            Self::Blend(x, y, mask) => b.blend(&of(x)?, &of(y)?, &of(mask)?),
            Self::KeepStatic(x, y, made, threshold) => {
                b.keep_static([&of(x)?, &of(y)?], &of(made)?, *threshold)
            }
            Self::Conv(x, spec) => b.conv(&of(x)?, &b.conv_layer(spec.clone())),
            Self::ConvShuffled(x, spec) => b.conv_shuffled(&of(x)?, &b.conv_layer(spec.clone())),
            Self::PixelShuffle(x) => b.pixel_shuffle(&of(x)?),
            Self::Rotate180(x) => b.rotate180(&of(x)?),
            Self::Materialize(x) => b.materialize(&of(x)?)?,
        })
    }
}

/// An input: its shape, and planar values in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
    /// As many values.
    pub data: Vec<f32>,
}

/// An expression with its inputs.
#[derive(Debug, Clone)]
pub struct Case {
    /// The operation and the size, or the seed of a random tree.
    pub name: String,
    /// What is computed.
    pub expr: Expr,
    /// Of what.
    pub inputs: Vec<Input>,
}

impl Case {
    /// The values that the reference engine computes.
    pub fn expected(&self) -> Vec<f32> {
        self.run(&ReferenceBackend)
            .expect("the reference engine does not fail")
    }

    /// The values that an engine computes.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn run<B: Backend>(&self, b: &B) -> Result<Vec<f32>> {
        let inputs: Result<Vec<_>> = self
            .inputs
            .iter()
            .map(|input| b.upload(input.shape, &input.data))
            .collect();
        b.download(&self.expr.eval(b, &inputs?)?)
    }

    /// Compares an engine's values with the reference engine's.
    ///
    /// # Errors
    /// What differs most, where it differs by more than `tolerance` times the larger of 1 and the value.
    pub fn check<B: Backend>(&self, b: &B, tolerance: f32) -> std::result::Result<(), String> {
        let found = self.run(b).map_err(|error| format!("{}: {error}", self.name))?;
        self.compare(&found, tolerance)
    }

    /// Compares values with the reference engine's.
    ///
    /// # Errors
    /// As [`Case::check`].
    pub fn compare(&self, found: &[f32], tolerance: f32) -> std::result::Result<(), String> {
        let expected = self.expected();
        if found.len() != expected.len() {
            let (found, expected) = (found.len(), expected.len());
            return Err(format!("{}: {found} values, not {expected}", self.name));
        }
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let close = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
            if !(close || found.is_nan() && expected.is_nan()) {
                return Err(format!("{}: value {i} is {found}, not {expected}", self.name));
            }
        }
        Ok(())
    }
}

/// Sides at and around the edges of tiles of 4, 8, 16, 32 and 48 pixels.
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

/// All cases: each operation at each size, and `random` trees of operations.
pub fn cases(random: u32) -> Vec<Case> {
    let operations = SIDES
        .into_iter()
        .enumerate()
        .flat_map(|(i, size)| operations(i as u32, size));
    operations.chain((0..random).map(tree)).collect()
}

/// A pseudo-random sequence (a linear congruential generator: Knuth, TAOCP volume 2, section 3.3.4).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }

    /// Between `low` and `high`.
    fn value(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.next() as f32 / (1u64 << 31) as f32)
    }

    fn values(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| self.value(low, high)).collect()
    }
}

/// Builds a case.
struct Builder {
    random: Random,
    inputs: Vec<Input>,
}

impl Builder {
    fn new(seed: u32) -> Self {
        Self {
            random: Random(u64::from(seed) + 1),
            inputs: Vec::new(),
        }
    }

    /// A new input of values between `low` and `high`.
    fn input(&mut self, shape: [usize; 3], low: f32, high: f32) -> Expr {
        let data = self.random.values(shape.iter().product(), low, high);
        self.inputs.push(Input { shape, data });
        Expr::Input(self.inputs.len() - 1)
    }

    fn image(&mut self, channels: usize, [height, width]: [usize; 2]) -> Box<Expr> {
        Box::new(self.input([channels, height, width], -1.0, 1.0))
    }

    fn flow(&mut self, [height, width]: [usize; 2]) -> Box<Expr> {
        Box::new(self.input([2, height, width], -6.0, 6.0))
    }

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

    fn case(self, name: String, expr: Expr) -> Case {
        Case {
            name,
            expr,
            inputs: self.inputs,
        }
    }
}

/// Makes an operation's expression at a size.
type Make = fn(&mut Builder, [usize; 2]) -> Expr;

/// Every operation alone; those that read pixels of their own size also through a reduction, where the size has one.
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

const OPERATIONS: &[(&str, Make)] = &[
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

/// A random tree of operations.
fn tree(seed: u32) -> Case {
    let mut builder = Builder::new(seed + 1_000);
    let sides = [4, 8, 12, 16, 20, 32];
    let size = [sides[builder.random.below(6)], sides[builder.random.below(6)]];
    let channels = 1 + builder.random.below(5);
    let expr = branch(&mut builder, channels, size, 5);
    builder.case(format!("tree {seed}"), expr)
}

/// A random expression of a shape, at most so deep.
fn branch(b: &mut Builder, channels: usize, size: [usize; 2], depth: u32) -> Expr {
    if depth == 0 {
        return *b.image(channels, size);
    }
    let [height, width] = size;
    let part = |b: &mut Builder, channels: usize| Box::new(branch(b, channels, size, depth - 1));
    match b.random.below(15) {
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
        _ => Expr::WarpObmc(part(b, channels), b.flow(size), 0.3, [[3, -3], [-3, 3]]),
    }
}
