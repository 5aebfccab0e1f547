//! What this machine can do at most, as JSON, on one thread and on all: thousand millions of 32-bit and of eight-bit
//! multiplications and additions a second. `cargo run --release -p rife-cpu --example limits`

use limits::{dots_limit, multiply_adds_limit, together};

#[path = "common/limits.rs"]
mod limits;

fn main() {
    let all = std::thread::available_parallelism().map_or(1, |count| count.get());
    // The best of a few, since others' work on the machine only takes away.
    let best = |count, limit| (0..5).map(|_| together(count, limit)).fold(0.0, f64::max);
    let both = |limit: fn() -> f64| [1, all].map(|count| (best(count, limit) / 1e9).round());
    println!(
        r#"{{"threads": {:?}, "f32": {:?}, "int8": {:?}}}"#,
        [1, all],
        both(multiply_adds_limit),
        both(dots_limit)
    );
}
