#!/bin/sh
# Checks every crate of the default build with no features and with each of its features alone, that features that are off
# leave out what they are for, and that every crate can be packaged for crates.io.
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

echo "features: rife without downloads has no HTTP client"
if cargo tree --quiet -p rife --no-default-features -e normal --prefix none | grep '^ureq '; then
    echo "ureq is built although the feature download is off" >&2
    exit 1
fi

echo "packages: all crates"
cargo package --quiet --workspace --no-verify --allow-dirty
