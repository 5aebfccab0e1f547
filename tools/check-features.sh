#!/bin/sh
# Checks the workspace without default features, every crate that has features with none and with each alone (except a feature that
# is its only default, with which `make lint` checks it), that features that are off leave out what they are for, and that every
# crate can be packaged for crates.io. Crates without features are checked as dependencies of the others: the features of external
# crates stand in the workspace's manifest, for all crates alike.
set -eu
echo "features: all crates, none"
cargo check --quiet --workspace --exclude rife-train --no-default-features
for manifest in crates/*/Cargo.toml; do
    crate=$(basename "$(dirname "$manifest")")
    features=$(sed -n '/^\[features\]/,/^\[/p' "$manifest" | grep -o '^[a-z][a-z0-9_-]*' | grep -v '^default$' || true)
    if [ -z "$features" ] || [ "$crate" = rife-train ]; then continue; fi
    echo "features: $crate, none"
    cargo check --quiet -p "$crate" --no-default-features
    default=$(sed -n 's/^default = \["\(.*\)"\]$/\1/p' "$manifest")
    for feature in $features; do
        [ "$feature" != "$default" ] || continue
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
