//! RIFE_HDv2 (the v2.x models): four blocks that estimate flow at half resolution, without a mask; then the paper's context
//! network and U-Net with twice the channels, the U-Net's output being an RGB residual and the mask.

use rife_backend::{Backend, ConvKind, Result};

use super::block::{IfBlock, warp_both};
use super::paper::add_residual;
use super::refine::{ContextNet, RefineSpec, Unet};
use super::{Encoded, MakeLayer, Options, Output, Stage};
use crate::family::HDV2_SCALES;
use crate::layer::LayerDesc;
use crate::scale::{Scale, resize, resize_flow};

/// Channels of each block's first convolution; its trunk has twice as many.
const STEMS: [usize; 4] = [192, 128, 96, 48];

/// The RIFE_HDv2 network; keys of its tensors begin with `flownet.`, `contextnet.` or `unet.`.
#[derive(Debug, Clone)]
pub(crate) struct Hdv2Net<L> {
    blocks: Vec<IfBlock<L>>,
    context: ContextNet<L>,
    unet: Unet<L>,
}

impl<L> Hdv2Net<L> {
    /// Builds the network, `make` being called for each layer.
    pub(crate) fn new(make: MakeLayer<'_, L>) -> Self {
        let mut blocks = Vec::with_capacity(STEMS.len());
        for (i, stem) in STEMS.into_iter().enumerate() {
            blocks.push(block(
                &format!("flownet.block{i}"),
                if i == 0 { 6 } else { 10 },
                stem,
                make,
            ));
        }
        let refine = RefineSpec {
            width: 32,
            half_resolution: true,
            entry: true,
        };
        let context = ContextNet::new(refine, make);
        let unet = Unet::new(refine, 10, make);
        Self {
            blocks,
            context,
            unet,
        }
    }

    /// Computes the context features of one frame `[3, height, width]`, from fine to coarse.
    pub(crate) fn encode<B: Backend<Conv = L>>(&self, b: &B, image: &B::Tensor) -> Result<Vec<B::Tensor>> {
        self.context.features(b, image)
    }

    /// Makes the middle frame (timestep 0.5) of two encoded frames.
    pub(crate) fn interpolate<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        options: &Options,
    ) -> Output<B::Tensor> {
        let images = frames.map(|frame| &frame.image);
        let flows = self.flows(b, images, options.scale);
        let half = flows.last().expect("four blocks");
        let warped = [0, 1].map(|i| {
            let flow = b.narrow(half, 2 * i..2 * i + 2);
            self.context.warp(b, &frames[i].features, &flow)
        });
        let flow = resize_flow(b, half, 1);
        let moved = warp_both(b, images, &flow);
        let sums = self
            .unet
            .refine(b, &[&moved[0], &moved[1], &flow], [&warped[0], &warped[1]]);
        let mask = b.narrow(&sums, 3..4);
        let kept = flows.iter().filter(|_| options.keep_stages);
        let stages = kept
            .map(|flow| stage(b, images, &resize_flow(b, flow, 1), &mask))
            .collect();
        let blended = b.blend(&moved[0], &moved[1], &mask);
        let merged = add_residual(b, &blended, &b.narrow(&sums, 0..3));
        Output {
            merged,
            flow,
            mask,
            stages,
        }
    }

    /// Computes the flow after each block, `[4, height / 2, width / 2]` in pixels of that size; the blocks run on the frames
    /// resized by `scale`.
    fn flows<B: Backend<Conv = L>>(&self, b: &B, images: [&B::Tensor; 2], scale: Scale) -> Vec<B::Tensor> {
        let scaled = images.map(|image| resize(b, image, scale.log2()));
        let scaled = scaled.each_ref();
        let mut flows: Vec<B::Tensor> = Vec::with_capacity(self.blocks.len());
        for (block, log2) in self.blocks.iter().zip(HDV2_SCALES) {
            let next = match flows.last() {
                None => correction(b, block, &scaled, log2),
                Some(flow) => {
                    let large = resize_flow(b, flow, 1);
                    let [warped0, warped1] = warp_both(b, scaled, &large);
                    b.add(flow, &correction(b, block, &[&warped0, &warped1, &large], log2))
                }
            };
            flows.push(next);
        }
        flows
            .iter()
            .map(|flow| resize_flow(b, flow, -scale.log2()))
            .collect()
    }
}

/// Warps the frames by a flow of their size and bundles the result with flow and mask.
fn stage<B: Backend>(b: &B, images: [&B::Tensor; 2], flow: &B::Tensor, mask: &B::Tensor) -> Stage<B::Tensor> {
    Stage {
        flow: flow.clone(),
        mask: mask.clone(),
        warped: warp_both(b, images, flow),
    }
}

/// Runs a block on `parts` downsampled by `2^log2` and returns its flow at half of their size. Unlike in later networks
/// flow vectors are not rescaled when flow is resized here.
fn correction<B: Backend>(b: &B, block: &IfBlock<B::Conv>, parts: &[&B::Tensor], log2: i32) -> B::Tensor {
    let x = resize(b, &b.cat(parts), -log2);
    resize(b, &block.trunk(b, &x), log2)
}

/// Builds a block with tensors named `key.*`: `input` channels in, `stem` after the first convolution, twice as many in the
/// trunk, 4 (flow) out.
fn block<L>(key: &str, input: usize, stem: usize, make: MakeLayer<'_, L>) -> IfBlock<L> {
    let trunk = 2 * stem;
    let mut layers = vec![
        make(&LayerDesc::prelu(
            ConvKind::Down,
            &format!("{key}.conv0.0"),
            input,
            stem,
        )),
        make(&LayerDesc::prelu(
            ConvKind::Down,
            &format!("{key}.conv0.1"),
            stem,
            trunk,
        )),
    ];
    for i in 0..6 {
        layers.push(make(&LayerDesc::prelu(
            ConvKind::Same,
            &format!("{key}.convblock.{i}"),
            trunk,
            trunk,
        )));
    }
    layers.push(make(&LayerDesc::plain(
        ConvKind::Up,
        format!("{key}.conv1"),
        trunk,
        4,
    )));
    IfBlock {
        layers,
        residual: false,
        shuffle: false,
        head_log2: 1,
        feat: 0,
    }
}
