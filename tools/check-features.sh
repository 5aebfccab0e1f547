#!/bin/sh
# Checks every crate of the default build with no features and with each of its features alone.
set -eu
cargo metadata --no-deps --format-version 1 |
    tr '{' '\n' | grep -o '"name":"rife[a-z-]*","version"' | cut -d'"' -f4 | sort -u | grep -v '^rife-train$' |
while read -r crate; do
    manifest="crates/$crate/Cargo.toml"
    echo "features: $crate, none"
    cargo check --quiet -p "$crate" --no-default-features
    sed -n '/^\[features\]/,/^\[/p' "$manifest" | grep -o '^[a-z][a-z0-9_-]*' | grep -v '^default$' |
    while read -r feature; do
        echo "features: $crate, $feature"
        cargo check --quiet -p "$crate" --no-default-features --features "$feature"
    done
done
