//! Expression trees of [`Backend`] operations, which any engine can evaluate.

use std::ops::Range;

use crate::{Backend, ConvSpec, DisOptions, Resize, Result};

/// Expression: an operation of [`Backend`] and its arguments.
#[derive(Debug, Clone)]
#[allow(
    missing_docs,
    reason = "each variant is the operation of its name, its fields that method's arguments"
)]
pub enum Expr {
    /// The input with this index.
    Input(usize),
    Plane(Box<Expr>, f32),
    TimestepPlane(f32, Box<Expr>),
    /// One channel with the value of a linear function of a timestep: `[timestep, factor, offset]`.
    TimestepAffine([f32; 3], Box<Expr>),
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
    ConvChain(Box<Expr>, Vec<ConvSpec>),
    ConvShuffled(Box<Expr>, ConvSpec),
    PixelShuffle(Box<Expr>),
    Rotate180(Box<Expr>),
    Materialize(Box<Expr>),
}

impl Expr {
    /// Evaluates the expression with an engine.
    ///
    /// # Errors
    /// Those of [`Backend::materialize`].
    ///
    /// # Panics
    /// When the engine panics at the shapes.
    pub fn eval<B: Backend>(&self, b: &B, inputs: &[B::Tensor]) -> Result<B::Tensor> {
        self.eval_with(b, inputs, None)
    }

    /// Evaluates the expression with an engine; applies `after_conv`, if given, to the result of each convolution.
    pub(super) fn eval_with<B: Backend>(
        &self,
        b: &B,
        inputs: &[B::Tensor],
        after_conv: Option<&dyn Fn(B::Tensor) -> B::Tensor>,
    ) -> Result<B::Tensor> {
        let of = |expr: &Expr| expr.eval_with(b, inputs, after_conv);
        let changed = |tensor| match after_conv {
            Some(change) => change(tensor),
            None => tensor,
        };
        let timestep = |value: f32, like: &B::Tensor| b.timestep(value, like);
        Ok(match self {
            Self::Input(index) => inputs[*index].clone(),
            Self::Plane(like, value) => b.plane(&of(like)?, *value),
            Self::TimestepPlane(value, like) => {
                let like = of(like)?;
                b.timestep_plane(&timestep(*value, &like), &like)
            }
            Self::TimestepAffine([value, factor, offset], like) => {
                let like = of(like)?;
                let timestep = b.timestep_affine(&timestep(*value, &like), *factor, *offset);
                b.timestep_plane(&timestep, &like)
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
            Self::Conv(x, spec) => changed(b.conv(&of(x)?, &b.conv_layer(spec.clone()))),
            Self::ConvChain(x, specs) => {
                let x = of(x)?;
                let layers: Vec<_> = specs.iter().map(|spec| b.conv_layer(spec.clone())).collect();
                match after_conv {
                    None => b.conv_chain(&x, &layers),
                    Some(_) => layers.iter().fold(x, |x, layer| changed(b.conv(&x, layer))),
                }
            }
            Self::ConvShuffled(x, spec) => changed(b.conv_shuffled(&of(x)?, &b.conv_layer(spec.clone()))),
            Self::PixelShuffle(x) => b.pixel_shuffle(&of(x)?),
            Self::Rotate180(x) => b.rotate180(&of(x)?),
            Self::Materialize(x) => b.materialize(&of(x)?)?,
        })
    }

    /// Lists the expression's operands in the order in which [`Expr::eval`] evaluates them.
    pub fn operands(&self) -> Vec<&Expr> {
        match self {
            Self::Input(_) => Vec::new(),
            Self::Plane(x, _)
            | Self::TimestepPlane(_, x)
            | Self::TimestepAffine(_, x)
            | Self::MulTimestep(x, _)
            | Self::Narrow(x, _)
            | Self::Affine(x, ..)
            | Self::Clamp01(x)
            | Self::Sigmoid(x)
            | Self::Resize(x, _)
            | Self::ProjectFlow(x, _)
            | Self::Conv(x, _)
            | Self::ConvChain(x, _)
            | Self::ConvShuffled(x, _)
            | Self::PixelShuffle(x)
            | Self::Rotate180(x)
            | Self::Materialize(x) => vec![x],
            Self::Add(x, y)
            | Self::Mul(x, y)
            | Self::Warp(x, y)
            | Self::WarpObmc(x, y, ..)
            | Self::CubicResidual(x, y)
            | Self::AddLastChannel(x, y)
            | Self::DisFlow(x, y, ..) => vec![x, y],
            Self::Blend(x, y, z) | Self::KeepStatic(x, y, z, _) => vec![x, y, z],
            Self::Cat(parts) => parts.iter().collect(),
        }
    }

    /// Lists the convolutions of the expression and its operands, in the order in which [`Expr::eval`] prepares them.
    pub fn convolutions(&self) -> Vec<&ConvSpec> {
        let mut found: Vec<_> = self.operands().into_iter().flat_map(Self::convolutions).collect();
        match self {
            Self::Conv(_, spec) | Self::ConvShuffled(_, spec) => found.push(spec),
            Self::ConvChain(_, specs) => found.extend(specs),
            _ => {}
        }
        found
    }

    /// Reports whether a condition holds for the expression or for a direct or indirect operand.
    pub fn any(&self, condition: &dyn Fn(&Expr) -> bool) -> bool {
        condition(self) || self.operands().into_iter().any(|expr| expr.any(condition))
    }

    /// Reports whether the expression contains a dense inverse search.
    pub fn searches(&self) -> bool {
        self.any(&|expr| matches!(expr, Self::DisFlow(..)))
    }
}
