#!/bin/sh
# Prints the path of a Python with the libraries that some tests compare with (ONNX Runtime, OpenCV), installing them under
# target/. If that fails, prints python3, and those tests print that they are skipped. PyTorch is not installed, since it takes
# gigabytes: tests that compare with it run if RIFE_PYTHON names a Python that has it.
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
