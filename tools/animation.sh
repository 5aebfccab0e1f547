#!/bin/sh
# Makes docs/before-after.webp, the moving picture of the README: the project's sample clip at 15 frames a second on the left, and
# what `rife video --factor 4` makes of it on the right, 2 seconds, 60 frames a second.
#
#   tools/animation.sh [RIFE]      RIFE: the program, by default target/release/rife
set -eu
cd "$(dirname "$0")/.."
rife=${1:-target/release/rife}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$rife" sample "$place/before.mp4" --size 288x160 --quiet
"$rife" video "$place/before.mp4" -o "$place/after.mp4" --factor 4 --crf 8 --quiet
ffmpeg -nostdin -v error -y -i "$place/before.mp4" -i "$place/after.mp4" \
    -filter_complex "[0]fps=60,pad=iw+4:ih:0:0:white[before];[before][1]hstack=shortest=1,trim=duration=2" \
    -c:v libwebp_anim -quality 40 -compression_level 6 -loop 0 docs/before-after.webp
bytes=$(wc -c <docs/before-after.webp)
echo "docs/before-after.webp: $bytes bytes"
[ "$bytes" -le 400000 ] || {
    echo "it is to have at most 400000" >&2
    exit 1
}
