#!/usr/bin/env bash
# `make ports`: the programs of ports/list and of ports/own, built into build/ports/bin.
#
# A program that is built already is built again only when its version changes, or the library that
# it is linked with.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD/build/ports
libraries=build/sysroot/lib/rustlib/x86_64-unknown-redox/lib
export CARGO_TARGET_DIR=$PWD/build/ports-target
# Names in backtraces, but no lines: they would be most of the boot archive.
export CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=debuginfo CARGO_TERM_QUIET=true

made_with=$(sha256sum "$libraries/libc.a" "$libraries/stamp")
if [ "$(cat "$root/made-with" 2>/dev/null)" != "$made_with" ]; then
    # Cargo does not know that programs are linked with libc.a.
    rm -rf "$root"
    deps=$CARGO_TARGET_DIR/x86_64-unknown-redox/release/deps
    [ ! -d "$deps" ] || find "$deps" -maxdepth 1 -type f -perm /100 -delete
fi
mkdir -p "$root"
printf '%s\n' "$made_with" >"$root/made-with"
rm -f "$root/complete"

while read -r name version arguments; do
    case $name in '' | '#'*) continue ;; esac
    printf 'ports: %s %s\n' "$name" "$version" >&2
    # shellcheck disable=SC2086 # several words
    tools/cargo-lifeboat install "$name" --version "=$version" --locked \
        --root "$root" $arguments </dev/null
done <ports/list

printf 'ports: own\n' >&2
(cd ports/own && ../../tools/cargo-lifeboat build --release --locked)
for source in ports/own/src/bin/*.rs; do
    cp "$CARGO_TARGET_DIR/x86_64-unknown-redox/release/$(basename "$source" .rs)" "$root/bin/"
done
touch "$root/complete"
