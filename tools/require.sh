#!/bin/sh
# Prints RIFE_REQUIRE, the kinds of tests that must run and fail where they would be skipped (docs/testing.md), or, where it is
# not set, those that this machine has all for: what tools/setup.sh installs, and what is beside the project.
#
#   tools/require.sh             the list
#   tools/require.sh --beside    ",reference,clips", or those of them that are beside the project
set -eu
cd "$(dirname "$0")/.."
shared=${RIFE_SHARED:-../shared}
beside() {
    [ ! -d "$shared/reference" ] || printf ,reference
    [ ! -d "$shared/clips" ] || printf ,clips
}
if [ "${1-}" = --beside ]; then
    beside
    exit
fi
if [ -n "${RIFE_REQUIRE+set}" ]; then
    echo "$RIFE_REQUIRE"
    exit
fi
# tools/setup.sh --tests installs lavapipe, and fails where it cannot; `weights` is a default feature.
kinds=ffmpeg,weights
! command -v apt-get >/dev/null 2>&1 || kinds=$kinds,vulkan
[ ! -e target/python/ready ] || kinds=$kinds,python
missing=""
for program in curl python3 taskset script; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
[ -n "$missing" ] || kinds=$kinds,programs
echo "$kinds$(beside)"
