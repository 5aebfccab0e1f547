#!/bin/sh
# Writes a small, hard-compressed copy of every clip: 256 pixels on the short side, MPEG-4 part 2, as old web video is.
# Frames with independent compression noise teach the network to average where nothing moves.
# usage: tools/lowrate.sh CLIPS OUT
set -eu
clips=$1 out=$2 quality=3
mkdir -p "$out"
for clip in "$clips"/*; do
    name=$(basename "${clip%.*}")
    ffmpeg -nostdin -v error -y -noautorotate -i "$clip" -map 0:v:0 -frames:v 72 \
        -vf "scale='if(gt(iw,ih),-2,256)':'if(gt(iw,ih),256,-2)':flags=area" \
        -c:v mpeg4 -q:v "$quality" -bf 0 -g 30 -pix_fmt yuv420p -an "$out/$name.mp4"
    quality=$((quality % 6 + 1))
    [ "$quality" -ge 3 ] || quality=3
done
