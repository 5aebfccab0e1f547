//! The description of a RIFE 4.x network as data: which layers it has and every constant of what it computes between them.
//!
//! It is three modules: a prior (initial flow without weights), a stack of blocks from coarse to fine, and a synthesis (how
//! the frame is made of the warped frames). A checkpoint carries the description as JSON in its metadata, a recipe of
//! training as its `[network]` table; the names of published networks stand for descriptions of the table in `registry.rs`.

mod blocks;
mod check;

use rife_backend::DisOptions;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::NetworkError;

pub use blocks::{BlockSpec, Blocks, MAX_BLOCKS};

/// A RIFE 4.x network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// The eight layers in the middle of every block, and with them the activation of its first two.
    pub trunk: Trunk,
    /// The last layer of every block.
    pub head: Head,
    /// The encoder, which computes features of each frame once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderSpec>,
    /// The blocks from coarse to fine.
    pub blocks: Blocks,
    /// Channels that a block hands to the next besides flow and mask, 0 to 64.
    #[serde(default)]
    pub features: usize,
    /// What a block's mask is to that of the block before.
    pub mask: MaskUpdate,
    /// What a block's flow is a function of.
    pub flow: FlowModel,
    /// Flow without weights that the first block corrects; without a prior it estimates flow from the frames alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<Prior>,
    /// How the frame is made of the warped frames, besides their blend by the mask.
    #[serde(default)]
    pub synthesis: Synthesis,
    /// Whether the network can be run with the mean of both directions ([`crate::Options::ensemble`]). Not with a prior.
    #[serde(default)]
    pub ensemble: bool,
    /// The first two blocks run again, at doubled scales as all that follow, where the second finds flow longer than this
    /// in both directions, in pixels. Not with a prior.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<f32>,
}

/// The eight layers in the middle of every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Trunk {
    /// 3x3 convolutions with PReLU; the input of the eight is added to their output.
    Prelu,
    /// 3x3 convolutions with LeakyReLU of slope 0.2.
    LeakyRelu,
    /// ResConvs: `LeakyReLU(conv(x) * beta + x)` of slope 0.2, with a factor beta per channel.
    ResConv {
        /// Groups of the convolutions, which divide the channels of every block.
        groups: usize,
    },
}

/// The last layer of every block, a transposed 4x4 convolution with stride 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Head {
    /// It outputs flow and mask.
    Transposed,
    /// It outputs four times as many channels, which a pixel shuffle brings to twice the width and height.
    PixelShuffle {
        /// Channels, after the pixel shuffle, that checkpoints have and nothing reads, 0 to 16.
        unused: usize,
    },
}

/// The encoder: a strided convolution to half the size, for four layers two convolutions more, a transposed convolution
/// back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderSpec {
    /// 2 without an activation, or 4 with LeakyReLU between them.
    pub layers: usize,
    /// How the checkpoint names the layers.
    pub keys: EncoderKeys,
    /// Channels at half the size, 1 to 1024.
    pub inner: usize,
    /// Features of a frame, 1 to 256.
    pub features: usize,
}

/// Names of the encoder's layers in a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderKeys {
    /// Positions in PyTorch's `Sequential`: `encode.0`, `encode.2` and so on.
    Numbered,
    /// `encode.cnn0` to `encode.cnn3`; for four layers only.
    Named,
}

/// What a block's mask is to that of the block before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskUpdate {
    /// It is added.
    Sum,
    /// It replaces it.
    Replace,
}

/// What a block's flow is a function of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowModel {
    /// A block outputs the flow at the timestep.
    Free,
    /// Linear in time: a block outputs the flow at the middle frame, and at timestep t its part towards the first frame is
    /// multiplied by 2t, its part towards the second by 2 - 2t.
    Linear,
}

/// Flow without weights that a network starts from. The first block then sees, besides the frames warped by it, the frames
/// themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// Dense inverse search in both directions ([`rife_backend::Backend::dis_flow`]), projected to the timestep.
    Dis(DisOptions),
}

/// How the frame is made of the warped frames. The last block outputs, after flow and mask, the channels of what is set, in
/// this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synthesis {
    /// Whether the last block outputs an RGB residual that is added to the blended frame: three channels.
    #[serde(default)]
    pub residual: bool,
    /// The last block also sees both frames warped by the prior alone, and outputs their shares in the frames that are
    /// blended, before the sigmoid: two channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blend_prior: Option<BlendPrior>,
    /// The last block outputs the strength, before the sigmoid and as a part of this maximum, with which the cubic
    /// interpolation residual of the luma ([`rife_backend::Backend::cubic_residual`]) is added to all three channels of the
    /// blend: one channel. Above 0, at most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cubic_residual: Option<f32>,
    /// Pixels are kept whose channels differ between the frames by less than this, in code values of 255
    /// ([`rife_backend::Backend::keep_static`]). Above 0, at most 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_static: Option<f32>,
}

/// Overlapped block motion compensation (OBMC) by the velocities of the prior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlendPrior {
    /// Rows and columns to the two diagonal neighbours whose velocities warp a pixel, 0 to 64.
    pub obmc_distance: usize,
}

/// Flow and mask: the channels that every block outputs first.
const FLOW_AND_MASK: usize = 5;

impl NetworkSpec {
    /// Reads a description and checks it.
    ///
    /// Errors: [`NetworkError::SpecSyntax`] for what is no description, [`NetworkError::Spec`] for a value out of range.
    pub fn from_json(text: &str) -> Result<Self, NetworkError> {
        let mut json = serde_json::Deserializer::from_str(text);
        // A type's own error does not name the field.
        let read: Result<Self, _> = serde_path_to_error::deserialize(&mut json);
        let spec = read.map_err(|error| NetworkError::SpecSyntax(error.to_string()))?;
        json.end()
            .map_err(|error| NetworkError::SpecSyntax(error.to_string()))?;
        spec.check()?;
        Ok(spec)
    }

    /// The description as one line of JSON, always the same for equal descriptions.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers, names and lists are JSON")
    }

    /// The SHA-256 of [`NetworkSpec::to_json`], hexadecimal.
    pub fn sha256(&self) -> String {
        let digest = Sha256::digest(self.to_json());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The largest factor by which a tensor is shrunk at scale 1, and so what sizes must be multiples of.
    pub(crate) fn size_multiple(&self) -> usize {
        let largest = self.blocks[0].scale << usize::from(self.restart.is_some());
        4 * largest
    }

    /// Features of a frame.
    pub(crate) fn encoder_features(&self) -> usize {
        self.encoder.map_or(0, |encoder| encoder.features)
    }

    /// Channels that enter a block.
    pub(crate) fn input(&self, index: usize) -> usize {
        let frames = 2 * (3 + self.encoder_features()) + 1;
        match (index, self.prior) {
            (0, None) => frames,
            (0, Some(_)) => frames + 2 * 3 + 4,
            _ if self.sees_prior(index) => frames + 1 + self.features + 4 + 2 * 3,
            _ => frames + 1 + self.features + 4,
        }
    }

    /// Whether a block is the one that [`Synthesis::blend_prior`] concerns.
    pub(crate) fn sees_prior(&self, index: usize) -> bool {
        self.synthesis.blend_prior.is_some() && self.is_last(index)
    }

    /// Channels of a block's head after flow and mask that are used: those for the next block or for the synthesis.
    pub(crate) fn extra(&self, index: usize) -> usize {
        if self.is_last(index) {
            self.synthesis.channels()
        } else {
            self.features
        }
    }

    /// Channels that a block's last convolution gives, those that nothing reads included.
    pub(crate) fn head_channels(&self, index: usize) -> usize {
        let synthesis = self.synthesis.channels();
        match self.head {
            Head::Transposed => FLOW_AND_MASK,
            Head::PixelShuffle { .. } if self.is_last(index) && synthesis > 0 => {
                4 * (FLOW_AND_MASK + synthesis)
            }
            Head::PixelShuffle { unused } => 4 * (FLOW_AND_MASK + self.features + unused),
        }
    }

    /// How many of these, the first ones, are used.
    pub(crate) fn used_head_channels(&self, index: usize) -> usize {
        match self.head {
            Head::Transposed => FLOW_AND_MASK,
            Head::PixelShuffle { .. } => 4 * (FLOW_AND_MASK + self.extra(index)),
        }
    }

    fn is_last(&self, index: usize) -> bool {
        index + 1 == self.blocks.len()
    }
}

impl Synthesis {
    /// Channels of [`Synthesis::residual`] among the last block's after flow and mask.
    pub(crate) const RESIDUAL: std::ops::Range<usize> = 0..3;

    /// The first channel of [`Synthesis::blend_prior`], which has two.
    pub(crate) fn first_share(&self) -> usize {
        if self.residual { Self::RESIDUAL.end } else { 0 }
    }

    /// The channel of [`Synthesis::cubic_residual`].
    pub(crate) fn strength(&self) -> usize {
        self.first_share() + 2 * usize::from(self.blend_prior.is_some())
    }

    /// How many channels all take.
    pub(crate) fn channels(&self) -> usize {
        self.strength() + usize::from(self.cubic_residual.is_some())
    }
}
