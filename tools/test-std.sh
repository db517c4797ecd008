#!/usr/bin/env bash
# `make test-std [T='PROGRAM [TEST]']`: Rust's own tests of its standard library, inside Lifeboat.
#
# tests/library/Cargo.toml lists the programs; each runs on a machine of its own. With a program's
# name only that one is run, and of it only tests whose name has TEST in it.
set -euo pipefail
cd "$(dirname "$0")/../tests/library"
export RUSTC_BOOTSTRAP=1 CARGO_TERM_QUIET=true CARGO_TARGET_DIR=../../build/library-tests
export LIFEBOAT_TIMEOUT=${LIFEBOAT_TIMEOUT-1200}
library=../../build/std/library logs=../../build/logs

# A later library may have more test programs. Those for Windows test nothing here.
for file in "$library"/{std,std_detect}/tests/*.rs "$library"/std/tests/*/lib.rs; do
    case $file in */win*) continue ;; esac
    grep -qF "\"$file\"" Cargo.toml || { echo "tests/library/Cargo.toml lacks $file"; exit 1; }
done

# skips PROGRAM: arguments that leave out what is listed for it.
skips() {
    local program name
    while read -r program name _; do
        [ "$program" != "$1" ] || printf -- '--skip %s ' "$name"
    done <skipped
}

results=$logs/std.txt broken=0
: >"$results"
for program in $(sed -n '/^\[\[test\]\]/,/^name/s/^name = "\(.*\)"/\1/p' Cargo.toml); do
    [ "${1-$program}" = "$program" ] || continue
    log=$logs/std-$program.txt status=0
    # shellcheck disable=SC2046 # each skip is two words
    ../../tools/cargo-lifeboat test --locked --test "$program" -- ${2-} $(skips "$program") \
        >"$log" 2>&1 || status=$?
    if [ $status != 0 ]; then
        broken=1
        # Without a list of what failed it did not even get there.
        sed -n '/^failures:/,$p' "$log" | grep . || cat "$log"
    fi
    # A program without libtest tells only its status.
    result=$(sed -n 's/^test result: //p' "$log" | tail -1)
    printf 'test std/%s %s\n' "$program" "${result:-status $status}" | tee -a "$results"
done
awk '{ for (i = 2; i <= NF; i++) count[$i] += $(i - 1) }
    END { printf "%d passed, %d failed, %d ignored\n", count["passed;"], count["failed;"], count["ignored;"] }' \
    "$results"
[ -s "$results" ] && exit $broken
