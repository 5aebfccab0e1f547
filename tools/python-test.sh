#!/bin/sh
# Tests the Python package: compiles the extension with the other tests' features, installs it with the Python files into an
# environment of its own under target/, and runs pytest, mypy and stubtest. Prints what is skipped if a package or tool is missing.
set -eu
cd "$(dirname "$0")/.."
skip() {
    sh tools/skip.sh python "the Python package's tests need $1"
    exit
}
command -v python3 >/dev/null 2>&1 || skip "python3"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip "Python 3.10 or later"
place=$PWD/target/python-package
[ -x "$place/bin/hatchling" ] && [ -e "$place/ready" ] || {
    python3 -m venv "$place" >/dev/null 2>&1 || skip "python3's venv"
    "$place/bin/pip" install --quiet --disable-pip-version-check hatchling==1.28.0 numpy pytest==9.2.0 \
        mypy==2.4.1 typing_extensions || skip "packages that cannot be fetched here"
    touch "$place/ready"
}
echo "needs python: here"
# maturin, which builds the package for users, would compile the workspace again: for one crate cargo chooses other features of
# dependencies than for all. A test among the targets makes it choose those of the tests, and of the command line that some run.
# shellcheck disable=SC2086
PYO3_BUILD_EXTENSION_MODULE=1 cargo build --quiet ${PACKAGES:---workspace --exclude rife-train --exclude rife-vapoursynth} \
    --lib --test cli
source=$place/source
rm -rf "$source"
mkdir "$source"
cp -R crates/rife-python/python/rife crates/rife-python/python/rife_app "$source"
for library in target/debug/librife_python.so target/debug/librife_python.dylib; do
    [ ! -e "$library" ] || cp "$library" "$source/rife/_rife.abi3.so"
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
sed -e 's/^requires = .*/requires = ["hatchling"]/' -e 's/^build-backend = .*/build-backend = "hatchling.build"/' \
    -e "s/^dynamic = .*/version = \"$version\"/" -e '/^readme = /d' pyproject.toml >"$source/pyproject.toml"
printf '[tool.hatch.build.targets.wheel]\npackages = ["rife", "rife_app"]\n' >>"$source/pyproject.toml"
install="$place/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation"
$install --force-reinstall "$source"
# Not in the checkout, so that the installed package is imported.
package=$PWD/crates/rife-python
root=$PWD
RIFE_REQUIRE=$(sh tools/require.sh)
export RIFE_REQUIRE
cd "$place"
bin/python -m pytest -q -p no:cacheprovider -rs "$package/tests"
# PyTorch takes gigabytes and is not installed here: its tests run in the Python that RIFE_PYTHON names, where that has it.
if [ "${RIFE_PYTHON:-}" ] && "$RIFE_PYTHON" -c 'import numpy, torch' 2>/dev/null; then
    echo "needs torch: here"
    $install --upgrade --target "$place/with-torch" "$source" pytest==9.2.0 iniconfig pluggy packaging pygments
    PYTHONPATH=$place/with-torch "$RIFE_PYTHON" -m pytest -q -p no:cacheprovider -rs "$package/tests/test_arrays.py" \
        "$package/tests/test_comfyui.py" -k "torch or comfyui"
else
    sh "$root/tools/skip.sh" torch "RIFE_PYTHON names no Python with PyTorch and numpy"
fi
bin/python -m mypy --config-file "$root/pyproject.toml" -p rife -p rife_app
bin/python -m mypy.stubtest rife._rife
