#!/bin/sh
# Tests the VapourSynth filter: compiles it with the other tests' features, installs its wheel beside VapourSynth's into an
# environment of its own under target/, and runs pytest. Prints that it is skipped if VapourSynth cannot be installed, which needs
# Python 3.12 or later.
set -eu
cd "$(dirname "$0")/.."
skip() {
    sh tools/skip.sh vapoursynth "the VapourSynth filter's tests need $1"
    exit
}
place=$PWD/target/vapoursynth
[ -e "$place/ready" ] || {
    python=
    for candidate in python3.14 python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[2-9]*/bin/python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    [ "$python" ] || skip "Python 3.12 or later"
    "$python" -m venv "$place" >/dev/null 2>&1 || skip "$python's venv"
    "$place/bin/pip" install --quiet --disable-pip-version-check vapoursynth==81 hatchling==1.28.0 numpy pytest==9.2.0 \
        || skip "packages that cannot be fetched here"
    touch "$place/ready"
}
echo "needs vapoursynth: here"
# The integration test's build makes the plugin with the features that all other tests are built with.
# shellcheck disable=SC2086
cargo test --quiet ${PACKAGES:---workspace --exclude rife-train} --no-run --test positions --test cli
for library in target/debug/deps/librife_vapoursynth.so target/debug/deps/librife_vapoursynth.dylib; do
    [ ! -e "$library" ] || RIFE_VAPOURSYNTH_LIBRARY=$PWD/$library
done
export RIFE_VAPOURSYNTH_LIBRARY
rm -rf "$place/wheels"
(cd crates/rife-vapoursynth && "$place/bin/python" -m hatchling build -t wheel -d "$place/wheels" >/dev/null)
"$place/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$place"/wheels/*.whl
PATH=$place/bin:$PATH RIFE_BINARY=$PWD/target/debug/rife "$place/bin/python" -m pytest -q -p no:cacheprovider -rs \
    crates/rife-vapoursynth/tests
