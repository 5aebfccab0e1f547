//! Training of RIFE networks: the network descriptions of `rife-nets` run on Burn's autodiff tensors, so that
//! what is trained is what is shipped. The recipe file says what is trained, on what and how; `tools/train_twin.py`
//! reads the same file.

pub mod backend;
pub mod checkpoint;
pub mod data;
pub mod loss;
pub mod optimizer;
pub mod parameters;
pub mod provenance;
pub mod recipe;
pub mod rng;
pub mod step;
pub mod threads;
pub mod trainer;
pub mod validation;
pub mod watch;
pub mod weights_file;
