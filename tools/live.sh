#!/bin/sh
# Measures `rife live` on this machine: delays and frames, at 640x360 and 1280x720, of a source of 25 frames a second that
# ffmpeg plays in real time; once with all processors and once with one (taskset).
#
#   sh tools/live.sh [BINARY [SECONDS]]
set -eu
rife=${1:-target/release/rife}
seconds=${2:-20}
export RIFE_CONFIG=
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Prints the figures of a run: size, then a command in front of `rife`, then options.
measure() {
    size=$1 front=$2
    shift 2
    ffmpeg -nostdin -v error -re -f lavfi -i "testsrc2=size=$size:rate=25" -t "$seconds" -pix_fmt yuv420p -f yuv4mpegpipe - |
        $front "$rife" live - - "$@" 2> "$log" > /dev/null
    printf '%s %s %s\n' "$size" "${front:-all processors}" "$*"
    sed 's/^/    /' "$log"
}

echo "load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
for size in 640x360 1280x720; do
    measure "$size" ''
    measure "$size" 'taskset -c 0'
    measure "$size" '' --cut-threshold 0
done
