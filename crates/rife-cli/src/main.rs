//! The `rife` command line: arguments to jobs.

fn main() {}
