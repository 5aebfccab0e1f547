//! ContextNet and U-Net of the RIFE paper (Huang et al., ECCV 2022): context features of each frame at four scales, and a
//! U-Net over the warped frames and warped features that outputs a residual of the blended frame. RIFE_HDv2 has both with
//! twice the channels and one more stride-2 convolution pair.

use rife_backend::{Backend, ConvKind, Result};

use super::MakeLayer;
use crate::layer::LayerDesc;
use crate::scale::resize_flow;

/// Two convolutions with PReLU (RIFE's `Conv2`), the first of which may have stride 2.
pub(crate) type ConvPair<L> = [L; 2];

/// Width and strides of a context network and U-Net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefineSpec {
    /// Channels of the finest context feature: 16 or 32.
    pub(crate) width: usize,
    /// Whether the first convolution of both networks has stride 2; false for IFNet_2R.
    pub(crate) half_resolution: bool,
    /// Whether one more stride-2 convolution pair comes first (RIFE_HDv2).
    pub(crate) entry: bool,
}

impl RefineSpec {
    /// Returns the kind of the first convolution of either network.
    fn first_kind(self) -> ConvKind {
        if self.half_resolution {
            ConvKind::Down
        } else {
            ConvKind::Same
        }
    }
}

/// Builds two convolutions `key.conv1` (of this kind) and `key.conv2` (stride 1), each with PReLU.
fn pair<L>(make: MakeLayer<'_, L>, key: &str, kind: ConvKind, input: usize, output: usize) -> ConvPair<L> {
    [
        make(&LayerDesc::prelu(kind, &format!("{key}.conv1"), input, output)),
        make(&LayerDesc::prelu(
            ConvKind::Same,
            &format!("{key}.conv2"),
            output,
            output,
        )),
    ]
}

/// The context network: features of one frame at four scales, unwarped.
#[derive(Debug, Clone)]
pub(crate) struct ContextNet<L> {
    spec: RefineSpec,
    /// One pair per feature, preceded by the entry pair if [`RefineSpec::entry`].
    pairs: Vec<ConvPair<L>>,
}

impl<L> ContextNet<L> {
    /// Builds the network, `make` being called for each layer.
    pub(crate) fn new(spec: RefineSpec, make: MakeLayer<'_, L>) -> Self {
        let c = spec.width;
        let stages = [(3, c), (c, 2 * c), (2 * c, 4 * c), (4 * c, 8 * c)];
        let pairs = if spec.entry {
            let entry = std::iter::once((3, c))
                .chain([(c, c)])
                .chain(stages[1..].iter().copied());
            let key = |i| format!("contextnet.conv{i}");
            entry
                .enumerate()
                .map(|(i, (from, to))| pair(make, &key(i), ConvKind::Down, from, to))
                .collect()
        } else {
            let kind = |i| if i == 0 { spec.first_kind() } else { ConvKind::Down };
            let key = |i| format!("contextnet.conv{}", i + 1);
            let stages = stages.into_iter().enumerate();
            stages
                .map(|(i, (from, to))| pair(make, &key(i), kind(i), from, to))
                .collect()
        };
        Self { spec, pairs }
    }

    /// Computes the four features of a frame `[3, height, width]`, from fine to coarse; each has twice the channels and half
    /// the size of the one before.
    pub(crate) fn features<B: Backend<Conv = L>>(&self, b: &B, image: &B::Tensor) -> Result<Vec<B::Tensor>> {
        let mut x = image.clone();
        let mut features = Vec::with_capacity(self.pairs.len());
        for pair in &self.pairs {
            x = b.materialize(&b.conv_chain(&x, pair))?;
            features.push(x.clone());
        }
        Ok(features.split_off(usize::from(self.spec.entry)))
    }

    /// Warps the four features by a flow of 2 channels, downsampled to the size of each. `flow` has the frame's size, half of
    /// it if [`RefineSpec::entry`].
    pub(crate) fn warp<B: Backend<Conv = L>>(
        &self,
        b: &B,
        features: &[B::Tensor],
        flow: &B::Tensor,
    ) -> Vec<B::Tensor> {
        let mut flow = flow.clone();
        let warped = features.iter().enumerate().map(|(i, feature)| {
            if i > 0 || self.spec.half_resolution {
                flow = resize_flow(b, &flow, -1);
            }
            b.warp(feature, &flow)
        });
        warped.collect()
    }
}

/// The U-Net: four stride-2 convolution pairs, each output concatenated with the context features of that scale, then four
/// transposed convolutions with skip connections.
#[derive(Debug, Clone)]
pub(crate) struct Unet<L> {
    /// First pair of convolutions; `None` for variants without it.
    entry: Option<ConvPair<L>>,
    /// Encoder: pairs of convolutions that halve the resolution.
    down: Vec<ConvPair<L>>,
    /// Decoder: transposed convolutions that double the resolution.
    up: Vec<L>,
    /// Output convolution.
    last: L,
}

impl<L> Unet<L> {
    /// Builds the U-Net for `input` channels; `make` constructs each layer.
    pub(crate) fn new(spec: RefineSpec, input: usize, make: MakeLayer<'_, L>) -> Self {
        let c = spec.width;
        let entry = spec
            .entry
            .then(|| pair(make, "unet.conv0", ConvKind::Down, input, c));
        let first = if spec.entry {
            (ConvKind::Down, c)
        } else {
            (spec.first_kind(), input)
        };
        let stages = [
            (first.0, first.1, 2),
            (ConvKind::Down, 4 * c, 4),
            (ConvKind::Down, 8 * c, 8),
            (ConvKind::Down, 16 * c, 16),
        ];
        let stages = stages.into_iter().enumerate();
        let down =
            stages.map(|(i, (kind, from, to))| pair(make, &format!("unet.down{i}"), kind, from, to * c));
        let down = down.collect();
        let ups = [(32, 8), (16, 4), (8, 2), (4, 1)].into_iter().enumerate();
        let up = |(i, (from, to))| LayerDesc::prelu(ConvKind::Up, &format!("unet.up{i}"), from * c, to * c);
        let up = ups.map(|stage| make(&up(stage))).collect();
        let last = match (spec.entry, spec.half_resolution) {
            (true, _) => LayerDesc::plain(ConvKind::Up, "unet.conv", c, 4),
            (false, true) => LayerDesc::plain(ConvKind::Same, "unet.conv", c, 3),
            (false, false) => LayerDesc::plain(ConvKind::Down, "unet.conv", c, 3),
        };
        Self {
            entry,
            down,
            up,
            last: make(&last),
        }
    }

    /// Runs the network on `inputs` of the frame's size (concatenated) and both frames' warped features; returns the output of
    /// the last convolution before any sigmoid, 3 channels (4 for RIFE_HDv2) of the frame's size.
    pub(crate) fn refine<B: Backend<Conv = L>>(
        &self,
        b: &B,
        inputs: &[&B::Tensor],
        [context0, context1]: [&[B::Tensor]; 2],
    ) -> B::Tensor {
        let mut x = b.cat(inputs);
        if let Some(entry) = &self.entry {
            x = b.conv_chain(&x, entry);
        }
        let mut finer = Vec::with_capacity(self.down.len());
        for (i, pair) in self.down.iter().enumerate() {
            let down = b.conv_chain(&x, pair);
            x = b.cat(&[&down, &context0[i], &context1[i]]);
            finer.push(down);
        }
        finer.pop();
        let (last, ups) = self.up.split_last().expect("there are four");
        for up in ups {
            let skip = finer.pop().expect("one a step up");
            x = b.cat(&[&b.conv(&x, up), &skip]);
        }
        b.conv(&b.conv(&x, last), &self.last)
    }
}
