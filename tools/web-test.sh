#!/bin/sh
# Tests the page of `rife serve` in Chromium: type check, lint, then every tab against a real server. Prints what is skipped if
# a tool is missing.
set -eu
skip() {
    sh "$tools/skip.sh" chromium "the page's tests need $1"
    exit
}
tools=$(cd "$(dirname "$0")" && pwd)
# Installs only missing packages, since another node than the distribution's does not work with its npm.
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
sh "$tools/built.sh"
cd "$tools/../crates/rife-server/web-test"
said=$(npm ci --no-audit --no-fund --loglevel=error 2>&1) || {
    echo "$said"
    # An inconsistent lock file is an error of the project; an unreachable registry is not.
    case $said in *EUSAGE* | *EINTEGRITY*) exit 1 ;; esac
    skip "packages that cannot be fetched here"
}
echo "needs chromium: here"
npm run --silent check
RIFE_REQUIRE=$(sh "$tools/require.sh") npm test --silent
