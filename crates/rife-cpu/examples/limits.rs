//! What this machine can do at most, as JSON, on one thread and on all: thousand millions of 32-bit and of eight-bit
//! multiplications and additions a second. `cargo run --release -p rife-cpu --example limits`

use limits::{dots_limit, multiply_adds_limit, together};

#[path = "common/limits.rs"]
mod limits;

fn main() {
    let all = std::thread::available_parallelism().map_or(1, |count| count.get());
    let both = |limit| [1, all].map(|count| (together(count, limit) / 1e9).round());
    println!(
        r#"{{"threads": {:?}, "f32": {:?}, "int8": {:?}}}"#,
        [1, all],
        both(multiply_adds_limit),
        both(dots_limit)
    );
}
