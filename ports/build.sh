#!/usr/bin/env bash
# `make ports`: the programs of ports/list and of ports/own, built into build/ports/bin.
#
# A program that is built already is built again only when its version changes, and linked again
# when the C library did.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD/build/ports
libc=build/sysroot/lib/rustlib/x86_64-unknown-redox/lib/libc.a
export CARGO_TARGET_DIR=$PWD/build/ports-target
# Names in backtraces, but no lines: they would be most of the boot archive.
export CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=debuginfo CARGO_TERM_QUIET=true

force=()
if [ -e "$root/complete" ] && [ "$libc" -nt "$root/complete" ]; then
    # Cargo does not know that programs are linked with libc.a.
    find "$CARGO_TARGET_DIR/x86_64-unknown-redox/release/deps" -maxdepth 1 -type f -perm /100 -delete
    force=(--force)
fi
mkdir -p "$root"
rm -f "$root/complete"

while read -r name version arguments; do
    case $name in '' | '#'*) continue ;; esac
    printf 'ports: %s %s\n' "$name" "$version" >&2
    # shellcheck disable=SC2086 # several words
    tools/cargo-lifeboat install "$name" --version "=$version" --locked \
        --root "$root" "${force[@]}" $arguments </dev/null
done <ports/list

printf 'ports: own\n' >&2
(cd ports/own && ../../tools/cargo-lifeboat build --release --locked)
for source in ports/own/src/bin/*.rs; do
    cp "$CARGO_TARGET_DIR/x86_64-unknown-redox/release/$(basename "$source" .rs)" "$root/bin/"
done
touch "$root/complete"
