#!/bin/sh
# Runs targets of the Makefile one after the other, those joined by commas side by side; stops at the first failure. At the end
# prints the time of each, and the numbers of tests that ran and were skipped, by kind (docs/testing.md).
#
#   tools/steps.sh fmt lint unit web-test,api-test
set -u
cd "$(dirname "$0")/.."
logs=$PWD/target/steps
rm -rf "$logs"
mkdir -p "$logs"
begin=$(date +%s)

# Runs one target; its output goes to the terminal or, side by side with others, to its log alone.
step() {
    start=$(date +%s)
    if [ "$2" = alone ]; then
        { ${MAKE:-make} --no-print-directory "$1" 2>&1 || touch "$logs/$1.failed"; } | tee "$logs/$1.log"
    else
        ${MAKE:-make} --no-print-directory "$1" >"$logs/$1.log" 2>&1 || touch "$logs/$1.failed"
    fi
    echo "$1 $(($(date +%s) - start))" >>"$logs/seconds"
}

summary() {
    echo "seconds of each step:"
    awk '{ printf "%8d  %s\n", $2, $1 }' "$logs/seconds"
    printf '%8d  in all\n' $(($(date +%s) - begin))
    cat "$logs"/*.log | awk '
        /^test result: / { passed += $4; failed += $6; ignored += $8 }
        /^skipped \([a-z]+\): / { kind = substr($2, 2, length($2) - 3); skipped[kind]++ }
        /^skipped: / { skipped["other things"]++ }
        /^ℹ pass [0-9]+$/ { passed += $3 }
        /^ℹ fail [0-9]+$/ { failed += $3 }
        /^[0-9]+ passed.* in [0-9.]+s/ { passed += $1 }
        /^needs [a-z]+: here$/ { kind = substr($2, 1, length($2) - 1); ran[kind]++ }
        END {
            printf "tests: %d passed, %d failed, %d ignored\n", passed, failed, ignored
            for (kind in ran) kinds[kind]
            for (kind in skipped) kinds[kind]
            for (kind in kinds) printf "needing %s: %d ran, %d skipped\n", kind, ran[kind], skipped[kind]
        }'
}

for group in "$@"; do
    case $group in
        *,*)
            for name in $(echo "$group" | tr , ' '); do step "$name" beside & done
            wait
            for name in $(echo "$group" | tr , ' '); do cat "$logs/$name.log"; done
            ;;
        *) step "$group" alone ;;
    esac
    for name in $(echo "$group" | tr , ' '); do
        if [ -e "$logs/$name.failed" ]; then
            summary
            echo "failed: make $name" >&2
            exit 1
        fi
    done
done
summary
