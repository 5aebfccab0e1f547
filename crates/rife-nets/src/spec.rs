//! Network description ([`NetworkSpec`]): the layers of a RIFE 4.x network and all constants of its computation, as data.
//!
//! It has three components: a prior (initial flow without weights), a stack of blocks from coarse to fine, and a synthesis
//! (how the frame is made of the warped frames). It is stored as JSON in a checkpoint's metadata and as the `[network]` table
//! of a training recipe; the descriptions of published networks are in `registry.rs`.

mod blocks;
mod check;

use rife_backend::DisOptions;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::NetworkError;

pub use blocks::{BlockSpec, Blocks, MAX_BLOCKS};

/// The description of a RIFE 4.x network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Kind of the eight trunk layers of every block, which also decides the activation of its two stem layers.
    pub trunk: Trunk,
    /// Kind of the last layer of every block.
    pub head: Head,
    /// The encoder, which computes features of each frame; `None`: no encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderSpec>,
    /// The blocks from coarse to fine.
    pub blocks: Blocks,
    /// Feature channels that a block passes to the next besides flow and mask, 0 to 64.
    #[serde(default)]
    pub features: usize,
    /// How a block's mask updates that of the block before.
    pub mask: MaskUpdate,
    /// Whether blocks output the flow at the timestep or a flow linear in time.
    pub flow: FlowModel,
    /// Initial flow that the first block corrects; with `None` the first block estimates flow from the frames alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<Prior>,
    /// How the frame is made of the warped frames, in addition to their blend by the mask.
    #[serde(default)]
    pub synthesis: Synthesis,
    /// Whether the network supports [`crate::Options::ensemble`]; must be false with a prior.
    #[serde(default)]
    pub ensemble: bool,
    /// Limit of the flow in pixels: when the second block's flow exceeds it in both directions, the first two blocks run again
    /// with the scales of all blocks doubled. `None`: never; must be `None` with a prior.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<f32>,
}

/// Kind of a block's eight trunk layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Trunk {
    /// 3x3 convolutions with PReLU; one skip connection adds the first layer's input to the last layer's output.
    Prelu,
    /// 3x3 convolutions with LeakyReLU of slope 0.2.
    LeakyRelu,
    /// ResConvs: `LeakyReLU(conv(x) * beta + x)` with slope 0.2 and a factor beta per channel.
    ResConv {
        /// Number of groups of the convolutions; a divisor of every block's channels.
        groups: usize,
    },
}

/// Kind of a block's last layer, a transposed 4x4 convolution with stride 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Head {
    /// It outputs flow (4 channels) and mask (1).
    Transposed,
    /// It outputs four times as many channels, and a pixel shuffle doubles their width and height.
    PixelShuffle {
        /// Output channels (counted after the pixel shuffle) that are in the checkpoint but unused, 0 to 16.
        unused: usize,
    },
}

/// The encoder: a stride-2 convolution, two more convolutions at half resolution if it has four layers, and a transposed
/// convolution back to the frame's resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderSpec {
    /// Number of layers: 2 without activation, or 4 with LeakyReLU between them.
    pub layers: usize,
    /// Naming of the layers in the checkpoint.
    pub keys: EncoderKeys,
    /// Channels at half resolution, 1 to 1024.
    pub inner: usize,
    /// Output channels, 1 to 256.
    pub features: usize,
}

/// Naming of the encoder's layers in a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderKeys {
    /// Indices in PyTorch's `Sequential`: `encode.0`, `encode.2` and so on.
    Numbered,
    /// `encode.cnn0` to `encode.cnn3`; only with four layers.
    Named,
}

/// How a block's mask updates that of the block before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskUpdate {
    /// Both are added (before the sigmoid).
    Sum,
    /// The new mask replaces the old one.
    Replace,
}

/// Dependence of a block's flow on the timestep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowModel {
    /// A block outputs the flow at the timestep.
    Free,
    /// Linear in time: a block outputs the flow at the middle frame; for timestep t the flow to the first frame is multiplied
    /// by 2t and the flow to the second frame by 2 - 2t.
    Linear,
}

/// Method of computing initial flow without weights. The first block then reads the frames warped by it and the unwarped
/// frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// Dense inverse search in both directions ([`rife_backend::Backend::dis_flow`]), projected to the timestep.
    Dis(DisOptions),
}

/// Steps from the warped frames to the interpolated frame. The last block outputs, after flow and mask, the channels of the
/// enabled steps in the order of the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synthesis {
    /// Whether the last block outputs an RGB residual that is added to the blended frame (3 channels).
    #[serde(default)]
    pub residual: bool,
    /// Blends both frames warped by the prior with those warped by the network's flow. The last block also reads the former
    /// and outputs their two weights before the sigmoid (2 channels).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blend_prior: Option<BlendPrior>,
    /// Maximum strength of the cubic interpolation residual of the luma ([`rife_backend::Backend::cubic_residual`]), which is
    /// added to the three channels of the blend. The last block outputs the strength, relative to this maximum and before
    /// the sigmoid (1 channel). Above 0, at most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cubic_residual: Option<f32>,
    /// Maximum difference between the frames, in 8-bit code values, up to which pixels count as static and are copied from
    /// the frames ([`rife_backend::Backend::keep_static`]). Above 0, at most 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_static: Option<f32>,
}

/// Parameters of overlapped block motion compensation (OBMC) by the velocities of the prior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlendPrior {
    /// Distance in rows and columns to the two diagonal neighbours whose velocities warp a pixel, 0 to 64.
    pub obmc_distance: usize,
}

/// Channels of flow (4) and mask (1), which every block outputs first.
const FLOW_AND_MASK: usize = 5;

impl NetworkSpec {
    /// Parses a description from JSON and checks it.
    ///
    /// Errors: [`NetworkError::SpecSyntax`] for invalid JSON or unknown fields, [`NetworkError::Spec`] for a value out of range.
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

    /// Serializes the description as one line of JSON, identical for equal descriptions.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers, names and lists are JSON")
    }

    /// Computes the SHA-256 of [`NetworkSpec::to_json`] in hexadecimal.
    pub fn sha256(&self) -> String {
        let digest = Sha256::digest(self.to_json());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the largest factor by which a tensor is downsampled at scale 1: frame sides must be multiples of it.
    pub(crate) fn size_multiple(&self) -> usize {
        let largest = self.blocks[0].scale << usize::from(self.restart.is_some());
        (4 * largest).max(self.prior_multiple())
    }

    /// Returns the factor by which the prior's search downsamples frames at scale 1; 1 without a prior.
    pub(crate) fn prior_multiple(&self) -> usize {
        match self.prior {
            Some(Prior::Dis(dis)) => 1 << dis.finest_level,
            None => 1,
        }
    }

    /// Returns the encoder's output channels, 0 without an encoder.
    pub(crate) fn encoder_features(&self) -> usize {
        self.encoder.map_or(0, |encoder| encoder.features)
    }

    /// Returns the number of input channels of a block: images, encoder features and timestep; after the first block also
    /// mask, features and flow; with a prior the unwarped frames (first block) or the frames warped by the prior (last block).
    pub(crate) fn input_channels(&self, index: usize) -> usize {
        let frames = 2 * (3 + self.encoder_features()) + 1;
        match (index, self.prior) {
            (0, None) => frames,
            (0, Some(_)) => frames + 2 * 3 + 4,
            _ if self.sees_prior(index) => frames + 1 + self.features + 4 + 2 * 3,
            _ => frames + 1 + self.features + 4,
        }
    }

    /// Reports whether a block reads the frames warped by the prior: the last block, with [`Synthesis::blend_prior`].
    pub(crate) fn sees_prior(&self, index: usize) -> bool {
        self.synthesis.blend_prior.is_some() && self.is_last(index)
    }

    /// Returns the number of used channels after flow and mask that a block outputs: features for the next block, or for the
    /// last block the channels of the synthesis.
    pub(crate) fn extra_channels(&self, index: usize) -> usize {
        if self.is_last(index) {
            self.synthesis.channels()
        } else {
            self.features
        }
    }

    /// Returns the output channels of a block's last convolution before the pixel shuffle, unused ones included.
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

    /// Returns how many of a block's last convolution's output channels are used; these come first.
    pub(crate) fn used_head_channels(&self, index: usize) -> usize {
        match self.head {
            Head::Transposed => FLOW_AND_MASK,
            Head::PixelShuffle { .. } => 4 * (FLOW_AND_MASK + self.extra_channels(index)),
        }
    }

    /// Reports whether this is the index of the last (finest) block.
    fn is_last(&self, index: usize) -> bool {
        index + 1 == self.blocks.len()
    }
}

impl Synthesis {
    /// Channels of [`Synthesis::residual`], counted after flow and mask.
    pub(crate) const RESIDUAL: std::ops::Range<usize> = 0..3;

    /// Returns the index after flow and mask of the first of the two channels of [`Synthesis::blend_prior`].
    pub(crate) fn first_prior_channel(&self) -> usize {
        if self.residual { Self::RESIDUAL.end } else { 0 }
    }

    /// Returns the index after flow and mask of the channel of [`Synthesis::cubic_residual`].
    pub(crate) fn strength_channel(&self) -> usize {
        self.first_prior_channel() + 2 * usize::from(self.blend_prior.is_some())
    }

    /// Returns the number of channels that the last block outputs for the synthesis.
    pub(crate) fn channels(&self) -> usize {
        self.strength_channel() + usize::from(self.cubic_residual.is_some())
    }
}
