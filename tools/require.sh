#!/bin/sh
# Prints RIFE_REQUIRE, the kinds of tests that must run and fail where they would be skipped (docs/testing.md), or, where it is
# not set, those that this machine has all for: what tools/setup.sh installs, and what is beside the project.
set -eu
cd "$(dirname "$0")/.."
if [ -n "${RIFE_REQUIRE+set}" ]; then
    echo "$RIFE_REQUIRE"
    exit
fi
kinds=ffmpeg
# tools/setup.sh --tests installs lavapipe and fails where it cannot.
! command -v apt-get >/dev/null 2>&1 || kinds=$kinds,vulkan
shared=${RIFE_SHARED:-../shared}
[ ! -d "$shared/reference" ] || kinds=$kinds,reference
[ ! -d "$shared/clips" ] || kinds=$kinds,clips
[ ! -e target/python/ready ] || kinds=$kinds,python
echo "$kinds"
