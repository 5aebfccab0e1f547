#!/bin/sh
# Builds the wheels of the Python package for Linux with zig as linker and C compiler, so that they run where glibc is 2.28 or later
# (manylinux) or where there is musl instead (musllinux); then installs the first into a clean environment of every Python from 3.10
# on that is found (python3.N, those of pyenv) and uses it there. Needs a Rust toolchain, Python 3.10 or later, and ffmpeg.
#
#   sh tools/wheels.sh [FOLDER [KIND...]]     (default: dist manylinux musllinux; "installed" only tests the wheels in FOLDER)
set -eu
cd "$(dirname "$0")/.."
folder=${1:-dist}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- manylinux musllinux
mkdir -p "$folder"
folder=$(realpath "$folder")
machine=$(uname -m)
place=$PWD/target/wheels-tools
[ -x "$place/bin/maturin" ] && [ -e "$place/ready" ] || {
    python3 -m venv "$place"
    "$place/bin/pip" install --quiet --disable-pip-version-check maturin==1.16.0 ziglang==0.17.1 auditwheel==6.8.2
    touch "$place/ready"
}
# maturin finds zig as the module ziglang of the first python3.
PATH=$place/bin:$PATH
export PATH

for kind in "$@"; do
    case $kind in
    manylinux)
        maturin build --release --locked --zig --compatibility manylinux_2_28 --out "$folder"
        ;;
    musllinux)
        rustup target add "$machine-unknown-linux-musl"
        maturin build --release --locked --zig --target "$machine-unknown-linux-musl" --compatibility musllinux_1_2 --out "$folder"
        ;;
    installed) ;;
    *)
        echo "wheels.sh: $kind is not a kind of wheel; manylinux, musllinux and installed are" >&2
        exit 2
        ;;
    esac
done

for wheel in "$folder"/rife-*manylinux*"$machine".whl; do
    [ -e "$wheel" ] || continue
    auditwheel show "$wheel"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    for python in python3.10 python3.11 python3.12 python3.13 python3.14 "$HOME"/.pyenv/versions/3.*/bin/python; do
        command -v "$python" >/dev/null 2>&1 || continue
        "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || continue
        rm -rf "$work/venv" "$work/files"
        "$python" -m venv "$work/venv"
        mkdir "$work/files"
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
        (
            cd "$work/files"
            PATH=$work/venv/bin:$PATH
            python -c 'import numpy, rife
a, b = (numpy.full((96, 128, 3), value, numpy.uint8) for value in (100, 110))
middle = rife.Model(threads=1).interpolate(a, b)
assert middle.shape == a.shape and abs(float(middle.mean()) - 105) < 2, middle.mean()'
            rife sample clip.y4m >/dev/null 2>&1
            rife video clip.y4m -o out.y4m --quiet
            python -m rife info out.y4m >/dev/null
            echo "$(python --version): the wheel works, $(rife --version)"
        )
    done
done
