#!/usr/bin/env bash
# `make doctor` — says what this machine has of what Lifeboat needs. Changes nothing.
set -uo pipefail
cd "$(dirname "$0")/.."

missing=0
line() { printf '  %-8s %-24s %s\n' "$1" "$2" "$3"; }
has() { command -v "$1" >/dev/null 2>&1; }

# need NAME VERSION-COMMAND HINT / want NAME VERSION-COMMAND HINT: the first line of the version.
need() {
    local version
    if version=$($2 2>/dev/null | head -n 1) && [ -n "$version" ]; then
        line ok "$1" "$version"
    else
        line MISSING "$1" "$3"
        missing=$((missing + 1))
    fi
}
want() {
    local version
    if version=$($2 2>/dev/null | head -n 1) && [ -n "$version" ]; then
        line ok "$1" "$version"
    else
        line absent "$1" "$3"
    fi
}
path() { [ -e "$1" ] && echo "$1"; }

# What set-up found, the toolchain's name among it.
# shellcheck disable=SC1091
[ ! -e build/setup.env ] || . build/setup.env
root=$(rustc --print sysroot 2>/dev/null)

echo "To build:"
need make "make --version" "install make"
need rustup "rustup --version" "https://rustup.rs"
need rustc "rustc --version" "make setup"
need "C linker" "cc --version" "make setup"
need patch "patch --version" "make setup"
need rust-src "path $root/lib/rustlib/src/rust/library/Cargo.lock" "make setup"
want "core for the kernel" "path $root/lib/rustlib/x86_64-unknown-none" "built with the kernel"
want rustfmt "rustfmt --version" "rustup component add rustfmt; for make fmt, make check"
want clippy "cargo clippy --version" "rustup component add clippy; for make lint, make check"
echo "To run:"
need QEMU "qemu-system-x86_64 --version" "make setup"
want GDB "gdb --version" "make gdb installs it"
if [ -w /dev/kvm ]; then
    line ok "/dev/kvm" "KVM=1 can work"
else
    line absent "/dev/kvm" "no KVM=1 here; emulation needs nothing"
fi
echo "Built:"
for file in build/kernel.elf build/initfs.img; do
    if [ -e "$file" ]; then
        line ok "$file" "$(stat -c '%s bytes, %y' "$file" | cut -d. -f1)"
    else
        line absent "$file" "make image kernel"
    fi
done

[ "$missing" = 0 ] || { echo "$missing missing"; exit 1; }
