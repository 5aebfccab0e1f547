#!/bin/sh
# Tests the page of `rife serve` in a real Chromium: types, then every tab against a real server. Says so where
# something is missing that it needs.
set -eu
skip() {
    echo "skipped: the page's tests need $1"
    exit 0
}
# Only what is missing: another node than the distribution's does not go together with its npm.
missing=""
command -v npm >/dev/null 2>&1 || missing="nodejs npm"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium fonts-dejavu-core"
if [ -n "$missing" ] && command -v apt-get >/dev/null 2>&1; then
    root=""
    [ "$(id -u)" = 0 ] || root="sudo"
    echo "installing from the distribution: $missing"
    $root apt-get update -qq || true
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        skip "$missing, which the distribution does not give"
fi
command -v npm >/dev/null 2>&1 || skip "node and npm"
command -v chromium >/dev/null 2>&1 || skip "chromium"
cargo build --quiet -p rife-cli
cd "$(dirname "$0")/../crates/rife-server/web-test"
said=$(npm ci --no-audit --no-fund --loglevel=error 2>&1) || {
    echo "$said"
    # A list of packages that does not hold is ours to mend; only a registry that is out of reach is no fault.
    case $said in *EUSAGE* | *EINTEGRITY*) exit 1 ;; esac
    skip "packages that cannot be fetched here"
}
npm run --silent check
npm test --silent
