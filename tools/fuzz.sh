#!/bin/sh
# Runs the fuzz targets with cargo-fuzz and an address sanitizer, each for some seconds; stops at the first that fails. New
# interesting inputs go into fuzz/generated, a failing one into fuzz/artifacts.
#
#   tools/fuzz.sh [SECONDS [TARGET...]]      60 seconds, all targets
#
# Needs `cargo install --locked cargo-fuzz` and a nightly toolchain.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- $(cargo fuzz list)
# Targets write temporary files.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
for target in "$@"; do
    seeds=fuzz/corpus/$target
    [ "$target" != checkpoint ] || seeds="$seeds crates/rife-nets/tests/fixtures"
    mkdir -p "fuzz/generated/$target"
    echo "fuzzing $target for $seconds s"
    # shellcheck disable=SC2086
    cargo +nightly fuzz run "$target" "fuzz/generated/$target" $seeds -- -max_total_time="$seconds" -max_len=65536 -timeout=20 \
        -rss_limit_mb=4096 -print_final_stats=1 -verbosity=0
done
