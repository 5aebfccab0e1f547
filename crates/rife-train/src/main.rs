//! The `rife-train` binary.

fn main() {}
