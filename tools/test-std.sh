#!/usr/bin/env bash
# `make test-std [T='PROGRAM [TEST]']`: Rust's own tests of its standard library, inside Lifeboat.
#
# tests/library/Cargo.toml lists the programs; each runs on a machine of its own. After them come
# the examples in the documentation: doc-core, doc-alloc, doc-std. With a program's name only that
# one is run, and of it only tests whose name has TEST in it.
set -euo pipefail
home=$(cd "$(dirname "$0")/.." && pwd)
cd "$home/tests/library"
# shellcheck source=lifeboat.env
. "$home/tools/lifeboat.env"
export RUSTC_BOOTSTRAP=1 CARGO_TERM_QUIET=true CARGO_TARGET_DIR=$home/build/library-tests
export LIFEBOAT_TIMEOUT=${LIFEBOAT_TIMEOUT-1200}
library=../../build/std/library results=$home/build/logs/std.txt
wanted=${1-} filter=${2-} broken=0
mkdir -p "$home/build/logs"
: >"$results"

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

# run PROGRAM COMMAND...: tells how many of its tests passed. One without libtest tells its status.
run() {
    local program=$1 log=$home/build/logs/std-$1.txt status=0
    shift
    "$@" >"$log" 2>&1 || status=$?
    if [ $status != 0 ]; then
        broken=1
        # Without a list of what failed it did not even get there.
        sed -n '/^failures:/,$p' "$log" | grep . || cat "$log"
    fi
    awk -v name="$program" -v status="$status" '
        /^test result: / { runs++; for (i = 2; i <= NF; i++) count[$i] += $(i - 1) }
        END {
            printf "test std/%s ", name
            if (!runs) { print "status", status; exit }
            printf "%d passed; %d failed; %d ignored\n",
                count["passed;"], count["failed;"], count["ignored;"]
        }' "$log" | tee -a "$results"
}

for program in $(sed -n '/^\[\[test\]\]/,/^name/s/^name = "\(.*\)"/\1/p' Cargo.toml); do
    [ "${wanted:-$program}" = "$program" ] || continue
    # shellcheck disable=SC2046 # each skip is two words
    run "$program" cargo test --locked --test "$program" -- $filter $(skips "$program")
done

# documentation CRATE ARGUMENTS...: the crate is parsed again; what its examples are linked with is
# the one in the sysroot.
documentation() {
    local crate=$1 runner arguments
    shift
    read -r runner arguments <<<"$CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUNNER"
    read -ra arguments <<<"$arguments"
    # shellcheck disable=SC2086 # flags are words
    rustdoc --test "$library/$crate/src/lib.rs" --crate-name "$crate" --edition 2024 \
        --target $CARGO_BUILD_TARGET $CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUSTDOCFLAGS \
        -Clinker="$CARGO_TARGET_X86_64_UNKNOWN_REDOX_LINKER" --test-runtool "$runner" \
        "${arguments[@]/#/--test-runtool-arg=}" --test-args "$filter $(skips "doc-$crate")" "$@"
}

# std is parsed with what it is compiled with.
mapfile -t flags < <(sed -n 's/^    "\(-.*\)",/\1/p' Cargo.toml)
export STD_ENV_ARCH=x86_64
for crate in core alloc std; do
    [ "${wanted:-doc-$crate}" = "doc-$crate" ] || continue
    run "doc-$crate" documentation "$crate" "${flags[@]}" --cfg 'feature="backtrace"'
done

awk '{ for (i = 2; i <= NF; i++) count[$i] += $(i - 1) }
    END { printf "%d passed, %d failed, %d ignored\n", count["passed;"], count["failed;"], count["ignored"] }' \
    "$results"
[ -s "$results" ] && exit $broken
