//! IFNet, IFNet_m and IFNet_2R of the RIFE paper (Huang et al., ECCV 2022): three blocks from coarse to fine, a context
//! network and a U-Net that outputs an RGB residual. IFNet_m takes a timestep, IFNet_2R works at twice the resolution.
//! Training adds a teacher block, which also sees the true middle frame.

use rife_backend::{Backend, ConvKind, Result};

use super::block::{IfBlock, warp_both};
use super::refine::{ContextNet, RefineSpec, Unet};
use super::{Encoded, MakeLayer, Options, Output, Stage, Stages};
use crate::family::{PAPER_SCALES, PaperSpec};
use crate::layer::LayerDesc;

/// Channels of the three blocks' trunks.
const TRUNKS: [usize; 3] = [240, 150, 90];
/// Channels of the teacher block's trunk.
const TEACHER_TRUNK: usize = 90;

/// One of the paper's networks; `L` is a backend's prepared convolution.
#[derive(Debug, Clone)]
pub(crate) struct PaperNet<L> {
    spec: PaperSpec,
    blocks: Vec<IfBlock<L>>,
    teacher: Option<IfBlock<L>>,
    context: ContextNet<L>,
    unet: Unet<L>,
}

impl<L> PaperNet<L> {
    /// Builds the network, with its teacher block if `teacher`; `make` is called for each layer.
    pub(crate) fn new(spec: PaperSpec, teacher: bool, make: MakeLayer<'_, L>) -> Self {
        let time = usize::from(spec.timestep);
        let inputs = [6, 17, 17].map(|channels| channels + time);
        let mut blocks = Vec::with_capacity(TRUNKS.len());
        for (i, (input, trunk)) in inputs.into_iter().zip(TRUNKS).enumerate() {
            blocks.push(block(spec, &format!("block{i}"), input, trunk, make));
        }
        let teacher = teacher.then(|| block(spec, "block_tea", 20 + time, TEACHER_TRUNK, make));
        let refine = RefineSpec {
            width: 16,
            half_resolution: !spec.twice,
            entry: false,
        };
        let context = ContextNet::new(refine, make);
        let unet = Unet::new(refine, 17, make);
        Self {
            spec,
            blocks,
            teacher,
            context,
            unet,
        }
    }

    /// Computes the context features of one frame `[3, height, width]`, from fine to coarse.
    pub(crate) fn encode<B: Backend<Conv = L>>(&self, b: &B, image: &B::Tensor) -> Result<Vec<B::Tensor>> {
        self.context.features(b, image)
    }

    /// Makes the frame at a timestep between two encoded frames.
    pub(crate) fn interpolate<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        timestep: &B::Timestep,
        options: &Options,
    ) -> Output<B::Tensor> {
        let images = frames.map(|frame| &frame.image);
        let mut stages = Stages::new(options.keep_stages);
        for (block, log2) in self.blocks.iter().zip(PAPER_SCALES) {
            let log2 = log2 - options.scale.log2();
            stages.push(self.step(b, block, images, (timestep, None), stages.last(), log2));
        }
        let (stage, stages) = stages.finish();
        let merged = self.refined(b, frames, &stage);
        Output {
            merged,
            flow: stage.flow,
            mask: stage.mask,
            stages,
        }
    }

    /// Runs the teacher block: refines the flow and mask of the last stage with the true frame `truth`, `[3, height, width]`.
    /// Returns `None` for a network built without a teacher.
    pub(crate) fn teach<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        timestep: &B::Timestep,
        truth: &B::Tensor,
        last: &Stage<B::Tensor>,
    ) -> Option<Stage<B::Tensor>> {
        let images = frames.map(|frame| &frame.image);
        let teacher = self.teacher.as_ref()?;
        Some(self.step(b, teacher, images, (timestep, Some(truth)), Some(last), 0))
    }

    /// Runs one block at `2^-log2` of the frames' size and adds its flow and mask to those of the stage before; `truth` is the
    /// true frame for the teacher block, `last` is `None` for the first block.
    fn step<B: Backend<Conv = L>>(
        &self,
        b: &B,
        block: &IfBlock<L>,
        images: [&B::Tensor; 2],
        (timestep, truth): (&B::Timestep, Option<&B::Tensor>),
        last: Option<&Stage<B::Tensor>>,
        log2: i32,
    ) -> Stage<B::Tensor> {
        let mut parts = images.to_vec();
        let timestep = self.spec.timestep.then(|| b.timestep_plane(timestep, images[0]));
        parts.extend(&timestep);
        if let Some(stage) = last {
            parts.extend([&stage.warped[0], &stage.warped[1], &stage.mask]);
        }
        parts.extend(truth);
        let estimate = block.estimate(b, &parts, last.map(|stage| &stage.flow), &[], log2);
        let (flow, mask) = match last {
            None => (estimate.flow, estimate.mask),
            Some(stage) => (
                b.add(&stage.flow, &estimate.flow),
                b.add(&stage.mask, &estimate.mask),
            ),
        };
        let warped = warp_both(b, images, &flow);
        Stage { flow, mask, warped }
    }

    /// Blends the warped frames of the last stage and adds the U-Net's residual.
    fn refined<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        stage: &Stage<B::Tensor>,
    ) -> B::Tensor {
        let warped = [0, 1].map(|i| {
            let flow = b.narrow(&stage.flow, 2 * i..2 * i + 2);
            self.context.warp(b, &frames[i].features, &flow)
        });
        let [image0, image1] = frames.map(|frame| &frame.image);
        let inputs = [
            image0,
            image1,
            &stage.warped[0],
            &stage.warped[1],
            &stage.mask,
            &stage.flow,
        ];
        let residual = self.unet.refine(b, &inputs, [&warped[0], &warped[1]]);
        add_residual(b, &stage.merged(b), &residual)
    }
}

/// Adds a residual to a frame: `clamp01(merged + 2 * sigmoid(sums) - 1)`, the residual being within -1..1.
pub(super) fn add_residual<B: Backend>(b: &B, merged: &B::Tensor, sums: &B::Tensor) -> B::Tensor {
    b.clamp01(&b.add(merged, &b.affine(&b.sigmoid(sums), 2.0, -1.0)))
}

/// Builds a block with tensors named `key.*`: `input` channels in, `trunk` channels in its eight trunk layers, 5 (flow and
/// mask) out.
fn block<L>(spec: PaperSpec, key: &str, input: usize, trunk: usize, make: MakeLayer<'_, L>) -> IfBlock<L> {
    let first = if spec.twice {
        ConvKind::Same
    } else {
        ConvKind::Down
    };
    let mut layers = vec![
        make(&LayerDesc::prelu(
            first,
            &format!("{key}.conv0.0"),
            input,
            trunk / 2,
        )),
        make(&LayerDesc::prelu(
            ConvKind::Down,
            &format!("{key}.conv0.1"),
            trunk / 2,
            trunk,
        )),
    ];
    for i in 0..8 {
        layers.push(make(&LayerDesc::prelu(
            ConvKind::Same,
            &format!("{key}.convblock.{i}"),
            trunk,
            trunk,
        )));
    }
    layers.push(make(&LayerDesc::plain(
        ConvKind::Up,
        format!("{key}.lastconv"),
        trunk,
        5,
    )));
    IfBlock {
        layers,
        residual: true,
        shuffle: false,
        head_log2: i32::from(!spec.twice),
        feat: 0,
    }
}
