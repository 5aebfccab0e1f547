#!/bin/sh
# Prints a Python that has the libraries which some tests compare with (ONNX Runtime, OpenCV), installed under target/.
# Where that can't be: python3, and those tests say that they are skipped. PyTorch, of gigabytes, is left out: the tests that
# compare with it run where RIFE_PYTHON names a Python that has it.
set -eu
cd "$(dirname "$0")/.."
[ -z "${RIFE_PYTHON:-}" ] || {
    echo "$RIFE_PYTHON"
    exit 0
}
place=$PWD/target/python
without() {
    echo "tests that need Python's libraries are skipped: $1" >&2
    echo python3
    exit 0
}
[ -e "$place/ready" ] || {
    python3 -m venv "$place" >&2 || without "no python3 with venv"
    "$place/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
        opencv-python-headless==5.0.0.93 >&2 || without "packages that cannot be fetched here"
    touch "$place/ready"
}
echo "$place/bin/python"
