//! Prints the machine's peak arithmetic throughput as JSON, for one thread and for all: f32 and int8 multiplications and
//! additions per second in units of 1e9. `cargo run --release -p rife-cpu --example limits`

use limits::{dots_limit, multiply_adds_limit, together};

#[path = "common/limits.rs"]
mod limits;

fn main() {
    let all = std::thread::available_parallelism().map_or(1, |count| count.get());
    // The maximum of a few runs, since other processes only reduce it.
    let best = |count, limit| (0..5).map(|_| together(count, limit)).fold(0.0, f64::max);
    let both = |limit: fn() -> f64| [1, all].map(|count| (best(count, limit) / 1e9).round());
    println!(
        r#"{{"threads": {:?}, "f32": {:?}, "int8": {:?}}}"#,
        [1, all],
        both(multiply_adds_limit),
        both(dots_limit)
    );
}
