//! Families of RIFE networks, each with a description of the individual network, and the row type of the registry.

use crate::spec::NetworkSpec;

/// log2 of the downsampling factors of the three blocks of the paper's networks, from coarse to fine.
pub(crate) const PAPER_SCALES: [i32; 3] = [2, 1, 0];

/// log2 of the downsampling factors of RIFE_HDv2's four blocks, from coarse to fine.
pub(crate) const HDV2_SCALES: [i32; 4] = [3, 2, 1, 0];

/// Description of one of the paper's networks; with both fields false, IFNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PaperSpec {
    /// Whether the timestep enters every block as a constant plane (IFNet_m).
    pub(crate) timestep: bool,
    /// Whether the first convolution of every block and network has stride 1 instead of 2 (IFNet_2R).
    pub(crate) twice: bool,
}

/// A network's family with its description.
// The registry's table of families is a static.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Family {
    /// The networks of the ECCV 2022 paper.
    Paper(PaperSpec),
    /// RIFE_HDv2.
    Hdv2,
    /// The RIFE 4.x networks.
    Stack(NetworkSpec),
}

/// Row of the registry: a named network.
#[derive(Debug)]
pub(crate) struct Row {
    /// Canonical name, lower case.
    pub(crate) name: &'static str,
    /// Other accepted names.
    pub(crate) aliases: &'static [&'static str],
    /// Family with the description of the network.
    pub(crate) family: Family,
}
