#!/usr/bin/env bash
# `make test-runtime [T=NAME]`: the C library's own tests, in processes of this machine.
#
# The library is built over Linux's calls (runtime/src/sys/linux), and the tests of runtime/check with
# it: the same code and the same target as inside Lifeboat, without a machine to boot.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=/dev/null # written by setup.sh
. build/setup.env

target=x86_64-unknown-redox
libraries=$PWD/build/linux
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUSTFLAGS
sysroot="--sysroot=$PWD/build/sysroot -Cforce-unwind-tables=yes"

CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUSTFLAGS="$sysroot -Cforce-frame-pointers=yes"
cargo build --quiet --locked --package runtime --features unwind,linux --profile runtime \
    --target $target --target-dir build/sysroot-work/linux
mkdir -p "$libraries"
printf '!<arch>\n' >"$libraries/libgcc_eh.a"
built=build/sysroot-work/linux/$target/runtime/libc.a
if ! cmp -s $built "$libraries/libc.a"; then
    # Cargo does not know that the tests are linked with it.
    deps=build/sysroot-work/tests/$target/debug/deps
    [ ! -d $deps ] || find $deps -maxdepth 1 -type f -perm /100 -delete
    cp $built "$libraries/libc.a"
fi

CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUSTFLAGS="$sysroot -Lnative=$libraries -Clinker-flavor=ld.lld \
-Clink-arg=--entry=_start"
cargo test --quiet --locked --package runtime-check --target $target \
    --target-dir build/sysroot-work/tests --tests -- "$@"

# The checks that run inside Lifeboat (story 300-std), but for those of what only its kernel and its
# daemons have: what `sys:` and `proc:` tell, sockets, locks, links that are made by writing them.
[ $# = 0 ] || exit 0
without=(links sockets missing lock epoll nothing-is-left large-blocks-are-given-back take-no-memory work-is-counted
    directory-changes leave-no-memory a-directory-is-given no-descriptor-leaks panic-end-by-signal
    overflows-is-told the-end-is-readable a-pair-goes a-copy-is-the-same rename
    a-handler-is-told-the-value the-line-has-an-end shared/ schemes-are-listed limits-can-be-set priorities/ usage/ pty/)
cargo build --quiet --locked --package runtime-check --target $target \
    --target-dir build/sysroot-work/tests
mkdir -p /tmp/lifeboat-schemes/ram
RUST_BACKTRACE=0 build/sysroot-work/tests/$target/debug/runtime-check "${without[@]/#/-}"
