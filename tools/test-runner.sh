#!/usr/bin/env bash
# `make test-runner`: a stranger's crate through `cargo lifeboat`, judged by what is printed and by
# how it ends.
set -euo pipefail
cd "$(dirname "$0")/../tests/stranger"
export STRANGERS_OWN="it's here" LIFEBOAT_ENV=STRANGERS_OWN
export CARGO_TERM_QUIET=true CARGO_TARGET_DIR=../../build/stranger

# check NAME STATUS TEXT... -- ARGUMENTS: the status, and every text in the output.
check() {
    local name=$1 wanted=$2 texts=() output status=0
    shift 2
    while [ "$1" != -- ]; do texts+=("$1"); shift; done
    shift
    output=$(../../tools/cargo-lifeboat "$@" 2>&1) || status=$?
    for text in "${texts[@]}"; do
        grep -qF -- "$text" <<<"$output" || status="$status, without: $text"
    done
    if [ "$status" != "$wanted" ]; then
        printf 'test runner/%s FAILED: status %s\n%s\n' "$name" "$status" "$output"
        exit 1
    fi
    printf 'test runner/%s ok\n' "$name"
}

check tests 0 'ok. 4 passed; 0 failed; 1 ignored' 'ok. 3 passed; 0 failed' -- test
check documentation 0 'ok. 2 passed' 'ok. 1 passed' -- test --doc
RUST_BACKTRACE=1 check failure 101 stranger::tests::fails src/main.rs: '0 passed; 1 failed' \
    -- test --bin stranger -- --ignored
LIFEBOAT_SMP=3 check status 5 '["5", "a b"] on 3 CPUs' -- run -- 5 'a b'
LIFEBOAT_TIMEOUT=10 check time-limit 125 'no answer within 10 s' -- run -- forever
