#!/bin/sh
# Tests the page of `rife serve` in a real Chromium: types, then every tab against a real server. Says so where
# something is missing that it needs.
set -eu
skip() {
    echo "skipped: the page's tests need $1"
    exit 0
}
if ! command -v npm >/dev/null 2>&1 || ! command -v chromium >/dev/null 2>&1; then
    if command -v apt-get >/dev/null 2>&1; then
        root=""
        [ "$(id -u)" = 0 ] || root="sudo"
        echo "installing node and chromium from the distribution"
        $root apt-get update -qq || true
        DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends nodejs npm chromium >/dev/null ||
            skip "node and chromium, which the distribution does not give"
    fi
fi
command -v npm >/dev/null 2>&1 || skip "node and npm"
command -v chromium >/dev/null 2>&1 || skip "chromium"
cargo build --quiet -p rife-cli
cd "$(dirname "$0")/../crates/rife-server/web-test"
npm ci --no-audit --no-fund --loglevel=error || skip "packages that cannot be fetched here"
npm run --silent check
npm test --silent
