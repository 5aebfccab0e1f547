//! The paper's second half: features of each frame (context), and a U-shaped network that corrects the blend of
//! the warped frames with them. RIFE_HDv2 has the same two at twice the width and one halving deeper.

use rife_backend::{Backend, ConvKind, Result};

use super::Make;
use crate::layer::LayerDesc;
use crate::scale::resize_flow;

/// Two convolutions with PReLU, the first with the stride.
pub(crate) type Pair<L> = [L; 2];

/// Which of the two sizes of context and refinement network is built, and with which first stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefineSpec {
    /// Channels of the finest context feature.
    pub(crate) width: usize,
    /// Whether the first convolution of either network halves the size (IFNet_2R's does not).
    pub(crate) halves: bool,
    /// Whether there is one more halving before the first feature (RIFE_HDv2).
    pub(crate) entry: bool,
}

impl RefineSpec {
    fn first_kind(self) -> ConvKind {
        if self.halves {
            ConvKind::Down
        } else {
            ConvKind::Same
        }
    }
}

fn pair<L>(make: Make<'_, L>, key: &str, kind: ConvKind, input: usize, output: usize) -> Pair<L> {
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

/// The features of one frame at four sizes, before they are moved by a flow.
#[derive(Debug, Clone)]
pub(crate) struct ContextNet<L> {
    spec: RefineSpec,
    /// The extra halving where there is one, then one pair a feature.
    pairs: Vec<Pair<L>>,
}

impl<L> ContextNet<L> {
    pub(crate) fn new(spec: RefineSpec, make: Make<'_, L>) -> Self {
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

    /// The four features, from fine to coarse; each is computed from the one before.
    pub(crate) fn features<B: Backend<Conv = L>>(&self, b: &B, image: &B::Tensor) -> Result<Vec<B::Tensor>> {
        let mut x = image.clone();
        let mut features = Vec::with_capacity(self.pairs.len());
        for pair in &self.pairs {
            x = b.materialize(&b.conv_chain(&x, pair))?;
            features.push(x.clone());
        }
        Ok(features.split_off(usize::from(self.spec.entry)))
    }

    /// The four features moved by a flow of 2 channels, which has the frame's size (half of it with the extra
    /// halving).
    pub(crate) fn warp<B: Backend<Conv = L>>(
        &self,
        b: &B,
        features: &[B::Tensor],
        flow: &B::Tensor,
    ) -> Vec<B::Tensor> {
        let mut flow = flow.clone();
        let warped = features.iter().enumerate().map(|(i, feature)| {
            if i > 0 || self.spec.halves {
                flow = resize_flow(b, &flow, -1);
            }
            b.warp(feature, &flow)
        });
        warped.collect()
    }
}

/// Down over the joined inputs and the features, up again with the finer results beside.
#[derive(Debug, Clone)]
pub(crate) struct Unet<L> {
    entry: Option<Pair<L>>,
    down: Vec<Pair<L>>,
    up: Vec<L>,
    last: L,
}

impl<L> Unet<L> {
    /// `input` channels enter.
    pub(crate) fn new(spec: RefineSpec, input: usize, make: Make<'_, L>) -> Self {
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
        let last = match (spec.entry, spec.halves) {
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

    /// The last convolution's sums, before any sigmoid, from inputs of the frame's size and both frames' moved
    /// features.
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
