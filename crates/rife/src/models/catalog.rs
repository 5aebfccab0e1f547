//! Tables of networks: public checkpoints that `rife models pull` downloads by name, with file names, addresses and known
//! hashes; and those that are suggested for a purpose.

/// A public checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name, which is the RIFE version, such as `4.25.lite`.
    pub name: &'static str,
    /// SHA-256 in hexadecimal as recorded by public packages of the file (not by this project); if `None`, the first
    /// download pins the hash of its file.
    pub sha256: Option<&'static str>,
}

/// Base address of the files: the release assets of HolyWu/vs-rife (MIT), which vs-rife itself downloads. This project's
/// tests have no network access and do not check them.
const RELEASE: &str = "https://github.com/HolyWu/vs-rife/releases/download/model";

impl Checkpoint {
    /// SPDX identifier of the licence that vs-rife, whose releases have the files, is under.
    pub const LICENSE: &str = "MIT";

    /// Returns the file name, the same on the server and in the models folder.
    pub fn file(&self) -> String {
        format!("flownet_v{}.pkl", self.name)
    }

    /// Returns the file's address.
    pub fn url(&self) -> String {
        format!("{RELEASE}/{}", self.file())
    }
}

/// Finds a checkpoint by its name, also in the spellings of other programs, such as `rife-v4.25_lite`.
pub fn checkpoint(name: &str) -> Option<&'static Checkpoint> {
    let name = usual_name(name);
    CATALOG.iter().find(|entry| entry.name == name)
}

/// Returns the name of a version that is spelled as in another program, such as `4.25.lite` for `rife-v4.25_lite`; other names as
/// they are.
pub(crate) fn usual_name(name: &str) -> String {
    let version = name.parse::<rife_nets::Version>();
    version.map_or_else(|_| name.to_owned(), |version| version.name().to_owned())
}

/// Makes an entry without a known hash.
const fn unpinned(name: &'static str) -> Checkpoint {
    Checkpoint { name, sha256: None }
}

/// Makes an entry with a known SHA-256.
const fn pinned(name: &'static str, sha256: &'static str) -> Checkpoint {
    Checkpoint {
        name,
        sha256: Some(sha256),
    }
}

/// All checkpoints that can be downloaded by name.
pub const CATALOG: &[Checkpoint] = &[
    unpinned("4.0"),
    unpinned("4.1"),
    unpinned("4.2"),
    unpinned("4.3"),
    unpinned("4.4"),
    unpinned("4.5"),
    pinned(
        "4.6",
        "008646e761f0e67cb77f0c6c44cfe3c3e5a05d9d9465311b9681ca650ce030db",
    ),
    unpinned("4.7"),
    unpinned("4.8"),
    unpinned("4.9"),
    unpinned("4.10"),
    unpinned("4.11"),
    unpinned("4.12"),
    unpinned("4.12.lite"),
    unpinned("4.13"),
    unpinned("4.13.lite"),
    unpinned("4.14"),
    unpinned("4.14.lite"),
    pinned(
        "4.15",
        "bf969affb3f6e9a09eea8c1da6c51bb22d6da45e92cafb9273689d05e2360dd2",
    ),
    pinned(
        "4.15.lite",
        "54fe3fb51efb880f64ffe2048a88220ad2b0b3d03f7cb800742e90821dcfb24f",
    ),
    pinned(
        "4.16.lite",
        "290cf343fb5a933f4503920ca07826c4d30561bd9b573b11b054b33ea0dee642",
    ),
    pinned(
        "4.17",
        "b1ee3186270312a38316e4d53c77b31a60062cfa5636e13d6f0a1dd89bb7b128",
    ),
    pinned(
        "4.17.lite",
        "9303f59001bc40e801273828cc0da84b8f7696a9485cd7c45e7796f20ed2f086",
    ),
    pinned(
        "4.18",
        "955fc8b552417ae4808999f5d671d024438e904c0bebf766ae6fb61806ce021c",
    ),
    unpinned("4.19"),
    unpinned("4.20"),
    unpinned("4.21"),
    unpinned("4.22"),
    unpinned("4.22.lite"),
    unpinned("4.23"),
    unpinned("4.24"),
    pinned(
        "4.25",
        "6615790efd627772917205db291f51cd392528a157ecbb2ecaeec3bff8eb6de2",
    ),
    pinned(
        "4.25.lite",
        "81cdba223fe72a120130cc8552e5d2ecac824259d406f0c15323b3decf96b8b1",
    ),
    unpinned("4.25.heavy"),
    pinned(
        "4.26",
        "45c7f74156704769dc9f85cfcaf8552e1e926f9399dcfa3a553dee88fac6f53f",
    ),
    unpinned("4.26.heavy"),
];

/// A network that is suggested for a purpose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suggestion {
    /// The network's version, such as `4.25.lite`.
    pub network: &'static str,
    /// What it is suggested for.
    pub purpose: &'static str,
    /// Its quality, if this project has measured it.
    pub quality: Option<Quality>,
}

/// Quality of a network: mean PSNR in dB over the triplets of a data set, as in `docs/model-card.md`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// On UCF101.
    pub ucf101: f64,
    /// On DAVIS.
    pub davis: f64,
}

/// The networks to choose from, by purpose. The published ones cannot be scored by this project, which has not their weights.
pub const SUGGESTIONS: &[Suggestion] = &[
    Suggestion {
        network: "r7.lite",
        purpose: "any clip, without a download",
        quality: Some(Quality {
            ucf101: 35.84,
            davis: 27.62,
        }),
    },
    Suggestion {
        network: "r8.lite",
        purpose: "about half the time (fast)",
        quality: Some(Quality {
            ucf101: 35.70,
            davis: 27.08,
        }),
    },
    Suggestion {
        network: "4.25.lite",
        purpose: "less time for a frame",
        quality: None,
    },
    Suggestion {
        network: "4.26",
        purpose: "published results, long clips",
        quality: None,
    },
    Suggestion {
        network: "4.25.heavy",
        purpose: "pictures and short clips",
        quality: None,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suggestion_is_a_network() {
        for suggestion in SUGGESTIONS {
            let version: rife_nets::Version = suggestion.network.parse().unwrap();
            assert_eq!(version.name(), suggestion.network);
            let embedded = [rife_nets::Version::DEFAULT, rife_nets::Version::FAST];
            assert!(embedded.contains(&version) || checkpoint(suggestion.network).is_some());
        }
        assert_eq!(SUGGESTIONS[0].network, rife_nets::Version::DEFAULT.name());
    }

    #[test]
    fn every_row_is_a_network_and_every_hash_is_hex() {
        for entry in CATALOG {
            assert!(
                entry
                    .sha256
                    .is_none_or(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit()))
            );
            assert_eq!(entry.url().rsplit('/').next(), Some(entry.file().as_str()));
        }
        let names: std::collections::BTreeSet<_> = CATALOG.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), 36, "each of the 36 versions once");
    }
}
