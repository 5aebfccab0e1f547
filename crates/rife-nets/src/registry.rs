//! Registry of named networks: the table of names with their descriptions, and the parser of names.

use std::str::FromStr;

use rife_backend::DisOptions;

use crate::error::NetworkError;
use crate::family::{Family, PaperSpec, Row};
use crate::spec::{
    BlendPrior, Blocks, EncoderKeys, EncoderSpec, FlowModel, Head, MaskUpdate, NetworkSpec, Prior, Synthesis,
    Trunk,
};
use crate::version::Version;

/// Makes the row of a network before 4.0.
const fn legacy(name: &'static str, aliases: &'static [&'static str], family: Family) -> Row {
    Row {
        name,
        aliases,
        family,
    }
}

/// Makes the row of a 4.x network.
const fn v4(name: &'static str, spec: NetworkSpec) -> Row {
    Row {
        name,
        aliases: &[],
        family: Family::Stack(spec),
    }
}

/// Describes an encoder of four layers with `inner` channels at half resolution and `features` output channels.
const fn four_layers(keys: EncoderKeys, inner: usize, features: usize) -> Option<EncoderSpec> {
    Some(EncoderSpec {
        layers: 4,
        keys,
        inner,
        features,
    })
}

use EncoderKeys::{Named, Numbered};

/// Downsampling factors of networks with four blocks.
const FOUR: &[usize] = &[8, 4, 2, 1];
/// Downsampling factors of networks with five blocks.
const FIVE: &[usize] = &[16, 8, 4, 2, 1];
/// Blocks of most versions from 4.0 to 4.19.
const WIDE: Blocks = Blocks::of(&[192, 128, 96, 64], FOUR);
/// Blocks of 4.12.lite, 4.13.lite and 4.15.lite to 4.17.lite.
const NARROW: Blocks = Blocks::of(&[128, 96, 64, 48], FOUR);

// Descriptions by the version that introduced them; each names only its changes to an earlier one.
/// 4.0 and 4.1: PReLU trunk, transposed head, restart at large motion.
const V4_0: NetworkSpec = NetworkSpec {
    trunk: Trunk::Prelu,
    head: Head::Transposed,
    encoder: None,
    blocks: WIDE,
    features: 0,
    mask: MaskUpdate::Sum,
    flow: FlowModel::Free,
    prior: None,
    synthesis: Synthesis {
        residual: false,
        blend_prior: None,
        cubic_residual: None,
        keep_static: None,
    },
    ensemble: true,
    restart: Some(32.0),
};
/// 4.2 to 4.4: LeakyReLU trunk, no restart.
const V4_2: NetworkSpec = NetworkSpec {
    trunk: Trunk::LeakyRelu,
    restart: None,
    ..V4_0
};
/// 4.5: ResConv trunk, pixel shuffle head.
const V4_5: NetworkSpec = NetworkSpec {
    trunk: Trunk::ResConv { groups: 1 },
    head: Head::PixelShuffle { unused: 0 },
    ..V4_2
};
/// 4.6: an unused head channel.
const V4_6: NetworkSpec = NetworkSpec {
    head: Head::PixelShuffle { unused: 1 },
    ..V4_5
};
/// 4.7 to 4.9: an encoder of two layers; a block's mask replaces the one before.
const V4_7: NetworkSpec = NetworkSpec {
    encoder: Some(EncoderSpec {
        layers: 2,
        keys: Numbered,
        inner: 16,
        features: 4,
    }),
    mask: MaskUpdate::Replace,
    ..V4_6
};
/// 4.10 to 4.12: an encoder of four layers.
const V4_10: NetworkSpec = NetworkSpec {
    encoder: four_layers(Numbered, 32, 8),
    ..V4_7
};
/// 4.12.lite and 4.13.lite: fewer channels.
const V4_12_LITE: NetworkSpec = NetworkSpec {
    encoder: four_layers(Numbered, 32, 4),
    blocks: NARROW,
    ..V4_10
};
/// 4.13 to 4.19 and 4.24: encoder layers named `cnn0` to `cnn3`.
const V4_13: NetworkSpec = NetworkSpec {
    encoder: four_layers(Named, 32, 8),
    ..V4_10
};
/// 4.14.lite: trunk convolutions in two groups.
const V4_14_LITE: NetworkSpec = NetworkSpec {
    trunk: Trunk::ResConv { groups: 2 },
    ..V4_13
};
/// 4.15.lite to 4.17.lite: fewer channels.
const V4_15_LITE: NetworkSpec = NetworkSpec {
    encoder: four_layers(Named, 16, 4),
    blocks: NARROW,
    ..V4_13
};
/// 4.20: more channels in the coarse blocks.
const V4_20: NetworkSpec = NetworkSpec {
    blocks: Blocks::of(&[384, 192, 96, 48], FOUR),
    ..V4_13
};
/// 4.21 to 4.23: eight feature channels from block to block, no ensemble.
const V4_21: NetworkSpec = NetworkSpec {
    head: Head::PixelShuffle { unused: 0 },
    features: 8,
    blocks: Blocks::of(&[256, 192, 96, 48], FOUR),
    ensemble: false,
    ..V4_13
};
/// 4.22.lite: fewer channels.
const V4_22_LITE: NetworkSpec = NetworkSpec {
    encoder: four_layers(Named, 16, 4),
    blocks: Blocks::of(&[192, 128, 64, 32], FOUR),
    ..V4_21
};
/// 4.25 and 4.26: five blocks.
const V4_25: NetworkSpec = NetworkSpec {
    encoder: four_layers(Named, 16, 4),
    blocks: Blocks::of(&[192, 128, 96, 64, 32], FIVE),
    ..V4_21
};
/// 4.25.lite: the coarsest block at 1/32, a narrower last block.
const V4_25_LITE: NetworkSpec = NetworkSpec {
    blocks: Blocks::of(&[192, 128, 96, 64, 24], &[32, 16, 8, 4, 1]),
    ..V4_25
};
/// 4.25.heavy: twice the channels.
const V4_25_HEAVY: NetworkSpec = NetworkSpec {
    blocks: Blocks::of(&[384, 256, 192, 128, 64], FIVE),
    ..V4_25
};
/// 4.26.heavy: 16 encoder features.
const V4_26_HEAVY: NetworkSpec = NetworkSpec {
    encoder: four_layers(Named, 16, 16),
    ..V4_25
};
/// r1.lite of this project: 4.25.lite without its coarsest block, the others narrower.
const R1_LITE: NetworkSpec = NetworkSpec {
    blocks: Blocks::of(&[160, 96, 64, 24], &[16, 8, 4, 1]),
    ..V4_25
};
/// r2.lite: an RGB residual.
const R2_LITE: NetworkSpec = NetworkSpec {
    synthesis: Synthesis {
        residual: true,
        ..V4_25.synthesis
    },
    ..R1_LITE
};
/// r3.lite: flow linear in time, static pixels kept.
const R3_LITE: NetworkSpec = NetworkSpec {
    flow: FlowModel::Linear,
    synthesis: Synthesis {
        keep_static: Some(1.5),
        ..R2_LITE.synthesis
    },
    ..R2_LITE
};
/// The dense inverse search of r7.lite.
const R7_DIS: DisOptions = DisOptions {
    min_coarsest_area: 512,
    gauss_newton_steps: 3,
    propagation_rounds: 8,
    finest_propagation_rounds: 3,
    damping: 1e-4,
    min_residual: 1.0 / 255.0,
    max_step: 2.0,
    zero_start: None,
    finest_level: 0,
};
/// r7.lite, the default network: dense inverse search as prior, its warped frames in the blend, cubic residual.
const R7_LITE: NetworkSpec = NetworkSpec {
    prior: Some(Prior::Dis(R7_DIS)),
    synthesis: Synthesis {
        // Distances of 4 and 6 pixels gained less.
        blend_prior: Some(BlendPrior { obmc_distance: 3 }),
        // 0.7 was the best constant strength; noisy images need less.
        cubic_residual: Some(1.4),
        ..R3_LITE.synthesis
    },
    ..R3_LITE
};

/// r8.lite: two blocks and a narrow encoder; the search ends at half resolution.
const R8_LITE: NetworkSpec = NetworkSpec {
    encoder: four_layers(Named, 4, 1),
    blocks: Blocks::of(&[64, 32], &[8, 2]),
    prior: Some(Prior::Dis(DisOptions {
        propagation_rounds: 4,
        finest_propagation_rounds: 2,
        zero_start: Some(0.8),
        finest_level: 1,
        ..R7_DIS
    })),
    ..R7_LITE
};

/// All named versions, older before newer. Of versions with equal tensors [`Version::recognise`] takes the last: the newest
/// 4.x; and `rife`, which is far more common than `rife_2r`.
pub(crate) static TABLE: &[Row] = &[
    legacy("rife_hdv2", &["hdv2", "rife_hd_v2", "2.3", "2.4"], Family::Hdv2),
    legacy(
        "rife_2r",
        &["ifnet_2r"],
        Family::Paper(PaperSpec {
            timestep: false,
            twice: true,
        }),
    ),
    legacy(
        "rife",
        &["ifnet"],
        Family::Paper(PaperSpec {
            timestep: false,
            twice: false,
        }),
    ),
    legacy(
        "rife_m",
        &["ifnet_m"],
        Family::Paper(PaperSpec {
            timestep: true,
            twice: false,
        }),
    ),
    v4("4.0", V4_0),
    v4("4.1", V4_0),
    v4("4.2", V4_2),
    v4("4.3", V4_2),
    v4("4.4", V4_2),
    v4("4.5", V4_5),
    v4("4.6", V4_6),
    v4("4.7", V4_7),
    v4("4.8", V4_7),
    v4("4.9", V4_7),
    v4("4.10", V4_10),
    v4("4.11", V4_10),
    v4("4.12", V4_10),
    v4("4.12.lite", V4_12_LITE),
    v4("4.13", V4_13),
    v4("4.13.lite", V4_12_LITE),
    v4("4.14", V4_13),
    v4("4.14.lite", V4_14_LITE),
    v4("4.15", V4_13),
    v4("4.15.lite", V4_15_LITE),
    v4("4.16.lite", V4_15_LITE),
    v4("4.17", V4_13),
    v4("4.17.lite", V4_15_LITE),
    v4("4.18", V4_13),
    v4("4.19", V4_13),
    v4("4.20", V4_20),
    v4("4.21", V4_21),
    v4("4.22", V4_21),
    v4("4.22.lite", V4_22_LITE),
    v4("4.23", V4_21),
    v4("4.24", V4_13),
    v4("4.25", V4_25),
    v4("4.25.lite", V4_25_LITE),
    v4("4.25.heavy", V4_25_HEAVY),
    v4("4.26", V4_25),
    v4("4.26.heavy", V4_26_HEAVY),
    // Trained by this project: 4.25.lite without its coarsest block, the others narrower.
    v4("r1.lite", R1_LITE),
    // With an RGB residual instead of the last block's unused features.
    v4("r2.lite", R2_LITE),
    // With flow linear in time, and static pixels kept.
    v4("r3.lite", R3_LITE),
    // With a prior, its warped frames in the blend, and the cubic residual.
    v4("r7.lite", R7_LITE),
    // For about half the time: fewer and narrower blocks, search at half resolution.
    v4("r8.lite", R8_LITE),
];

/// Index in [`TABLE`] of [`Version::IFNET_M`].
const IFNET_M_ROW: usize = 3;

/// Names of networks that earlier releases shipped and this one cannot run, each with the reason.
const RETIRED: &[(&str, &str)] = &[
    ("r4.lite", LUCAS_KANADE),
    ("r5.lite", LUCAS_KANADE),
    (
        "r6.lite",
        "its last block saw both frames warped once by the mean velocity of its prior, not by OBMC",
    ),
];
/// Why r4.lite and r5.lite are retired.
const LUCAS_KANADE: &str =
    "its prior was pyramidal Lucas-Kanade flow, which later networks replaced by dense inverse search";

impl Version {
    /// The version of the embedded default network.
    pub const DEFAULT: Self = Self::row(&TABLE[TABLE.len() - 2]);
    /// The version of the embedded fast network.
    pub const FAST: Self = Self::row(&TABLE[TABLE.len() - 1]);
    /// The paper's network with a timestep (`rife_m`).
    pub const IFNET_M: Self = Self::row(&TABLE[IFNET_M_ROW]);

    /// Iterates over all named versions, older before newer.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(Self::row)
    }

    /// Lists the names of all versions, older before newer.
    pub fn names() -> Vec<&'static str> {
        TABLE.iter().map(|row| row.name).collect()
    }

    /// Lists the names of the versions that support [`crate::Options::ensemble`].
    pub fn with_ensemble() -> Vec<&'static str> {
        let with = TABLE.iter().filter(|row| Self::row(row).supports_ensemble());
        with.map(|row| row.name).collect()
    }
}

impl FromStr for Version {
    type Err = NetworkError;

    /// Parses a version's name: those of [`Version::names`] in any case, their aliases (`ifnet` for `rife`), 4.x numbers also
    /// as `v4.25`, `rife-v4.25_lite`, `4.25-lite`, `rife425` or, for 4.0, `rife-v4`.
    ///
    /// Errors: [`NetworkError::UnknownVersion`], [`NetworkError::Retired`].
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let plain = text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        let number = plain
            .strip_prefix("rife")
            .unwrap_or(&plain)
            .trim_start_matches('_');
        let number = number.strip_prefix('v').unwrap_or(number).replace('_', ".");
        let number = match number.strip_prefix('4') {
            // `4` alone could be any 4.x.
            Some("") if plain != "4" => "4.0".to_owned(),
            Some(minor) if minor.bytes().all(|byte| byte.is_ascii_digit()) => format!("4.{minor}"),
            _ => number,
        };
        if let Some((name, why)) = RETIRED.iter().find(|(name, _)| *name == number) {
            return Err(NetworkError::Retired { name, why });
        }
        let is = |row: &&Row| {
            [&plain, &number]
                .iter()
                .any(|name| row.name == name.as_str() || row.aliases.contains(&name.as_str()))
        };
        let found = TABLE.iter().find(is).map(Self::row);
        found.ok_or_else(|| NetworkError::UnknownVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_point_to_their_rows() {
        assert_eq!(Version::IFNET_M.name(), "rife_m");
        assert_eq!(Version::DEFAULT.name(), "r7.lite");
        assert_eq!(Version::FAST.name(), "r8.lite");
    }

    #[test]
    fn every_description_of_the_table_is_accepted_and_comes_back_from_json() {
        for version in Version::all() {
            let Some(spec) = version.spec() else { continue };
            let json = spec.to_json();
            let read = NetworkSpec::from_json(&json).unwrap();
            assert_eq!(read, *spec, "{version}: {json}");
            assert_eq!(Version::from_spec(read).unwrap().spec(), Some(spec), "{version}");
        }
    }

    /// Descriptions of published networks never change: constants of later designs are optional fields, absent in these.
    #[test]
    fn the_descriptions_of_published_networks_stay() {
        let found: Vec<_> = Version::all()
            .filter_map(|version| Some(format!("{} {}", version.name(), &version.spec()?.sha256()[..16])))
            .collect();
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(found, PINNED);
    }

    #[test]
    fn names_of_other_programs_are_accepted() {
        for (given, name) in [
            ("rife-v4.25_lite", "4.25.lite"),
            ("RIFE v4.26 heavy", "4.26.heavy"),
            ("v4_6", "4.6"),
            ("rife-v4", "4.0"),
            ("rife46", "4.6"),
            ("rife417", "4.17"),
            ("rife-v2.3", "rife_hdv2"),
            ("2.4", "rife_hdv2"),
            ("rife", "rife"),
        ] {
            assert_eq!(given.parse::<Version>().unwrap().name(), name, "{given}");
        }
        for wrong in ["rife-v3.1", "rife499", "4.", "v", ""] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn retired_networks_say_why() {
        let error = "r4.lite".parse::<Version>().unwrap_err().to_string();
        assert!(
            error.contains("r4.lite") && error.contains("Lucas-Kanade"),
            "{error}"
        );
        let error = "r6-lite".parse::<Version>().unwrap_err().to_string();
        assert!(error.contains("r6.lite") && error.contains("OBMC"), "{error}");
    }

    const PINNED: &[&str] = &[
        "4.0 0d70722318ebc7a3",
        "4.1 0d70722318ebc7a3",
        "4.2 83a8f7ecd9f92ffb",
        "4.3 83a8f7ecd9f92ffb",
        "4.4 83a8f7ecd9f92ffb",
        "4.5 d84518a798fcec43",
        "4.6 a94e9be63b8058aa",
        "4.7 8df3603652aa0ce6",
        "4.8 8df3603652aa0ce6",
        "4.9 8df3603652aa0ce6",
        "4.10 c87db8766e1441aa",
        "4.11 c87db8766e1441aa",
        "4.12 c87db8766e1441aa",
        "4.12.lite 955e26860585b07c",
        "4.13 6d627de8a310d22a",
        "4.13.lite 955e26860585b07c",
        "4.14 6d627de8a310d22a",
        "4.14.lite 36bc69bdf372b1f0",
        "4.15 6d627de8a310d22a",
        "4.15.lite 1f3979d869747a61",
        "4.16.lite 1f3979d869747a61",
        "4.17 6d627de8a310d22a",
        "4.17.lite 1f3979d869747a61",
        "4.18 6d627de8a310d22a",
        "4.19 6d627de8a310d22a",
        "4.20 89310116d0ca3788",
        "4.21 d2a88d0eef50dd99",
        "4.22 d2a88d0eef50dd99",
        "4.22.lite 2f7f453ce184f874",
        "4.23 d2a88d0eef50dd99",
        "4.24 6d627de8a310d22a",
        "4.25 eebae7d236549c6b",
        "4.25.lite fe7e96cc30d27399",
        "4.25.heavy 6fd4d0abb3ca1635",
        "4.26 eebae7d236549c6b",
        "4.26.heavy 37b947c794a5d7c0",
        "r1.lite 854946eacb589a13",
        "r2.lite ff0549101bcfb2e3",
        "r3.lite 5139a212230aead4",
        "r7.lite da5799f84c421b3f",
        "r8.lite f267a757d1cf7e78",
    ];
}
