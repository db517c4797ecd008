#!/usr/bin/env bash
# The source of std that programs for Lifeboat are built with: build/std/library.
#
#   tools/sysroot/source.sh
#
# It is the pinned compiler's own but for std.patch, which says in std where this target can do what
# std takes it for not able to: the program's file (names in backtraces), the number of CPUs, locks
# on files and their times, a message when a stack overflows, maps in programs that start before
# `rand:`. What std's own tests say of this target is changed with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=/dev/null # written by setup.sh
. build/setup.env

source=build/std
stamp=$({ rustc -vV; cat tools/sysroot/std.patch "$0"; } | sha256sum)
[ "$(cat "$source/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
rm -rf "$source"
mkdir -p "$source"
cp -r "$(rustc --print sysroot)/lib/rustlib/src/rust/library" "$source/library"
patch --quiet --directory "$source/library" --strip 1 <tools/sysroot/std.patch
printf '%s\n' "$stamp" >"$source/stamp"
