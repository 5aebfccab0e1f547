#!/bin/sh
# What the API's document says against what the server does: schemathesis makes requests from it, fitting and not, and
# judges every answer; a client that openapi-python-client generates runs jobs of every kind. Says so where something is
# missing that it needs.
set -eu
skip() {
    echo "skipped: the API's tests by its document need $1"
    exit 0
}
cd "$(dirname "$0")/.."
command -v python3 >/dev/null 2>&1 || skip "python3"
place=$PWD/target/schemathesis
[ -x "$place/bin/schemathesis" ] && [ -x "$place/bin/openapi-python-client" ] || {
    python3 -m venv "$place" >/dev/null 2>&1 || skip "python3's venv"
    "$place/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5 \
        openapi-python-client==0.29.1 || skip "packages that cannot be fetched here"
}
cargo build --quiet -p rife-cli
data=$(mktemp -d)
target/debug/rife serve --port 0 --data "$data/data" >"$data/said" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$data"' EXIT
for _ in $(seq 100); do
    address=$(grep -o 'http://127[0-9.]*:[0-9]*' "$data/said" | head -n 1 || true)
    [ -z "$address" ] || break
    sleep 0.1
done
client=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; rm -rf "$data" "$client"' EXIT
"$place/bin/openapi-python-client" generate --url "$address/api/v1/openapi.json" --meta none --config tools/api-client.yaml \
    --output-path "$client/rife_client" --fail-on-warning
"$place/bin/python" tools/api_client.py "$client" "$address"
# Streams of events never end, so they have tests of their own. It leaves a folder where it runs.
cd "$place"
bin/schemathesis run "$address/api/v1/openapi.json" --url "$address/api/v1" --exclude-path-regex events \
    --max-examples 15 --seed 1 --generation-database none --no-color \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method,use_after_free
