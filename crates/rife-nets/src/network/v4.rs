//! RIFE 4.x: a stack of blocks from coarse to fine, each correcting the flow and giving a mask, with features of
//! each frame from an encoder in the later versions. One description; what differs is [`V4Spec`].

use rife_backend::composed::luma;
use rife_backend::{Backend, ConvKind, Result};

use super::block::{Estimate, IfBlock, warp_both};
use super::{Encoded, EncodedPair, Make, Options, Output, Stage, Stages};

use crate::layer::LayerDesc;

/// The eight layers in the middle of every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trunk {
    /// Convolutions with PReLU, the trunk's input added to its output.
    Prelu,
    /// Convolutions with LeakyReLU.
    Leaky,
    /// ResConvs in this many groups.
    Res(usize),
}

/// What turns a frame into features once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// Nothing does.
    None,
    /// One convolution down to 16 channels and one up to 4, no activation.
    Short,
    /// Four layers with keys by number, 32 channels inside.
    Sequence {
        /// Features a frame.
        out: usize,
    },
    /// Four layers with keys `cnn0` to `cnn3`.
    Named {
        /// Channels inside.
        inner: usize,
        /// Features a frame.
        out: usize,
    },
}

impl Encoder {
    /// Channels of a frame's features.
    pub(crate) fn channels(self) -> usize {
        match self {
            Self::None => 0,
            Self::Short => 4,
            Self::Sequence { out } | Self::Named { out, .. } => out,
        }
    }

    fn layers(self) -> Vec<LayerDesc> {
        let four = |keys: [&str; 4], inner, out| {
            vec![
                LayerDesc::leaky(ConvKind::Down, keys[0], 3, inner),
                LayerDesc::leaky(ConvKind::Same, keys[1], inner, inner),
                LayerDesc::leaky(ConvKind::Same, keys[2], inner, inner),
                LayerDesc::plain(ConvKind::Up, keys[3], inner, out),
            ]
        };
        match self {
            Self::None => Vec::new(),
            Self::Short => vec![
                LayerDesc::plain(ConvKind::Down, "encode.0", 3, 16),
                LayerDesc::plain(ConvKind::Up, "encode.1", 16, 4),
            ],
            Self::Sequence { out } => four(["encode.0", "encode.2", "encode.4", "encode.6"], 32, out),
            Self::Named { inner, out } => four(
                ["encode.cnn0", "encode.cnn1", "encode.cnn2", "encode.cnn3"],
                inner,
                out,
            ),
        }
    }
}

/// What distinguishes one 4.x network from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct V4Spec {
    /// The middle of every block, and with it the activation.
    pub(crate) trunk: Trunk,
    /// Channels that the head's transposed convolution gives; 5 without pixel shuffle, else a multiple of 4.
    pub(crate) head: usize,
    /// The features of a frame.
    pub(crate) encoder: Encoder,
    /// Channels of each block's trunk.
    pub(crate) channels: &'static [usize],
    /// Each block's scale: its inputs are shrunk by this.
    pub(crate) scales: &'static [usize],
    /// Channels handed from block to block beside flow and mask.
    pub(crate) feat: usize,
    /// Whether the network may be run with both directions averaged.
    pub(crate) ensemble: bool,
    /// Whether the last block outputs, after flow and mask, an RGB residual that is added to the blended frame.
    pub(crate) residual: bool,
    /// Whether flow is linear in time: a block's output is the flow at the middle frame, and at timestep t its part towards
    /// the first frame is multiplied by 2t, its part towards the second by 2 - 2t.
    pub(crate) linear: bool,
    /// Whether pixels that are equal in both frames are kept ([`Backend::keep_static`]).
    pub(crate) keep_static: bool,
    /// Whether the initial flow is a prior without weights ([`Backend::dis_flow`]). The first block then sees, besides the
    /// frames warped by it, the frames themselves.
    pub(crate) prior: bool,
    /// Whether the last block also sees the frames warped by the prior alone ([`warp_candidates`]) and outputs two more
    /// channels: before the sigmoid, their share in the blend with the frames warped by the network's flow.
    pub(crate) blend_prior: bool,
    /// Whether the last block outputs one more channel: before the sigmoid, the strength with which the cubic
    /// interpolation residual of the luma ([`Backend::cubic_residual`]) is added to all three channels of the blend.
    pub(crate) cubic_residual: bool,
    /// Whether each block's mask is added to the one before, or replaces it.
    pub(crate) adds_mask: bool,
    /// Whether all scales double when the second block finds motion above 32 pixels both ways.
    pub(crate) doubles: bool,
}

/// Channels of [`V4Spec::residual`].
const RESIDUAL_CHANNELS: usize = 3;

/// Upper bound of the strength of [`V4Spec::cubic_residual`]: the sigmoid is multiplied by it. Of constant strengths, 0.7
/// did best; noisy images want less.
const MAX_CUBIC_RESIDUAL: f32 = 1.4;

/// Motion in pixels above which [`V4Spec::doubles`] starts again.
pub(crate) const FAR: f32 = 32.0;

impl V4Spec {
    /// The largest factor by which a tensor is shrunk at scale 1, and so what sizes must be multiples of.
    pub(crate) fn size_multiple(&self) -> usize {
        let largest = self.scales[0] << usize::from(self.doubles);
        4 * largest
    }

    /// Channels that a block's head gives, and how many of them beside flow and mask are used.
    fn head_and_feat(&self, index: usize) -> (usize, usize) {
        let more =
            self.residual_channels() + 2 * usize::from(self.blend_prior) + usize::from(self.cubic_residual);
        match (index + 1 < self.channels.len(), more) {
            (true, _) => (self.head, self.feat),
            (false, 0) => (self.head, 0),
            (false, more) => (4 * (5 + more), more),
        }
    }

    /// How many channels that is: they come first of what the last block gives beside flow and mask.
    fn residual_channels(&self) -> usize {
        RESIDUAL_CHANNELS * usize::from(self.residual)
    }

    /// Channels that enter a block.
    fn input(&self, index: usize) -> usize {
        let frames = 2 * (3 + self.encoder.channels()) + 1;
        match (index, self.prior) {
            (0, false) => frames,
            (0, true) => frames + 2 * 3 + 4,
            _ if self.blends_prior(index) => frames + 1 + self.feat + 4 + 2 * 3,
            _ => frames + 1 + self.feat + 4,
        }
    }

    /// Whether a block is the one that [`V4Spec::blend_prior`] concerns.
    fn blends_prior(&self, index: usize) -> bool {
        self.blend_prior && index + 1 == self.channels.len()
    }
}

/// One of the 4.x networks.
#[derive(Debug, Clone)]
pub(crate) struct V4Net<L> {
    spec: V4Spec,
    blocks: Vec<IfBlock<L>>,
    encoder: Vec<L>,
}

/// OBMC neighbours in rows and columns of [`warp_candidates`], by direction of the search: along one diagonal for the
/// forward search, along the other for the backward one. A distance of three pixels gained more than four or six.
const OBMC_NEIGHBOURS: [[[isize; 2]; 2]; 2] = [[[3, 3], [-3, -3]], [[3, -3], [-3, 3]]];

/// The state before the first block, and both frames warped by the prior.
type Initial<T> = (State<T>, [T; 2]);

/// The estimate after some blocks.
struct State<T> {
    stage: Stage<T>,
    features: Option<[T; 2]>,
    feat: Option<T>,
    /// Whether no block has run yet: the flow is that of [`V4Spec::prior`].
    is_prior: bool,
}

impl<L> V4Net<L> {
    pub(crate) fn new(spec: V4Spec, make: Make<'_, L>) -> Self {
        let blocks = (0..spec.channels.len()).map(|i| block(&spec, i, make)).collect();
        let encoder = spec.encoder.layers().iter().map(make).collect();
        Self {
            spec,
            blocks,
            encoder,
        }
    }

    pub(crate) fn encode<B: Backend<Conv = L>>(&self, b: &B, image: &B::Tensor) -> Result<Vec<B::Tensor>> {
        if self.encoder.is_empty() {
            return Ok(Vec::new());
        }
        let features = b.materialize(&b.conv_chain(image, &self.encoder))?;
        // Concatenated with the image: both are warped by the same flow.
        Ok(vec![b.materialize(&b.cat(&[image, &features]))?])
    }

    /// The flow of [`V4Spec::prior`], which does not depend on the timestep.
    pub(crate) fn prior<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        options: &Options,
    ) -> Option<B::Tensor> {
        let level = prior_level(options) as u32;
        let images = frames.map(|frame| &frame.image);
        self.spec
            .prior
            .then(|| b.dis_flow(images, level, &rife_backend::DisOptions::default()))
    }

    pub(crate) fn interpolate<B: Backend<Conv = L>>(
        &self,
        b: &B,
        encoded: &EncodedPair<B::Tensor>,
        timestep: &B::Timestep,
        options: &Options,
    ) -> Result<Output<B::Tensor>> {
        let frames = encoded.frames.each_ref();
        let images = frames.map(|frame| &frame.image);
        let pair = Pair {
            b,
            frames,
            timestep,
            timestep_plane: b.timestep_plane(timestep, images[0]),
            features: self.spec.encoder.channels(),
            linear: self.spec.linear,
            luma: self
                .spec
                .cubic_residual
                .then(|| images.map(|image| luma(b, image))),
        };
        let mut log2 = -options.scale.log2();
        let prior = encoded.prior.as_ref();
        let initial = prior.map(|flow| self.initial(&pair, flow, prior_level(options)));
        let (mut state, candidates) = initial.transpose()?.unzip();
        let mut stages = Stages::new(options.keep_stages);
        for (i, block) in self.blocks.iter().enumerate() {
            let seen = candidates.as_ref().filter(|_| self.spec.blends_prior(i));
            let seen = seen.map(|both| both.each_ref().map(|x| b.narrow(x, 0..3)));
            let extra = seen.as_ref().map_or(&[][..], |both| both);
            let mut estimate = pair.estimate(block, state.as_ref(), extra, log2 + self.log2(i));
            if i == 1 && self.spec.doubles && is_far(b, &estimate.flow)? {
                log2 += 1;
                let first = pair.estimate(&self.blocks[0], None, &[], log2 + self.log2(0));
                state = Some(self.advance(&pair, None, first));
                estimate = pair.estimate(block, state.as_ref(), &[], log2 + self.log2(i));
            }
            if options.ensemble {
                let back = pair.estimate_back(block, state.as_ref(), log2 + self.log2(i));
                estimate = mean(b, estimate, back);
            }
            let next = self.advance(&pair, state, estimate);
            stages.push(next.stage.clone());
            state = Some(next);
        }
        let (stage, stages) = stages.finish();
        let extra = state.and_then(|state| state.feat);
        let mut merged = match extra {
            Some(extra) => self.synthesize(&pair, &stage, candidates.as_ref(), &extra),
            None => stage.merged(b),
        };
        if self.spec.keep_static {
            merged = b.keep_static(images, &merged, 1.5);
        }
        Ok(Output {
            merged,
            flow: stage.flow,
            mask: stage.mask,
            stages,
        })
    }

    /// Synthesis: the frame between, from the frames warped by the network's flow, those warped by the prior
    /// (`candidates`), and the last block's channels after flow and mask (`extra`).
    fn synthesize<B: Backend<Conv = L>>(
        &self,
        pair: &Pair<'_, B>,
        last: &Stage<B::Tensor>,
        candidates: Option<&[B::Tensor; 2]>,
        extra: &B::Tensor,
    ) -> B::Tensor {
        let (b, spec) = (pair.b, &self.spec);
        let channel = |i: usize| b.narrow(extra, i..i + 1);
        let mut stage = last.clone();
        stage.warped = pair.with_cubic_residual(&last.warped, &last.flow);
        if let Some(candidates) = candidates.filter(|_| spec.blend_prior) {
            let share = |i| channel(spec.residual_channels() + i);
            stage.warped = [0, 1].map(|i| b.blend(&candidates[i], &stage.warped[i], &share(i)));
        }
        let mut merged = stage.merged(b);
        if spec.cubic_residual {
            let strength = b.sigmoid(&channel(b.shape(extra)[0] - 1));
            merged = b.add_last_channel(&merged, &b.affine(&strength, MAX_CUBIC_RESIDUAL, 0.0));
        }
        if spec.residual {
            merged = b.add(&merged, &b.narrow(extra, 0..RESIDUAL_CHANNELS));
        }
        merged
    }

    /// The state before the first block, with the prior as its flow, and both frames warped by the prior's candidates
    /// ([`warp_candidates`]), with [`Pair::with_cubic_residual`]'s channel.
    fn initial<B: Backend<Conv = L>>(
        &self,
        pair: &Pair<'_, B>,
        prior: &B::Tensor,
        level: i32,
    ) -> Result<Initial<B::Tensor>> {
        let (b, timestep) = (pair.b, pair.timestep);
        let velocities = crate::scale::resize_flow(b, &b.project_flow(prior, timestep), level);
        let velocities = [0, 1].map(|k| b.narrow(&velocities, 2 * k..2 * k + 2));
        let weights = [b.timestep_affine(timestep, -1.0, 1.0), timestep.clone()];
        let [forward, backward] = [0, 1].map(|k| b.mul_timestep(&velocities[k], &weights[k]));
        let velocity = b.add(&forward, &backward);
        // From the frame between back to the first frame, and on to the second.
        let factors = [b.timestep_affine(timestep, -1.0, 0.0), weights[0].clone()];
        let [to_first, to_second] = factors.each_ref().map(|factor| b.mul_timestep(&velocity, factor));
        let flow = b.cat(&[&to_first, &to_second]);
        let images = pair.frames.map(|frame| &frame.image);
        let warped = [0, 1].map(|i| warp_candidates(b, images[i], &velocities, &weights, &factors[i]));
        let [first, second] = pair.with_cubic_residual(&warped, &flow);
        let candidates = [b.materialize(&first)?, b.materialize(&second)?];
        let mask = b.plane(&pair.timestep_plane, 0.0);
        let state = State {
            is_prior: true,
            ..self.warped(pair, flow, mask, None)
        };
        Ok((state, candidates))
    }

    /// Splits what [`V4Net::encode`] concatenated into images and features.
    fn split<B: Backend<Conv = L>>(
        &self,
        b: &B,
        encoded: [B::Tensor; 2],
    ) -> ([B::Tensor; 2], Option<[B::Tensor; 2]>) {
        let end = 3 + self.spec.encoder.channels();
        let images = encoded.each_ref().map(|x| b.narrow(x, 0..3));
        (images, Some(encoded.each_ref().map(|x| b.narrow(x, 3..end))))
    }

    fn log2(&self, index: usize) -> i32 {
        self.spec.scales[index].ilog2() as i32
    }

    /// Adds a block's estimate to what was found before.
    fn advance<B: Backend<Conv = L>>(
        &self,
        pair: &Pair<'_, B>,
        state: Option<State<B::Tensor>>,
        estimate: Estimate<B::Tensor>,
    ) -> State<B::Tensor> {
        let b = pair.b;
        let (flow, mask) = match state {
            None => (estimate.flow, estimate.mask),
            Some(State { stage, .. }) => {
                let added = || b.add(&stage.mask, &estimate.mask);
                let mask = if self.spec.adds_mask {
                    added()
                } else {
                    estimate.mask.clone()
                };
                (b.add(&stage.flow, &estimate.flow), mask)
            }
        };
        self.warped(pair, flow, mask, estimate.feat)
    }

    /// Warps the frames by a flow.
    fn warped<B: Backend<Conv = L>>(
        &self,
        pair: &Pair<'_, B>,
        flow: B::Tensor,
        mask: B::Tensor,
        feat: Option<B::Tensor>,
    ) -> State<B::Tensor> {
        let b = pair.b;
        // After the last block the features are unused. The images are warped together with them all the same, since an
        // engine that keeps images interleaved for sampling then needs no second copy.
        let (warped, features) = match pair.frames.map(|frame| frame.features.first()) {
            [Some(first), Some(second)] => self.split(b, warp_both(b, [first, second], &flow)),
            _ => (warp_both(b, pair.frames.map(|frame| &frame.image), &flow), None),
        };
        State {
            stage: Stage { flow, mask, warped },
            features,
            feat,
            is_prior: false,
        }
    }
}

/// The resolution of the prior as a power of two: the search runs at the network's scale, at most at the frame's size.
fn prior_level(options: &Options) -> i32 {
    (-options.scale.log2()).max(0)
}

/// An image warped by `factor` times the velocities of both searches with OBMC, averaged by `weights`: where the motion
/// is uncertain, a mean of warped candidates errs less than a warp by the mean velocity.
fn warp_candidates<B: Backend>(
    b: &B,
    image: &B::Tensor,
    velocities: &[B::Tensor; 2],
    weights: &[B::Timestep; 2],
    factor: &B::Timestep,
) -> B::Tensor {
    let [first, second] = [0, 1].map(|k| {
        let warped = b.warp_obmc(image, &velocities[k], factor, OBMC_NEIGHBOURS[k]);
        b.mul_timestep(&warped, &weights[k])
    });
    b.add(&first, &second)
}

/// Two frames and a timestep.
struct Pair<'a, B: Backend> {
    b: &'a B,
    frames: [&'a Encoded<B::Tensor>; 2],
    timestep: &'a B::Timestep,
    timestep_plane: B::Tensor,
    /// Channels of a frame's features.
    features: usize,
    /// As [`V4Spec::linear`].
    linear: bool,
    /// Luma of the frames, where [`V4Spec::cubic_residual`] needs it.
    luma: Option<[B::Tensor; 2]>,
}

impl<B: Backend> Pair<'_, B> {
    /// The warped frames, each with the cubic residual of its luma at the flow as a fourth channel where
    /// [`V4Spec::cubic_residual`] is set.
    fn with_cubic_residual(&self, warped: &[B::Tensor; 2], flow: &B::Tensor) -> [B::Tensor; 2] {
        let b = self.b;
        let Some(luma) = &self.luma else {
            return warped.clone();
        };
        [0, 1].map(|i| {
            let residual = b.cubic_residual(&luma[i], &b.narrow(flow, 2 * i..2 * i + 2));
            b.cat(&[&warped[i], &residual])
        })
    }

    /// Runs a block on the frames, or on what they were warped to; `more` is joined last.
    fn estimate(
        &self,
        block: &IfBlock<B::Conv>,
        state: Option<&State<B::Tensor>>,
        more: &[B::Tensor],
        log2: i32,
    ) -> Estimate<B::Tensor> {
        let inputs = self.inputs(state);
        let mut parts: Vec<_> = inputs.iter().collect();
        parts.push(&self.timestep_plane);
        match state {
            Some(State { is_prior: true, .. }) => parts.extend(self.frames.map(|frame| &frame.image)),
            Some(state) => {
                parts.push(&state.stage.mask);
                parts.extend(&state.feat);
            }
            None => {}
        }
        let flow = state.map(|state| &state.stage.flow);
        self.at(self.timestep, block.estimate(self.b, &parts, flow, more, log2))
    }

    /// Runs a block with the frames' roles exchanged, its estimate still in those roles.
    fn estimate_back(
        &self,
        block: &IfBlock<B::Conv>,
        state: Option<&State<B::Tensor>>,
        log2: i32,
    ) -> Estimate<B::Tensor> {
        let timestep = self.b.timestep_affine(self.timestep, -1.0, 1.0);
        let timestep_plane = self.b.timestep_plane(&timestep, &self.timestep_plane);
        let mask = state.map(|state| self.b.affine(&state.stage.mask, -1.0, 0.0));
        let flow = state.map(|state| exchanged(self.b, &state.stage.flow));
        let inputs = self.inputs(state);
        let mut parts: Vec<_> = inputs.chunks(2).flat_map(|two| [&two[1], &two[0]]).collect();
        parts.push(&timestep_plane);
        parts.extend(&mask);
        parts.extend(state.and_then(|state| state.feat.as_ref()));
        self.at(
            &timestep,
            block.estimate(self.b, &parts, flow.as_ref(), &[], log2),
        )
    }

    /// A block's estimate with its flow scaled to a timestep, see [`V4Spec::linear`].
    fn at(&self, timestep: &B::Timestep, estimate: Estimate<B::Tensor>) -> Estimate<B::Tensor> {
        if !self.linear {
            return estimate;
        }
        let b = self.b;
        let scaled = |channels, factor, offset| {
            let factor = b.timestep_affine(timestep, factor, offset);
            b.mul_timestep(&b.narrow(&estimate.flow, channels), &factor)
        };
        let [to_first, to_second] = [scaled(0..2, 2.0, 0.0), scaled(2..4, -2.0, 2.0)];
        Estimate {
            flow: b.cat(&[&to_first, &to_second]),
            ..estimate
        }
    }

    /// Both images and, where there is an encoder, both frames' features: warped from the second block on.
    fn inputs(&self, state: Option<&State<B::Tensor>>) -> Vec<B::Tensor> {
        let Some(state) = state else {
            let images = self.frames.map(|frame| frame.image.clone());
            let features = self.frames.iter().flat_map(|frame| frame.features.first());
            let features = features.map(|joined| self.b.narrow(joined, 3..3 + self.features));
            return images.into_iter().chain(features).collect();
        };
        let features = state.features.iter().flatten();
        state.stage.warped.iter().chain(features).cloned().collect()
    }
}

/// The flow with its two directions exchanged.
fn exchanged<B: Backend>(b: &B, flow: &B::Tensor) -> B::Tensor {
    b.cat(&[&b.narrow(flow, 2..4), &b.narrow(flow, 0..2)])
}

/// The mean of an estimate and one made with the frames exchanged, whose mask has the other sign.
fn mean<B: Backend>(b: &B, there: Estimate<B::Tensor>, back: Estimate<B::Tensor>) -> Estimate<B::Tensor> {
    let flow = b.affine(&b.add(&there.flow, &exchanged(b, &back.flow)), 0.5, 0.0);
    let negated = b.affine(&back.mask, -1.0, 0.0);
    let mask = b.affine(&b.add(&there.mask, &negated), 0.5, 0.0);
    Estimate {
        flow,
        mask,
        feat: there.feat,
    }
}

fn is_far<B: Backend>(b: &B, flow: &B::Tensor) -> Result<bool> {
    let is_far = |direction| Ok(b.max_abs(&b.narrow(flow, direction))? > FAR);
    Ok(is_far(0..2)? && is_far(2..4)?)
}

/// Channels of a head that flow, mask and `feat` more come from.
fn used(head: usize, feat: usize, shuffle: bool) -> usize {
    if shuffle { 4 * (5 + feat) } else { head }
}

fn block<L>(spec: &V4Spec, index: usize, make: Make<'_, L>) -> IfBlock<L> {
    let key = format!("block{index}");
    let (input, trunk) = (spec.input(index), spec.channels[index]);
    let activated = |kind, key: &str, input, output| match spec.trunk {
        Trunk::Prelu => LayerDesc::prelu(kind, key, input, output),
        Trunk::Leaky | Trunk::Res(_) => LayerDesc::leaky(kind, format!("{key}.0"), input, output),
    };
    let mut layers = vec![
        make(&activated(
            ConvKind::Down,
            &format!("{key}.conv0.0"),
            input,
            trunk / 2,
        )),
        make(&activated(
            ConvKind::Down,
            &format!("{key}.conv0.1"),
            trunk / 2,
            trunk,
        )),
    ];
    for i in 0..8 {
        let key = format!("{key}.convblock.{i}");
        layers.push(make(&match spec.trunk {
            Trunk::Res(groups) => LayerDesc::res_conv(&key, trunk, groups),
            Trunk::Prelu | Trunk::Leaky => activated(ConvKind::Same, &key, trunk, trunk),
        }));
    }
    let shuffle = spec.head.is_multiple_of(4);
    let (head, feat) = spec.head_and_feat(index);
    let last = if shuffle { "lastconv.0" } else { "lastconv" };
    layers.push(make(&LayerDesc {
        used: used(head, feat, shuffle),
        ..LayerDesc::plain(ConvKind::Up, format!("{key}.{last}"), trunk, head)
    }));
    IfBlock {
        layers,
        residual: spec.trunk == Trunk::Prelu,
        shuffle,
        shrink: i32::from(!shuffle),
        feat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::scale::Scale;
    use crate::version::{Family, Version};
    use crate::{Weights, deterministic};
    use rife_backend::reference::ReferenceBackend;

    fn interpolated(spec: V4Spec, weights: &Weights, scale: Scale) -> Vec<f32> {
        let b = ReferenceBackend;
        let net = V4Net::new(spec, &mut |layer| b.conv_layer(layer.spec(weights).unwrap()));
        let values: Vec<f32> = (0..3 * 128 * 128).map(|i| (i % 251) as f32 / 251.0).collect();
        let frame = |image| Encoded {
            image,
            features: Vec::new(),
            rotated: None,
        };
        let first = frame(b.upload([3, 128, 128], &values).unwrap());
        let second = frame(b.rotate180(&first.image));
        let options = Options {
            scale,
            ..Options::default()
        };
        let pair = EncodedPair {
            frames: [first, second],
            prior: None,
            rotated: None,
        };
        b.download(&net.interpolate(&b, &pair, &0.5, &options).unwrap().merged)
            .unwrap()
    }

    /// Starting again with doubled scales is the same as having begun at half the scale.
    #[test]
    fn large_motion_doubles_the_scales_of_4_0() {
        let version: Version = "4.0".parse().unwrap();
        let Family::V4(spec) = version.family() else {
            unreachable!("4.0 is a 4.x")
        };
        let mut weights = deterministic::weights(version);
        let mut bias = weights.get("block1.lastconv.bias").unwrap().clone();
        bias.data[..4].fill(20.0);
        weights.insert("block1.lastconv.bias", bias);
        let never = V4Spec {
            doubles: false,
            ..*spec
        };
        let doubled = interpolated(*spec, &weights, Scale::One);
        assert_eq!(doubled, interpolated(never, &weights, Scale::Half));
        assert_ne!(doubled, interpolated(never, &weights, Scale::One));
    }

    #[test]
    fn a_network_keeps_its_version() {
        let version: Version = "4.6".parse().unwrap();
        assert_eq!(Network::build(version, false, |_| ()).version(), version);
    }
}
