//! RIFE 4.x: a stack of blocks from coarse to fine, each correcting the flow and giving a mask, with features of
//! each frame from an encoder in the later versions. One description; what differs is [`V4Spec`].

use super::block::{Estimate, IfBlock, warp_both};
use super::{Encoded, Make, Options, Output, Stage, Stages};
use crate::backend::{Backend, ConvKind, grey};
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
    /// Whether the last block gives, beside flow and mask, three channels that are added to the blended frame.
    pub(crate) residual: bool,
    /// Whether the blocks' flow is that of motion at an even speed, at the middle: at t it is 2 t times that towards the
    /// first frame, 2 - 2 t times that towards the second.
    pub(crate) linear: bool,
    /// Whether a pixel that is the same in both frames stays ([`Backend::keep_still`]).
    pub(crate) still: bool,
    /// Whether the first block begins with motion that was found without weights ([`Backend::motion`]) and sees, beside
    /// what that moved, the frames as they are.
    pub(crate) start: bool,
    /// Whether the last block sees the frames as that motion alone moves them ([`hedged`]), too, and gives two channels more: how much of
    /// these either moved frame takes.
    pub(crate) choice: bool,
    /// Whether the last block gives a channel more: how much of the detail that sampling the blended frames loses
    /// ([`Backend::detail`]) they get back, all three channels that of their grey.
    pub(crate) sharp: bool,
    /// Whether each block's mask is added to the one before, or replaces it.
    pub(crate) adds_mask: bool,
    /// Whether all scales double when the second block finds motion above 32 pixels both ways.
    pub(crate) doubles: bool,
}

/// Channels of [`V4Spec::residual`].
const RESIDUAL: usize = 3;

/// The most of the lost detail that [`V4Spec::sharp`] gives back: a sigmoid says how much of this. One share for all pixels
/// did best at half of it; noisy pictures want less.
const SHARPEST: f32 = 1.4;

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
        let more = self.residual_channels() + 2 * usize::from(self.choice) + usize::from(self.sharp);
        match (index + 1 < self.channels.len(), more) {
            (true, _) => (self.head, self.feat),
            (false, 0) => (self.head, 0),
            (false, more) => (4 * (5 + more), more),
        }
    }

    /// How many channels that is: they come first of what the last block gives beside flow and mask.
    fn residual_channels(&self) -> usize {
        RESIDUAL * usize::from(self.residual)
    }

    /// Channels that enter a block.
    fn input(&self, index: usize) -> usize {
        let frames = 2 * (3 + self.encoder.channels()) + 1;
        match (index, self.start) {
            (0, false) => frames,
            (0, true) => frames + 2 * 3 + 4,
            _ if self.chooses(index) => frames + 1 + self.feat + 4 + 2 * 3,
            _ => frames + 1 + self.feat + 4,
        }
    }

    /// Whether a block is the one that [`V4Spec::choice`] speaks of.
    fn chooses(&self, index: usize) -> bool {
        self.choice && index + 1 == self.channels.len()
    }
}

/// One of the 4.x networks.
#[derive(Debug, Clone)]
pub(crate) struct V4Net<L> {
    spec: V4Spec,
    blocks: Vec<IfBlock<L>>,
    encoder: Vec<L>,
}

/// Rows down and columns right of the neighbours whose velocities [`hedged`] takes for a pixel's, by opinion. With three
/// pixels it gained more than with four or six.
const NEAR: [[[isize; 2]; 2]; 2] = [[[3, 3], [-3, -3]], [[3, -3], [-3, 3]]];

/// What the blocks so far have found.
struct State<T> {
    stage: Stage<T>,
    features: Option<[T; 2]>,
    feat: Option<T>,
    /// Whether no block has run yet: the flow is [`V4Spec::start`]'s.
    begun: bool,
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

    pub(crate) fn encode<B: Backend<Conv = L>>(&self, b: &B, image: &B::Tensor) -> Vec<B::Tensor> {
        if self.encoder.is_empty() {
            return Vec::new();
        }
        let features = b.materialize(&b.chain(image, &self.encoder));
        // Joined to what they are features of: both are warped by the same flows.
        vec![b.materialize(&b.cat(&[image, &features]))]
    }

    pub(crate) fn interpolate<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        timestep: &B::Tensor,
        options: &Options,
    ) -> Output<B::Tensor> {
        let pair = Pair {
            b,
            frames,
            timestep,
            features: self.spec.encoder.channels(),
            linear: self.spec.linear,
            greys: self.spec.sharp.then(|| frames.map(|frame| grey(b, &frame.image))),
        };
        let mut log2 = -options.scale.log2();
        let begun = self.spec.start.then(|| self.begin(&pair, log2));
        let (mut state, started) = begun.unzip();
        let mut stages = Stages::new(options.keep_stages);
        for (i, block) in self.blocks.iter().enumerate() {
            let chosen = started.as_ref().filter(|_| self.spec.chooses(i));
            let more = chosen.map(|started| started.each_ref().map(|x| b.channels(x, 0..3)));
            let more = more.as_ref().map_or(&[][..], |more| more);
            let mut estimate = pair.estimate(block, state.as_ref(), more, log2 + self.log2(i));
            if i == 1 && self.spec.doubles && is_far(b, &estimate.flow) {
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
        let more = state.and_then(|state| state.feat);
        let merged = more.map_or_else(
            || stage.merged(b),
            |more| self.corrected(&pair, &stage, started.as_ref(), &more),
        );
        let images = frames.map(|frame| &frame.image);
        Output {
            merged: if self.spec.still {
                b.keep_still(images, &merged)
            } else {
                merged
            },
            flow: stage.flow,
            mask: stage.mask,
            stages,
        }
    }

    /// The frame between, from what moved frames there are (by all blocks, and by the motion begun with), as the last
    /// block says with what it gave beside flow and mask.
    fn corrected<B: Backend<Conv = L>>(
        &self,
        pair: &Pair<'_, B>,
        last: &Stage<B::Tensor>,
        started: Option<&[B::Tensor; 2]>,
        more: &B::Tensor,
    ) -> B::Tensor {
        let (b, spec) = (pair.b, &self.spec);
        let channel = |i: usize| b.channels(more, i..i + 1);
        let mut stage = last.clone();
        stage.warped = Self::detailed(pair, &last.warped, &last.flow);
        if let Some(started) = started.filter(|_| spec.choice) {
            let share = |i| channel(spec.residual_channels() + i);
            stage.warped = [0, 1].map(|i| b.blend(&started[i], &stage.warped[i], &share(i)));
        }
        let mut merged = stage.merged(b);
        if spec.sharp {
            let share = b.sigmoid(&channel(b.shape(more)[0] - 1));
            merged = b.sharpen(&merged, &b.affine(&share, SHARPEST, 0.0));
        }
        if spec.residual {
            merged = b.add(&merged, &b.channels(more, 0..RESIDUAL));
        }
        merged
    }

    /// The state before the first block, with flow that is found without weights at the network's size, and both frames
    /// as they are moved by all opinions of that motion ([`hedged`]), with [`V4Net::detailed`]'s channel.
    fn begin<B: Backend<Conv = L>>(
        &self,
        pair: &Pair<'_, B>,
        log2: i32,
    ) -> (State<B::Tensor>, [B::Tensor; 2]) {
        let b = pair.b;
        let finest = log2.max(0);
        let images = pair.frames.map(|frame| &frame.image);
        let opinions = b.motion(images, pair.timestep, finest as u32);
        let opinions = crate::scale::resize_flow(b, &opinions, finest);
        let opinions = [0, 1].map(|k| b.channels(&opinions, 2 * k..2 * k + 2));
        let shares = [b.affine(pair.timestep, -1.0, 1.0), pair.timestep.clone()];
        let velocity = b.add(
            &b.scaled(&opinions[0], &shares[0]),
            &b.scaled(&opinions[1], &shares[1]),
        );
        // Backwards to the first frame, onwards to the second.
        let ways = [b.affine(pair.timestep, -1.0, 0.0), shares[0].clone()];
        let flow = b.cat(&[&b.scaled(&velocity, &ways[0]), &b.scaled(&velocity, &ways[1])]);
        let moved = [0, 1].map(|i| hedged(b, images[i], &opinions, &shares, &ways[i]));
        let moved = Self::detailed(pair, &moved, &flow).map(|x| b.materialize(&x));
        let mask = b.plane(pair.timestep, 0.0);
        let state = State {
            begun: true,
            ..self.moved(pair, flow, mask, None)
        };
        (state, moved)
    }

    /// The moved frames, each with what sampling its grey by a flow loses as a fourth channel, where [`V4Spec::sharp`]
    /// says so.
    fn detailed<B: Backend<Conv = L>>(
        pair: &Pair<'_, B>,
        moved: &[B::Tensor; 2],
        flow: &B::Tensor,
    ) -> [B::Tensor; 2] {
        let b = pair.b;
        let Some(greys) = &pair.greys else {
            return moved.clone();
        };
        [0, 1].map(|i| {
            let lost = b.detail(&greys[i], &b.channels(flow, 2 * i..2 * i + 2));
            b.cat(&[&moved[i], &lost])
        })
    }

    /// What [`V4Net::encode`] joined: images and their features.
    fn parted<B: Backend<Conv = L>>(
        &self,
        b: &B,
        joined: [B::Tensor; 2],
    ) -> ([B::Tensor; 2], Option<[B::Tensor; 2]>) {
        let end = 3 + self.spec.encoder.channels();
        let images = joined.each_ref().map(|x| b.channels(x, 0..3));
        (images, Some(joined.each_ref().map(|x| b.channels(x, 3..end))))
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
        self.moved(pair, flow, mask, estimate.feat)
    }

    /// Moves the frames by a flow.
    fn moved<B: Backend<Conv = L>>(
        &self,
        pair: &Pair<'_, B>,
        flow: B::Tensor,
        mask: B::Tensor,
        feat: Option<B::Tensor>,
    ) -> State<B::Tensor> {
        let b = pair.b;
        // After the last block nothing looks at the features; the images are sampled in them all the same, since an
        // engine that lays out images for sampling then needs no second copy of theirs.
        let (warped, features) = match pair.frames.map(|frame| frame.features.first()) {
            [Some(first), Some(second)] => self.parted(b, warp_both(b, [first, second], &flow)),
            _ => (warp_both(b, pair.frames.map(|frame| &frame.image), &flow), None),
        };
        State {
            stage: Stage { flow, mask, warped },
            features,
            feat,
            begun: false,
        }
    }
}

/// An image moved by `way` times each opinion of the velocity, the mean of what these make of it by their shares: where
/// it is in doubt what moved how, that errs less than moving it by the mean velocity.
fn hedged<B: Backend>(
    b: &B,
    image: &B::Tensor,
    opinions: &[B::Tensor; 2],
    shares: &[B::Tensor; 2],
    way: &B::Tensor,
) -> B::Tensor {
    let [first, second] =
        [0, 1].map(|k| b.scaled(&b.warp_near(image, &opinions[k], way, NEAR[k]), &shares[k]));
    b.add(&first, &second)
}

/// Two frames and a time between them.
struct Pair<'a, B: Backend> {
    b: &'a B,
    frames: [&'a Encoded<B::Tensor>; 2],
    timestep: &'a B::Tensor,
    /// Channels of a frame's features.
    features: usize,
    /// As [`V4Spec::linear`].
    linear: bool,
    /// The frames in grey, where [`V4Spec::sharp`] needs them.
    greys: Option<[B::Tensor; 2]>,
}

impl<B: Backend> Pair<'_, B> {
    /// Runs a block on the frames, or on what they were warped to; `more` is joined last.
    fn estimate(
        &self,
        block: &IfBlock<B::Conv>,
        state: Option<&State<B::Tensor>>,
        more: &[B::Tensor],
        log2: i32,
    ) -> Estimate<B::Tensor> {
        let looks = self.looks(state);
        let mut parts: Vec<_> = looks.iter().collect();
        parts.push(self.timestep);
        match state {
            Some(State { begun: true, .. }) => parts.extend(self.frames.map(|frame| &frame.image)),
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
        let timestep = self.b.affine(self.timestep, -1.0, 1.0);
        let mask = state.map(|state| self.b.affine(&state.stage.mask, -1.0, 0.0));
        let flow = state.map(|state| exchanged(self.b, &state.stage.flow));
        let looks = self.looks(state);
        let mut parts: Vec<_> = looks.chunks(2).flat_map(|two| [&two[1], &two[0]]).collect();
        parts.push(&timestep);
        parts.extend(&mask);
        parts.extend(state.and_then(|state| state.feat.as_ref()));
        self.at(
            &timestep,
            block.estimate(self.b, &parts, flow.as_ref(), &[], log2),
        )
    }

    /// A block's estimate at a time, see [`V4Spec::linear`].
    fn at(&self, timestep: &B::Tensor, estimate: Estimate<B::Tensor>) -> Estimate<B::Tensor> {
        if !self.linear {
            return estimate;
        }
        let b = self.b;
        let share = |range, by: &B::Tensor| b.scaled(&b.channels(&estimate.flow, range), by);
        let before = share(0..2, &b.affine(timestep, 2.0, 0.0));
        let after = share(2..4, &b.affine(timestep, -2.0, 2.0));
        Estimate {
            flow: b.cat(&[&before, &after]),
            ..estimate
        }
    }

    /// Both images and, where there is an encoder, both frames' features: warped from the second block on.
    fn looks(&self, state: Option<&State<B::Tensor>>) -> Vec<B::Tensor> {
        let Some(state) = state else {
            let images = self.frames.map(|frame| frame.image.clone());
            let features = self.frames.iter().flat_map(|frame| frame.features.first());
            let features = features.map(|joined| self.b.channels(joined, 3..3 + self.features));
            return images.into_iter().chain(features).collect();
        };
        let features = state.features.iter().flatten();
        state.stage.warped.iter().chain(features).cloned().collect()
    }
}

/// The flow with its two directions exchanged.
fn exchanged<B: Backend>(b: &B, flow: &B::Tensor) -> B::Tensor {
    b.cat(&[&b.channels(flow, 2..4), &b.channels(flow, 0..2)])
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

fn is_far<B: Backend>(b: &B, flow: &B::Tensor) -> bool {
    [0..2, 2..4]
        .into_iter()
        .all(|direction| b.max_abs(&b.channels(flow, direction)) > FAR)
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
    use crate::reference::ReferenceBackend;
    use crate::scale::Scale;
    use crate::version::{Family, Version};
    use crate::{Weights, deterministic};

    fn interpolated(spec: V4Spec, weights: &Weights, scale: Scale) -> Vec<f32> {
        let b = ReferenceBackend;
        let net = V4Net::new(spec, &mut |layer| b.conv_layer(layer.spec(weights).unwrap()));
        let values: Vec<f32> = (0..3 * 128 * 128).map(|i| (i % 251) as f32 / 251.0).collect();
        let frame = |image| Encoded {
            image,
            features: Vec::new(),
            rotated: None,
        };
        let first = frame(b.upload([3, 128, 128], &values));
        let second = frame(b.rotate180(&first.image));
        let options = Options {
            scale,
            ..Options::default()
        };
        let timestep = b.plane(&first.image, 0.5);
        b.download(&net.interpolate(&b, [&first, &second], &timestep, &options).merged)
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
