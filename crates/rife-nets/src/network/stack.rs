//! RIFE 4.x networks: a stack of IFBlocks from coarse to fine, each of which corrects the flow and outputs a mask; later
//! versions add an encoder, whose features of each frame are warped with it. [`NetworkSpec`] holds the differences.

use rife_backend::{Backend, ConvKind, Result};

use super::block::{Estimate, IfBlock, warp_both};
use super::prior::{self, Projected};
use super::synthesis::Synthesizer;
use super::{Encoded, EncodedPair, MakeLayer, Options, Output, Stage, Stages};
use crate::layer::LayerDesc;
use crate::spec::{EncoderKeys, EncoderSpec, FlowModel, Head, MaskUpdate, NetworkSpec, Trunk};

/// Layers of a block's trunk.
const TRUNK_LAYERS: usize = 8;

/// A 4.x network; `L` is a backend's prepared convolution.
#[derive(Debug, Clone)]
pub(crate) struct StackNet<L> {
    spec: NetworkSpec,
    blocks: Vec<IfBlock<L>>,
    /// Layers of the encoder; empty without one.
    encoder: Vec<L>,
}

/// The running estimate between two blocks.
struct State<T> {
    stage: Stage<T>,
    /// Both frames' encoder features, warped; `None` for a network without an encoder.
    features: Option<[T; 2]>,
    /// Features that the last block passes to the next.
    feat: Option<T>,
    /// Whether the flow is the prior's, no block having run yet.
    is_prior: bool,
}

impl<L> StackNet<L> {
    /// Builds the network of a checked description, `make` being called for each layer.
    pub(crate) fn new(spec: NetworkSpec, make: MakeLayer<'_, L>) -> Self {
        let blocks = (0..spec.blocks.len()).map(|i| block(&spec, i, make)).collect();
        let encoder = encoder_layers(spec.encoder).iter().map(make).collect();
        Self {
            spec,
            blocks,
            encoder,
        }
    }

    /// Encodes one frame `[3, height, width]`: returns the image concatenated with its encoder features, as one tensor, or
    /// nothing for a network without an encoder.
    pub(crate) fn encode<B: Backend<Conv = L>>(&self, b: &B, image: &B::Tensor) -> Result<Vec<B::Tensor>> {
        if self.encoder.is_empty() {
            return Ok(Vec::new());
        }
        let features = b.materialize(&b.conv_chain(image, &self.encoder))?;
        // Concatenated with the image: both are warped by the same flow.
        Ok(vec![b.materialize(&b.cat(&[image, &features]))?])
    }

    /// Computes the prior's flow between two frames, which all timesteps share; `None` for a network without a prior.
    pub(crate) fn prior<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        options: &Options,
    ) -> Option<B::Tensor> {
        let images = frames.map(|frame| &frame.image);
        self.spec
            .prior
            .map(|prior| prior::flow(b, &prior, images, options))
    }

    /// Makes the frame at a timestep between the frames of an encoded pair: runs all blocks, then the synthesis.
    pub(crate) fn interpolate<B: Backend<Conv = L>>(
        &self,
        b: &B,
        encoded: &EncodedPair<B::Tensor>,
        timestep: &B::Timestep,
        options: &Options,
    ) -> Result<Output<B::Tensor>> {
        let frames = encoded.frames.each_ref();
        let images = frames.map(|frame| &frame.image);
        let pair = PairInput {
            b,
            frames,
            timestep,
            timestep_plane: b.timestep_plane(timestep, images[0]),
            features: self.spec.encoder_features(),
            flow_model: self.spec.flow,
        };
        let synthesizer = Synthesizer::new(b, self.spec.synthesis, images);
        let mut log2 = -options.scale.log2();
        let projected = self.spec.prior.zip(encoded.prior.as_ref());
        let projected = projected.map(|(prior, flow)| Projected::new(b, &prior, flow, timestep, options));
        let mut state = projected.as_ref().map(|projected| self.initial(&pair, projected));
        let candidates = self.candidates(&pair, &synthesizer, projected.as_ref(), state.as_ref())?;
        let mut stages = Stages::new(options.keep_stages);
        for (i, block) in self.blocks.iter().enumerate() {
            let seen = candidates.as_ref().filter(|_| self.spec.sees_prior(i));
            let seen = seen.map(|both| both.each_ref().map(|x| b.narrow(x, 0..3)));
            let extra = seen.as_ref().map_or(&[][..], |both| both);
            let mut estimate = pair.estimate(block, state.as_ref(), extra, log2 + self.log2(i));
            if i == 1 && self.restarts(b, &estimate.flow)? {
                log2 += 1;
                let first = pair.estimate(&self.blocks[0], None, &[], log2 + self.log2(0));
                state = Some(self.advance(&pair, None, first));
                estimate = pair.estimate(block, state.as_ref(), &[], log2 + self.log2(i));
            }
            if options.ensemble {
                let swapped = pair.estimate_swapped(block, state.as_ref(), log2 + self.log2(i));
                estimate = mean(b, estimate, swapped);
            }
            let next = self.advance(&pair, state, estimate);
            stages.push(next.stage.clone());
            state = Some(next);
        }
        let (stage, stages) = stages.finish();
        let extra = state.and_then(|state| state.feat);
        Ok(Output {
            merged: synthesizer.frame(&stage, candidates.as_ref(), extra.as_ref()),
            flow: stage.flow,
            mask: stage.mask,
            stages,
        })
    }

    /// Returns the state before the first block of a network with a prior: the frames warped by its flow, mask 0.
    fn initial<B: Backend<Conv = L>>(
        &self,
        pair: &PairInput<'_, B>,
        projected: &Projected<'_, B>,
    ) -> State<B::Tensor> {
        let mask = pair.b.plane(&pair.timestep_plane, 0.0);
        State {
            is_prior: true,
            ..self.warped(pair, projected.flow(), mask, None)
        }
    }

    /// Warps both frames by the prior for the blend, see [`Synthesizer::with_cubic_residual`] for their channels; `None`
    /// without [`crate::Synthesis::blend_prior`].
    fn candidates<B: Backend<Conv = L>>(
        &self,
        pair: &PairInput<'_, B>,
        synthesizer: &Synthesizer<'_, B>,
        projected: Option<&Projected<'_, B>>,
        state: Option<&State<B::Tensor>>,
    ) -> Result<Option<[B::Tensor; 2]>> {
        let (Some(projected), Some(state), Some(blend)) = (projected, state, self.spec.synthesis.blend_prior)
        else {
            return Ok(None);
        };
        let warped = projected.candidates(pair.frames.map(|frame| &frame.image), blend);
        let [first, second] = synthesizer.with_cubic_residual(&warped, &state.stage.flow);
        Ok(Some([pair.b.materialize(&first)?, pair.b.materialize(&second)?]))
    }

    /// Reports whether the second block's flow exceeds [`NetworkSpec::restart`] in both directions, so that the first two
    /// blocks run again at doubled scales.
    fn restarts<B: Backend<Conv = L>>(&self, b: &B, flow: &B::Tensor) -> Result<bool> {
        let Some(limit) = self.spec.restart else {
            return Ok(false);
        };
        let is_long = |direction| Ok(b.max_abs(&b.narrow(flow, direction))? > limit);
        Ok(is_long(0..2)? && is_long(2..4)?)
    }

    /// Splits the warped tensors of [`StackNet::encode`] into images and encoder features.
    fn split<B: Backend<Conv = L>>(
        &self,
        b: &B,
        encoded: [B::Tensor; 2],
    ) -> ([B::Tensor; 2], Option<[B::Tensor; 2]>) {
        let end = 3 + self.spec.encoder_features();
        let images = encoded.each_ref().map(|x| b.narrow(x, 0..3));
        (images, Some(encoded.each_ref().map(|x| b.narrow(x, 3..end))))
    }

    /// Returns log2 of the downsampling factor of a block's inputs.
    fn log2(&self, index: usize) -> i32 {
        self.spec.blocks[index].scale.ilog2() as i32
    }

    /// Adds a block's estimate to the state before (`None` before the first block) and warps the frames by the new flow.
    fn advance<B: Backend<Conv = L>>(
        &self,
        pair: &PairInput<'_, B>,
        state: Option<State<B::Tensor>>,
        estimate: Estimate<B::Tensor>,
    ) -> State<B::Tensor> {
        let b = pair.b;
        let (flow, mask) = match state {
            None => (estimate.flow, estimate.mask),
            Some(State { stage, .. }) => {
                let mask = match self.spec.mask {
                    MaskUpdate::Sum => b.add(&stage.mask, &estimate.mask),
                    MaskUpdate::Replace => estimate.mask.clone(),
                };
                (b.add(&stage.flow, &estimate.flow), mask)
            }
        };
        self.warped(pair, flow, mask, estimate.feat)
    }

    /// Warps both frames and their features by a flow and returns the resulting state.
    fn warped<B: Backend<Conv = L>>(
        &self,
        pair: &PairInput<'_, B>,
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

/// Inputs that all blocks share: two encoded frames and a timestep.
struct PairInput<'a, B: Backend> {
    b: &'a B,
    frames: [&'a Encoded<B::Tensor>; 2],
    timestep: &'a B::Timestep,
    /// The timestep as one channel.
    timestep_plane: B::Tensor,
    /// Channels of a frame's encoder features.
    features: usize,
    flow_model: FlowModel,
}

impl<B: Backend> PairInput<'_, B> {
    /// Runs a block on the unwarped frames (`state` is `None`) or on the warped frames, mask and features of `state`, at
    /// `2^-log2` of their size; `more` is concatenated last.
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

    /// Runs a block with first and second frame swapped, timestep `1 - t` and negated mask; flow and mask of the result are
    /// still those of the swapped frames.
    fn estimate_swapped(
        &self,
        block: &IfBlock<B::Conv>,
        state: Option<&State<B::Tensor>>,
        log2: i32,
    ) -> Estimate<B::Tensor> {
        let timestep = self.b.timestep_affine(self.timestep, -1.0, 1.0);
        let timestep_plane = self.b.timestep_plane(&timestep, &self.timestep_plane);
        let mask = state.map(|state| self.b.affine(&state.stage.mask, -1.0, 0.0));
        let flow = state.map(|state| swap_directions(self.b, &state.stage.flow));
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

    /// Scales the flow of a block's estimate from the middle to a timestep if the flow model is linear, see [`FlowModel`].
    fn at(&self, timestep: &B::Timestep, estimate: Estimate<B::Tensor>) -> Estimate<B::Tensor> {
        if self.flow_model == FlowModel::Free {
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

    /// Returns both images, then both frames' encoder features if there are any: unwarped without a state, else warped.
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

/// Swaps the two directions of a flow `[4, height, width]`.
fn swap_directions<B: Backend>(b: &B, flow: &B::Tensor) -> B::Tensor {
    b.cat(&[&b.narrow(flow, 2..4), &b.narrow(flow, 0..2)])
}

/// Averages an estimate and one made with swapped frames, after swapping its flow and negating its mask; features are
/// those of the first.
fn mean<B: Backend>(
    b: &B,
    forward: Estimate<B::Tensor>,
    swapped: Estimate<B::Tensor>,
) -> Estimate<B::Tensor> {
    let flow = b.affine(
        &b.add(&forward.flow, &swap_directions(b, &swapped.flow)),
        0.5,
        0.0,
    );
    let negated = b.affine(&swapped.mask, -1.0, 0.0);
    let mask = b.affine(&b.add(&forward.mask, &negated), 0.5, 0.0);
    Estimate {
        flow,
        mask,
        feat: forward.feat,
    }
}

/// Lists the layers of an encoder; empty without one.
fn encoder_layers(encoder: Option<EncoderSpec>) -> Vec<LayerDesc> {
    let Some(encoder) = encoder else {
        return Vec::new();
    };
    let EncoderSpec {
        layers,
        keys,
        inner,
        features,
    } = encoder;
    if layers == 2 {
        return vec![
            LayerDesc::plain(ConvKind::Down, "encode.0", 3, inner),
            LayerDesc::plain(ConvKind::Up, "encode.1", inner, features),
        ];
    }
    let key = |i: usize| match keys {
        // PyTorch's `Sequential` counts the activations too.
        EncoderKeys::Numbered => format!("encode.{}", 2 * i),
        EncoderKeys::Named => format!("encode.cnn{i}"),
    };
    vec![
        LayerDesc::leaky(ConvKind::Down, key(0), 3, inner),
        LayerDesc::leaky(ConvKind::Same, key(1), inner, inner),
        LayerDesc::leaky(ConvKind::Same, key(2), inner, inner),
        LayerDesc::plain(ConvKind::Up, key(3), inner, features),
    ]
}

/// Lists all layers of a network, in the order in which [`StackNet::new`] builds them.
pub(crate) fn layers(spec: &NetworkSpec) -> Vec<LayerDesc> {
    let mut layers = Vec::new();
    StackNet::new(*spec, &mut |layer| layers.push(layer.clone()));
    layers
}

/// Builds block number `index` (0 is the coarsest), `make` being called for each layer.
fn block<L>(spec: &NetworkSpec, index: usize, make: MakeLayer<'_, L>) -> IfBlock<L> {
    let key = format!("block{index}");
    let (input, trunk) = (spec.input_channels(index), spec.blocks[index].channels);
    let activated = |kind, key: &str, input, output| match spec.trunk {
        Trunk::Prelu => LayerDesc::prelu(kind, key, input, output),
        Trunk::LeakyRelu | Trunk::ResConv { .. } => LayerDesc::leaky(kind, format!("{key}.0"), input, output),
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
    for i in 0..TRUNK_LAYERS {
        let key = format!("{key}.convblock.{i}");
        layers.push(make(&match spec.trunk {
            Trunk::ResConv { groups } => LayerDesc::res_conv(&key, trunk, groups),
            Trunk::Prelu | Trunk::LeakyRelu => activated(ConvKind::Same, &key, trunk, trunk),
        }));
    }
    let (shuffle, head) = (spec.head != Head::Transposed, spec.head_channels(index));
    let last = if shuffle { "lastconv.0" } else { "lastconv" };
    layers.push(make(&LayerDesc {
        used: spec.used_head_channels(index),
        ..LayerDesc::plain(ConvKind::Up, format!("{key}.{last}"), trunk, head)
    }));
    IfBlock {
        layers,
        residual: spec.trunk == Trunk::Prelu,
        shuffle,
        head_log2: i32::from(!shuffle),
        feat: spec.extra_channels(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::scale::Scale;
    use crate::version::Version;
    use crate::{Weights, deterministic};
    use rife_backend::reference::ReferenceBackend;

    fn interpolated(spec: NetworkSpec, weights: &Weights, scale: Scale) -> Vec<f32> {
        let b = ReferenceBackend;
        let net = StackNet::new(spec, &mut |layer| b.conv_layer(layer.spec(weights).unwrap()));
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

    /// Restarting with doubled scales equals starting at half the scale.
    #[test]
    fn large_motion_doubles_the_scales_of_4_0() {
        let version: Version = "4.0".parse().unwrap();
        let spec = version.spec().unwrap();
        let mut weights = deterministic::weights(version);
        let mut bias = weights.get("block1.lastconv.bias").unwrap().clone();
        bias.data[..4].fill(20.0);
        weights.insert("block1.lastconv.bias", bias);
        let never = NetworkSpec {
            restart: None,
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
