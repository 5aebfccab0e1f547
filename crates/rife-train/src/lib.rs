//! Training of RIFE networks: the networks of `rife-nets` run on Burn's autodiff tensors. A TOML recipe describes network,
//! data, loss and optimizer; its PyTorch twin, `tools/train_twin.py`, reads the same file.

pub mod backend;
pub mod checkpoint;
pub mod data;
pub mod loss;
pub mod optimizer;
pub mod parameters;
pub mod provenance;
pub mod recipe;
pub mod rng;
pub mod scores;
pub mod step;
pub mod threads;
pub mod trainer;
pub mod validation;
pub mod watch;
pub mod weights_file;
