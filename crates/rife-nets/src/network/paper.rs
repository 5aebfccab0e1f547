//! The networks of the ECCV 2022 paper: IFNet, IFNet_m (with a timestep) and IFNet_2R (at twice the resolution),
//! one description with options, and the teacher block that their training has beside.

use rife_backend::{Backend, ConvKind, Result};

use super::block::{IfBlock, warp_both};
use super::refine::{ContextNet, RefineSpec, Unet};
use super::{Encoded, Make, Options, Output, Stage, Stages};
use crate::layer::LayerDesc;

/// Which of the paper's networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PaperSpec {
    /// The timestep enters every block as a constant plane (IFNet_m).
    pub(crate) timestep: bool,
    /// Every first convolution keeps the size (IFNet_2R).
    pub(crate) twice: bool,
}

/// Channels of the three blocks' trunks, and of the teacher's.
const TRUNKS: [usize; 3] = [240, 150, 90];
const TEACHER_TRUNK: usize = 90;
/// Logarithms of the three blocks' scales.
pub(crate) const SCALES: [i32; 3] = [2, 1, 0];

/// One of the paper's networks.
#[derive(Debug, Clone)]
pub(crate) struct PaperNet<L> {
    spec: PaperSpec,
    blocks: Vec<IfBlock<L>>,
    teacher: Option<IfBlock<L>>,
    context: ContextNet<L>,
    unet: Unet<L>,
}

impl<L> PaperNet<L> {
    pub(crate) fn new(spec: PaperSpec, teacher: bool, make: Make<'_, L>) -> Self {
        let time = usize::from(spec.timestep);
        let inputs = [6, 17, 17].map(|channels| channels + time);
        let mut blocks = Vec::with_capacity(TRUNKS.len());
        for (i, (input, trunk)) in inputs.into_iter().zip(TRUNKS).enumerate() {
            blocks.push(block(spec, &format!("block{i}"), input, trunk, make));
        }
        let teacher = teacher.then(|| block(spec, "block_tea", 20 + time, TEACHER_TRUNK, make));
        let refine = RefineSpec {
            width: 16,
            halves: !spec.twice,
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

    pub(crate) fn encode<B: Backend<Conv = L>>(&self, b: &B, image: &B::Tensor) -> Result<Vec<B::Tensor>> {
        self.context.features(b, image)
    }

    pub(crate) fn interpolate<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        timestep: &B::Timestep,
        options: &Options,
    ) -> Output<B::Tensor> {
        let images = frames.map(|frame| &frame.image);
        let mut stages = Stages::new(options.keep_stages);
        for (block, log2) in self.blocks.iter().zip(SCALES) {
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

    /// The teacher's stage on top of the last one, which sees the true middle frame; `None` without a teacher.
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

    /// One block's correction of the stage before it.
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

/// `clamp(merged + 2 * sigmoid(sums) - 1)`: the correction reaches from -1 to 1.
pub(super) fn add_residual<B: Backend>(b: &B, merged: &B::Tensor, sums: &B::Tensor) -> B::Tensor {
    b.clamp01(&b.add(merged, &b.affine(&b.sigmoid(sums), 2.0, -1.0)))
}

fn block<L>(spec: PaperSpec, key: &str, input: usize, trunk: usize, make: Make<'_, L>) -> IfBlock<L> {
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
        shrink: i32::from(!spec.twice),
        feat: 0,
    }
}
