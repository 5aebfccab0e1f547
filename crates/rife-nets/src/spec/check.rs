//! Validation of a network's description: ranges of its fields and combinations that exclude each other; an error names the
//! field, its value and what is accepted.

use std::fmt::Display;
use std::ops::RangeInclusive;

use rife_backend::DisOptions;

use super::{BlockSpec, EncoderKeys, EncoderSpec, Head, MAX_BLOCKS, NetworkSpec, Prior, Synthesis, Trunk};
use crate::error::NetworkError;
use crate::layer::TensorDesc;

/// Maximum channels of a trunk and inside the encoder. The widest published network has 384.
const MAX_CHANNELS: usize = 1024;
/// Maximum scale of a block. The largest published is 32.
const MAX_SCALE: usize = 64;
/// Maximum number of parameters: those of a 1 GiB checkpoint in f32. The largest published network has 30 million.
const MAX_PARAMETERS: usize = 1 << 28;
/// Maximum Gauss-Newton steps, and propagation rounds, of dense inverse search on one pyramid level.
const MAX_ROUNDS: usize = 64;

/// Result of a check.
type Checked = Result<(), NetworkError>;

impl NetworkSpec {
    /// Checks that this describes a network that can be built and run.
    ///
    /// Errors: [`NetworkError::Spec`] names the field, its value and what is accepted.
    pub fn check(&self) -> Checked {
        self.check_blocks()?;
        if let Some(encoder) = &self.encoder {
            encoder.check()?;
        }
        within("features", self.features, 0..=64)?;
        if let Some(Prior::Dis(options)) = &self.prior {
            check_dis(options)?;
        }
        self.synthesis.check()?;
        positive("restart", self.restart, 16384.0)?;
        self.check_combinations()?;
        let parameters = self.parameter_count();
        ensure(
            parameters <= MAX_PARAMETERS,
            "blocks",
            format!("of {parameters} parameters together with the encoder"),
            format!("at most {MAX_PARAMETERS}"),
        )
    }

    /// Checks number, channels, scales and groups of the blocks.
    fn check_blocks(&self) -> Checked {
        let count = self.blocks.len();
        let lengths = 2..=MAX_BLOCKS;
        ensure(
            lengths.contains(&count),
            "blocks",
            format!("a list of {count}"),
            format!("2 to {MAX_BLOCKS}"),
        )?;
        let mut before = MAX_SCALE;
        for (i, block) in self.blocks.iter().enumerate() {
            let BlockSpec { channels, scale } = *block;
            ensure(
                channels % 2 == 0 && (2..=MAX_CHANNELS).contains(&channels),
                format!("blocks[{i}].channels"),
                channels,
                format!("even numbers from 2 to {MAX_CHANNELS}"),
            )?;
            ensure(
                scale.is_power_of_two() && scale <= before,
                format!("blocks[{i}].scale"),
                scale,
                format!("powers of 2 from 1 to {before}"),
            )?;
            before = scale;
            if let Trunk::ResConv { groups } = self.trunk {
                ensure(
                    groups > 0 && channels % groups == 0,
                    "trunk.res_conv.groups",
                    groups,
                    format!("divisors of blocks[{i}].channels, which is {channels}"),
                )?;
            }
        }
        Ok(())
    }

    /// Checks fields that exclude each other: head and extra channels; prior and blend_prior, ensemble, restart.
    fn check_combinations(&self) -> Checked {
        match self.head {
            Head::PixelShuffle { unused } => within("head.pixel_shuffle.unused", unused, 0..=16)?,
            Head::Transposed => {
                let more = self.features + self.synthesis.channels();
                ensure(
                    more == 0,
                    "head",
                    format!("\"transposed\", which has no channels for {more} besides flow and mask"),
                    "pixel_shuffle",
                )?;
            }
        }
        let Some(_) = self.prior else {
            return ensure(
                self.synthesis.blend_prior.is_none(),
                "synthesis.blend_prior",
                "set",
                "nothing in a network without a prior",
            );
        };
        ensure(
            !self.ensemble,
            "ensemble",
            true,
            "false in a network with a prior",
        )?;
        ensure(
            self.restart.is_none(),
            "restart",
            "set",
            "nothing in a network with a prior",
        )
    }

    /// Counts the parameters. Cannot overflow once channels were checked.
    fn parameter_count(&self) -> usize {
        let size = |tensor: &TensorDesc| tensor.shape.iter().product::<usize>();
        crate::network::stack_layers(self)
            .iter()
            .flat_map(crate::layer::LayerDesc::tensors)
            .map(|tensor| size(&tensor))
            .sum()
    }
}

impl EncoderSpec {
    /// Checks layer count, naming and channels.
    fn check(&self) -> Checked {
        let Self {
            layers,
            keys,
            inner,
            features,
        } = *self;
        ensure(layers == 2 || layers == 4, "encoder.layers", layers, "2 and 4")?;
        ensure(
            layers == 4 || keys == EncoderKeys::Numbered,
            "encoder.keys",
            "\"named\"",
            "\"numbered\" for two layers",
        )?;
        within("encoder.inner", inner, 1..=MAX_CHANNELS)?;
        within("encoder.features", features, 1..=256)
    }
}

impl Synthesis {
    /// Checks the OBMC distance, the maximum strength of the cubic residual and the static threshold.
    fn check(&self) -> Checked {
        let Self {
            residual: _,
            blend_prior,
            cubic_residual,
            keep_static,
        } = *self;
        if let Some(blend_prior) = blend_prior {
            within(
                "synthesis.blend_prior.obmc_distance",
                blend_prior.obmc_distance,
                0..=64,
            )?;
        }
        positive("synthesis.cubic_residual", cubic_residual, 16.0)?;
        positive("synthesis.keep_static", keep_static, 255.0)
    }
}

/// Checks the options of dense inverse search.
fn check_dis(options: &DisOptions) -> Checked {
    let DisOptions {
        min_coarsest_area,
        gauss_newton_steps,
        propagation_rounds,
        finest_propagation_rounds,
        damping,
        min_residual,
        max_step,
        zero_start,
        finest_level,
    } = *options;
    within("prior.dis.min_coarsest_area", min_coarsest_area, 64..=1 << 28)?;
    for (field, value) in [
        ("prior.dis.gauss_newton_steps", gauss_newton_steps),
        ("prior.dis.propagation_rounds", propagation_rounds),
        ("prior.dis.finest_propagation_rounds", finest_propagation_rounds),
    ] {
        within(field, value, 0..=MAX_ROUNDS)?;
    }
    positive("prior.dis.damping", Some(damping), 1e6)?;
    positive("prior.dis.min_residual", Some(min_residual), 1.0)?;
    positive("prior.dis.max_step", Some(max_step), 64.0)?;
    positive("prior.dis.zero_start", zero_start, 1.0)?;
    within("prior.dis.finest_level", finest_level as usize, 0..=3)
}

/// Checks that a field's value is within a range.
fn within(field: &str, value: usize, accepted: RangeInclusive<usize>) -> Checked {
    let range = format!("{} to {}", accepted.start(), accepted.end());
    ensure(accepted.contains(&value), field, value, range)
}

/// Checks that a number is finite, not subnormal, above 0 and at most `max`; accepts `None`.
fn positive(field: &str, value: Option<f32>, max: f32) -> Checked {
    let Some(value) = value else {
        return Ok(());
    };
    let accepted = value.is_normal() && value > 0.0 && value <= max;
    ensure(accepted, field, value, format!("numbers above 0, at most {max}"))
}

/// Returns an error that names field, value and accepted values unless `holds`.
fn ensure(
    holds: bool,
    field: impl Into<String>,
    value: impl Display,
    accepted: impl Into<String>,
) -> Checked {
    if holds {
        return Ok(());
    }
    Err(NetworkError::Spec {
        field: field.into(),
        value: value.to_string(),
        accepted: accepted.into(),
    })
}
