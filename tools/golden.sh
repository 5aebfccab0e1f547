#!/bin/sh
# Prints SHA-256 of the outputs of about 25 commands of a rife binary on clips that it renders, to check on one machine that a
# change leaves every output byte-identical.
#
#   tools/golden.sh BINARY              prints "HASH  NAME" lines
#   tools/golden.sh OLD NEW             prints the names whose hashes differ; exit code 1 if there are any
set -eu
[ $# -ge 1 ] || { sed -n '2,6p' "$0"; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run NAME OUTPUT ARGUMENTS...: runs a command and hashes OUTPUT (a file, or the files of a folder in order).
run() {
    name=$1 out=$2
    shift 2
    if ! "$bin" "$@" >"$name.log" 2>&1; then
        echo "failed  $name"
        tail -n 3 "$name.log" | sed 's/^/    /' >&2
        return
    fi
    if [ -d "$out" ]; then
        hash=$(cd "$out" && find . -type f ! -name '*.json' | LC_ALL=C sort | xargs sha256sum | sha256sum)
    else
        hash=$(sha256sum <"$out")
    fi
    echo "${hash%% *}  $name"
}

hashes() {
    bin=$(realpath "$1")
    dir=$work/$2
    mkdir -p "$dir"
    cd "$dir"
    "$bin" sample clip.mp4 >sample.log 2>&1
    ffmpeg -v error -i clip.mp4 -t 1 -an -vf scale=192:112 -c:v ffv1 small.mkv
    ffmpeg -v error -i small.mkv -vf "select='not(eq(mod(n,7),3))'" -fps_mode passthrough -c:v ffv1 vfr.mkv
    ffmpeg -v error -i small.mkv -pix_fmt yuv420p10le -c:v ffv1 ten.mkv
    ffmpeg -v error -i small.mkv -vf "format=yuva420p,geq=lum='lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)':a='255*X/W'" -c:v ffv1 alpha.mkv
    ffmpeg -v error -i small.mkv -frames:v 1 -update 1 a.png
    ffmpeg -v error -i small.mkv -vf "select='eq(n,4)'" -frames:v 1 -update 1 b.png
    lossless="--codec ffv1 --overwrite --quiet"
    # shellcheck disable=SC2086
    {
        run video-2x 2x.mp4 video clip.mp4 -o 2x.mp4 --overwrite --quiet
        run video-2x-lossless l.mkv video small.mkv -o l.mkv $lossless
        run video-3x 3.mkv video small.mkv -o 3.mkv --factor 3 $lossless
        run video-60fps 60.mkv video small.mkv -o 60.mkv --fps 60 $lossless
        run slow-motion slow.mkv video small.mkv -o slow.mkv --factor 4 --slow-motion $lossless
        run vfr vfr2.mkv video vfr.mkv -o vfr2.mkv $lossless
        run ten-bit ten2.mkv video ten.mkv -o ten2.mkv $lossless
        run alpha alpha2.mkv video alpha.mkv -o alpha2.mkv $lossless
        run y4m out.y4m video small.mkv -o out.y4m --overwrite --quiet
        run pictures frames video small.mkv -o frames/%06d.png --overwrite --quiet
        run int8 int8.mkv video small.mkv -o int8.mkv --precision int8 $lossless
        run tta tta.mkv video small.mkv -o tta.mkv --tta $lossless
        run half-scale half.mkv video small.mkv -o half.mkv --scale 0.5 $lossless
        run tiles tiles.mkv video clip.mp4 -o tiles.mkv --memory-limit 400M --video-only $lossless
        run chain chain.mkv chain small.mkv small.mkv -o chain.mkv --overwrite
        run morph morph.y4m image a.png b.png --exp 3 -o morph.y4m --overwrite
        run image mid.png image a.png b.png -o mid.png --exp 1 --overwrite
        run reencode re.mp4 reencode clip.mp4 -o re.mp4 --overwrite
        for version in rife_m rife_hdv2 4.0 4.6 4.25.lite; do
            run "random-$version" "v$version.mkv" video small.mkv -o "v$version.mkv" --random-weights --model-version "$version" $lossless
        done
        run ensemble ensemble.mkv video small.mkv -o ensemble.mkv --random-weights --model-version 4.6 --ensemble $lossless
        run onnx-4.6 net.onnx convert default net.onnx --size 192x112 --overwrite
        run safetensors net.safetensors convert default net.safetensors --overwrite
        for shard in 1 2; do "$bin" video clip.mp4 -o shards.mp4 --shard "$shard/2" --overwrite --quiet >>shards.log 2>&1 || true; done
        run shards shards.mp4 join clip.mp4 -o shards.mp4 --overwrite --quiet
        RIFE_CPU=avx2 run avx2 avx2.mkv video small.mkv -o avx2.mkv $lossless
    }
}

if [ $# -eq 1 ]; then
    hashes "$1" one
    exit
fi
old=$(realpath "$1") new=$(realpath "$2")
(hashes "$old" old) >"$work/old.txt"
(hashes "$new" new) >"$work/new.txt"
if diff "$work/old.txt" "$work/new.txt" >"$work/diff.txt"; then
    echo "the same: $(wc -l <"$work/new.txt") outputs"
else
    sed -n 's/^> //p' "$work/diff.txt" | cut -c67-
    exit 1
fi
