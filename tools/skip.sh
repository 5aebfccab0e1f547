#!/bin/sh
# Prints that tests of a kind are skipped and why; fails where the kind is required (tools/require.sh).
#
#   tools/skip.sh KIND REASON
set -eu
required=$(sh "$(dirname "$0")/require.sh")
case ,$required, in
    *,"$1",* | *,all,*)
        echo "RIFE_REQUIRE has $1, and $2" >&2
        exit 1
        ;;
esac
echo "skipped ($1): $2"
