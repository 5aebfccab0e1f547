#!/bin/sh
# Tests the Python package: builds the wheel as the tests' other programs are built, installs it into an environment of its own
# under target/, and runs pytest, mypy and stubtest. Prints what is skipped if a package or tool is missing.
set -eu
cd "$(dirname "$0")/.."
skip() {
    sh tools/skip.sh python "the Python package's tests need $1"
    exit
}
command -v python3 >/dev/null 2>&1 || skip "python3"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip "Python 3.10 or later"
place=$PWD/target/python-package
[ -e "$place/ready" ] || {
    python3 -m venv "$place" >/dev/null 2>&1 || skip "python3's venv"
    "$place/bin/pip" install --quiet --disable-pip-version-check maturin==1.16.0 numpy pytest==9.2.0 mypy==2.4.1 \
        typing_extensions || skip "packages that cannot be fetched here"
    touch "$place/ready"
}
echo "needs python: here"
rm -rf "$place/wheels"
PATH=$place/bin:$PATH CARGO_TARGET_DIR=$PWD/target "$place/bin/maturin" build --quiet --profile dev --out "$place/wheels"
"$place/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$place"/wheels/*.whl
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
    bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$place/with-torch" "$place"/wheels/*.whl \
        pytest==9.2.0 iniconfig pluggy packaging pygments
    PYTHONPATH=$place/with-torch "$RIFE_PYTHON" -m pytest -q -p no:cacheprovider -rs "$package/tests/test_arrays.py" \
        "$package/tests/test_comfyui.py" -k "torch or comfyui"
else
    sh "$root/tools/skip.sh" torch "RIFE_PYTHON names no Python with PyTorch and numpy"
fi
bin/python -m mypy --config-file "$root/pyproject.toml" -p rife -p rife_app
bin/python -m mypy.stubtest rife._rife
