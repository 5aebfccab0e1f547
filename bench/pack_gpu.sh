#!/bin/sh
# Packs what bench/gpu.sh needs into target/gpu-bench.tar.gz, at most 64 MiB: sh bench/pack_gpu.sh [PROFILE], by default `release`;
# `dev` packs the tests' build, to try the script. With LIB=FOLDER, also libraries that the machine may lack.
set -e
cd "$(dirname "$0")/.."
profile=${1:-release}
folder=target/gpu-bench
rm -rf $folder
mkdir -p $folder
# The path of a program that cargo built; the last argument is its target's name.
built() {
    for name; do :; done
    cargo "$@" --message-format=json 2>/dev/null |
        sed -n "s/.*\"name\":\"$name\".*\"executable\":\"\([^\"]*\)\".*/\1/p" | tail -1
}
if [ "$profile" = release ]; then
    rife=$(built build --release -p rife-cli --bin rife)
    bench=$(built bench -p rife-nets --no-run --bench gpu)
else
    rife=$(built build --workspace --bin rife)
    bench=$(built test --workspace --no-run --bench gpu)
fi
cp "$rife" $folder/rife
cp "$bench" $folder/gpu-bench
strip $folder/rife $folder/gpu-bench
cp bench/gpu.sh bench/networks.py $folder/
[ -z "${LIB:-}" ] || cp -r "$LIB" $folder/lib
tar -C target -czf target/gpu-bench.tar.gz gpu-bench
bytes=$(wc -c <target/gpu-bench.tar.gz)
echo "target/gpu-bench.tar.gz: $bytes bytes"
[ "$bytes" -le 67108864 ] || { echo "more than 64 MiB" >&2; exit 1; }
