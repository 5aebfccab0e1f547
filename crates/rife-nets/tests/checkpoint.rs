//! Checkpoint readers and writers: content read from torch, safetensors and ncnn files, and errors.

#[path = "checkpoint/fuzz.rs"]
mod fuzz;
#[path = "checkpoint/memory.rs"]
mod memory;
#[path = "checkpoint/ncnn.rs"]
mod ncnn;
#[path = "checkpoint/safetensors.rs"]
mod safetensors;
#[path = "checkpoint/support.rs"]
mod support;
#[path = "checkpoint/torch.rs"]
mod torch;
