#!/bin/sh
# Writes a small, strongly compressed copy of every clip: 256 pixels on the shorter side, MPEG-4 Part 2, like old web video.
# Independent compression noise in the frames teaches the network to average static regions.
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
