#!/bin/sh
# Tests rife.ray on a Ray cluster of three nodes on this machine, in the environment of tools/python-test.sh, which runs before.
# Prints that it is skipped if Ray cannot be installed.
set -eu
cd "$(dirname "$0")/.."
skip() {
    sh tools/skip.sh ray "the tests of rife.ray need $1"
    exit
}
place=$PWD/target/python-package
"$place/bin/python" -c 'import rife' 2>/dev/null || skip "the package that make python-test installs"
[ -e "$place/ray" ] || {
    "$place/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0 fsspec || skip "packages that cannot be fetched here"
    touch "$place/ray"
}
echo "needs ray: here"
tests=$PWD/crates/rife-python/tests-ray
cd "$place"
bin/python -m pytest -q -p no:cacheprovider -rs "$tests"
