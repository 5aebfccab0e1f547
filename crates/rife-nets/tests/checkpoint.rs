//! Checkpoint readers and writers: what torch, safetensors and ncnn files give, and what they refuse.

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
