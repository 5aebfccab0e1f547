#!/bin/sh
# Prints that tests of a kind are skipped and why; fails where RIFE_REQUIRE names the kind or is `all`.
#
#   tools/skip.sh KIND REASON
set -eu
case ,${RIFE_REQUIRE:-}, in
    *,"$1",* | *,all,*)
        echo "RIFE_REQUIRE has $1, and $2" >&2
        exit 1
        ;;
esac
echo "skipped ($1): $2"
