#!/bin/sh
# Measures what a shard saves that reads its part of a clip: shard 9 of 10 of a clip of 4 minutes, with this program and with another
# one in turns. Prints, for each of ROUNDS rounds, wall and processor seconds (ffmpeg's included) of both, and the medians of the
# ratios.
#
#   sh bench/shard.sh [PROGRAM]     (default: target/release/rife)
#
#   BEFORE=PROGRAM  the other program, such as one of an earlier version; default: the same, which is made to read all of the clip
#   OPTIONS=...     options of both (default: the clip's own rate, so that no frame is computed and only reading and encoding count)
#   ROUNDS=3, SIZE=1280x720, SECONDS_LONG=240
set -eu
rife=$(realpath "${1:-target/release/rife}")
before=$(realpath "${BEFORE:-$rife}")
options=${OPTIONS:---fps 25 --segment-frames 125 --random-weights --model-version 4.17.lite}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export RIFE_CONFIG=
ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=${SIZE:-1280x720}:rate=25:duration=${SECONDS_LONG:-240}" -pix_fmt yuv420p \
    -c:v libx264 -preset veryfast clip.mp4

# run NAME PROGRAM OPTIONS...: prints wall and processor seconds of a shard.
run() {
    name=$1 program=$2
    shift 2
    rm -rf out.mkv.rife-shard-*
    # shellcheck disable=SC2086
    /usr/bin/env bash -c 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null 2>log' - "$program" video clip.mp4 -o out.mkv --shard 9/10 \
        --overwrite $options "$@" 2>&1 | awk -v name="$name" '{ printf "%s %.2f %.2f\n", name, $1, $2 + $3 }'
}

: >figures
for round in $(seq "${ROUNDS:-3}"); do
    # The list of cuts is of the whole clip, so that all of it is read.
    if [ "$before" = "$rife" ]; then
        run all "$before" --cuts-out cuts.csv | tee -a figures
    else
        run all "$before" | tee -a figures
    fi
    run part "$rife" | tee -a figures
done
awk '$1 == "all" { wall = $2; cpu = $3 } $1 == "part" { printf "%.4f %.4f\n", $2 / wall, $3 / cpu }' figures >ratios
median() { cut -d ' ' -f "$1" ratios | sort -n | awk '{ values[NR] = $1 } END { print values[int((NR + 1) / 2)] }'; }
echo "part to all, median of ratios: wall $(median 1), processor $(median 2)"
