#!/bin/sh
# Builds target/debug/rife with the features of dependencies that `make unit` builds them with, so that nothing is compiled twice:
# `cargo build -p rife-cli` would choose other ones.
set -eu
cd "$(dirname "$0")/.."
# shellcheck disable=SC2086
exec cargo test --quiet ${PACKAGES:---workspace --exclude rife-train --exclude rife-vapoursynth} --no-run --test cli
