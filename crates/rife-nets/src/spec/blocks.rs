//! List of a network's blocks ([`Blocks`]), of at most [`MAX_BLOCKS`] entries stored inline, so that a description is `Copy`.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Maximum number of blocks of a network.
pub const MAX_BLOCKS: usize = 8;

/// Width and scale of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockSpec {
    /// Channels of the trunk: even, 2 to 1024.
    pub channels: usize,
    /// Factor by which the block's inputs are downsampled: a power of 2 from 1 to 64, at most that of the block before.
    pub scale: usize,
}

/// A network's blocks from coarse to fine. Dereferences to a slice.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<BlockSpec>", into = "Vec<BlockSpec>")]
pub struct Blocks {
    /// Entries from `len` on are [`NONE`].
    blocks: [BlockSpec; MAX_BLOCKS],
    len: usize,
}

/// Filler of unused entries.
const NONE: BlockSpec = BlockSpec {
    channels: 0,
    scale: 0,
};

impl Blocks {
    /// Makes the list of the blocks with these trunk channels and scales, at compile time.
    ///
    /// # Panics
    /// When the lists differ in length or are longer than [`MAX_BLOCKS`].
    pub(crate) const fn of(channels: &[usize], scales: &[usize]) -> Self {
        assert!(channels.len() == scales.len(), "a scale for every block");
        let mut blocks = [NONE; MAX_BLOCKS];
        let mut i = 0;
        while i < channels.len() {
            blocks[i] = BlockSpec {
                channels: channels[i],
                scale: scales[i],
            };
            i += 1;
        }
        Self {
            blocks,
            len: channels.len(),
        }
    }
}

impl Deref for Blocks {
    type Target = [BlockSpec];

    /// Returns the blocks, coarse to fine.
    fn deref(&self) -> &[BlockSpec] {
        &self.blocks[..self.len]
    }
}

impl std::fmt::Debug for Blocks {
    /// Writes the blocks as a list.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl TryFrom<Vec<BlockSpec>> for Blocks {
    type Error = String;

    /// Copies a list of blocks.
    ///
    /// Errors: more than [`MAX_BLOCKS`].
    fn try_from(list: Vec<BlockSpec>) -> Result<Self, String> {
        let len = list.len();
        if len > MAX_BLOCKS {
            return Err(format!("{len} blocks, at most {MAX_BLOCKS} are accepted"));
        }
        let mut blocks = [NONE; MAX_BLOCKS];
        blocks[..len].copy_from_slice(&list);
        Ok(Self { blocks, len })
    }
}

impl From<Blocks> for Vec<BlockSpec> {
    /// Copies the blocks into a list.
    fn from(blocks: Blocks) -> Self {
        blocks.to_vec()
    }
}
