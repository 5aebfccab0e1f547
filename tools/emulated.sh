#!/bin/sh
# Runs the CPU engine's tests for aarch64 (NEON kernels) under qemu-user, and its unit tests in Miri, which checks every memory
# access (scalar kernels only). Takes half an hour or more.
# Needs, on Debian: apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
#   rustup target add aarch64-unknown-linux-gnu; rustup toolchain install nightly --component miri,rust-src
set -eu
cd "$(dirname "$0")/.."
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
cargo test -p rife-cpu --target aarch64-unknown-linux-gnu --target-dir target-aarch64 -- --nocapture
# Skips one test with a long loop, which Miri had not finished after five minutes.
cargo +nightly miri test -p rife-cpu --lib --target-dir target-miri -- --skip every_item_is_done_once
