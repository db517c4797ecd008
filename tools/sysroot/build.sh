#!/usr/bin/env bash
# Builds what a program for Lifeboat is compiled and linked against: build/sysroot.
#
#   tools/sysroot/build.sh
#
# In it are std (with both ways to panic, and libtest) and a C library that can unwind. rustc takes
# it with --sysroot, so a program needs neither -Zbuild-std nor a nightly compiler.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=/dev/null # written by setup.sh
. build/setup.env

target=x86_64-unknown-redox
work=build/sysroot-work
sysroot=build/sysroot
libraries=$sysroot/lib/rustlib/$target/lib
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUSTFLAGS

# std: again only when the compiler, the patch or this script changed.
stamp=$({ rustc -vV; cat tools/sysroot/std.patch tools/sysroot/source.sh "$0"; } | sha256sum)
if [ "$(cat "$libraries/stamp" 2>/dev/null)" != "$stamp" ]; then
    tools/sysroot/source.sh
    # Cargo does not know what was compiled against the old one.
    rm -rf "$libraries" "$work" build/ports-target
    mkdir -p "$work" "$libraries"
    CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUSTFLAGS="-Zforce-unstable-if-unmarked \
-Cforce-unwind-tables=yes --remap-path-prefix=$PWD/build/std/library=/rust/library"
    # The features and the profile are those that the compiler's own builds use.
    __CARGO_DEFAULT_LIB_METADATA=lifeboat CARGO_PROFILE_DIST_DEBUG=line-tables-only \
        cargo build --quiet --locked --manifest-path build/std/library/sysroot/Cargo.toml \
        --target $target --target-dir "$work/target" --profile dist \
        --features 'backtrace compiler-builtins-mem panic-unwind'
    cp "$work/target/$target/dist/deps/"*.rlib "$libraries/"
    printf '%s\n' "$stamp" >"$libraries/stamp"
fi

# The C library, compiled against the core in there. `libgcc_eh` is what std asks the linker for;
# the unwinder is in libc.a.
CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUSTFLAGS="--sysroot=$PWD/$sysroot \
-Cforce-unwind-tables=yes -Cforce-frame-pointers=yes"
cargo build --quiet --locked --package runtime --features unwind --profile runtime \
    --target $target --target-dir "$work/target"
cmp -s "$work/target/$target/runtime/libc.a" "$libraries/libc.a" ||
    cp "$work/target/$target/runtime/libc.a" "$libraries/libc.a"
[ -e "$libraries/libgcc_eh.a" ] || printf '!<arch>\n' >"$libraries/libgcc_eh.a"
