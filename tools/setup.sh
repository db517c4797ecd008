#!/usr/bin/env bash
# Makes this machine able to build and run Lifeboat; quick when it already is.
#
#   tools/setup.sh [gdb]
#
# Installs what is missing and nothing else: Debian packages (QEMU, a C linker, patch; GDB when asked
# for) and the parts of the Rust toolchain that rust-toolchain.toml names. What the build must know
# about the outcome goes to build/setup.env, which the Makefile's recipes read.
set -euo pipefail
cd "$(dirname "$0")/.."

# A download that hangs must not hang the build: every one has this many seconds.
limit=${SETUP_TIMEOUT:-600}

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        fail "this needs root, and there is no sudo. As root, run: $*"
    fi
}

install_packages() {
    has apt-get || fail "please install these yourself (no apt-get here): $*"
    say "installing Debian packages: $*"
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q
        --no-install-recommends "$@")
    # The package lists may be missing or old: refresh them only when that is why it failed.
    as_root "${install[@]}" >&2 || { as_root apt-get update -q >&2 && as_root "${install[@]}" >&2; }
}

packages=()
has qemu-system-x86_64 || packages+=(qemu-system-x86)
has cc || packages+=(gcc libc6-dev)
has patch || packages+=(patch)
case " $* " in *" gdb "*) has gdb || packages+=(gdb) ;; esac
[ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"

# The firmware that boots disk images. Tried once: without it they boot as QEMU's -kernel does.
if has apt-get && [ ! -e build/ovmf-tried ] && ! tools/ovmf.sh >/dev/null; then
    mkdir -p build && touch build/ovmf-tried
    (install_packages ovmf) || say "no OVMF: disks boot without firmware, and its stories fail"
fi

# QEMU's window, where there is a display to show it. Tried once: without it `make qemu` has only the
# terminal, and says so.
opens_windows() { qemu-system-x86_64 -display help 2>/dev/null | grep -qxE 'gtk|sdl|cocoa'; }
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && [ "${NOGRAPHIC:-}" != 1 ] && has apt-get &&
    [ ! -e build/window-tried ] && ! opens_windows; then
    mkdir -p build && touch build/window-tried
    (install_packages qemu-system-gui) || say "no qemu-system-gui: make qemu opens no window"
fi

has rustup || fail "rustup is missing; get it from https://rustup.rs (no default toolchain needed)"

version=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
toolchain=
sysroot() { rustc ${toolchain:+"+$toolchain"} --print sysroot 2>/dev/null; }

# The pinned compiler under another name (`stable`, say), for a machine that cannot download it.
same_version_elsewhere() {
    local name
    for name in $(rustup toolchain list | awk '{print $1}'); do
        case "$(rustc "+$name" --version 2>/dev/null)" in
        "rustc $version "*) printf '%s\n' "$name" && return ;;
        esac
    done
    return 1
}

rustup_try() { timeout "$limit" rustup "$@" >&2; }

if ! sysroot >/dev/null; then
    say "installing Rust $version"
    # Without arguments it installs what rust-toolchain.toml names.
    rustup_try toolchain install --no-self-update || toolchain=$(same_version_elsewhere) ||
        fail "Rust $version could not be installed; try: rustup toolchain install $version"
    [ -z "$toolchain" ] || say "using the toolchain '$toolchain', which is Rust $version"
fi

root=$(sysroot) || fail "rustc does not run"
rustup_parts=${toolchain:+--toolchain "$toolchain"}
has_rust_src() { [ -e "$root/lib/rustlib/src/rust/library/Cargo.lock" ]; }
has_none_std() { [ -d "$root/lib/rustlib/x86_64-unknown-none" ]; }

if ! has_rust_src; then
    say "installing the standard library's source"
    # shellcheck disable=SC2086 # two words or none
    rustup_try component add $rustup_parts rust-src || true
    has_rust_src || tools/rust-src-from-debian.sh "$version" "$root" ||
        fail "rust-src $version could not be had from rustup or from Debian"
fi

has_uefi_std() { [ -d "$root/lib/rustlib/x86_64-unknown-uefi" ]; }
loader_std=
if ! has_uefi_std; then
    say "installing core for x86_64-unknown-uefi"
    # shellcheck disable=SC2086
    rustup_try target add $rustup_parts x86_64-unknown-uefi || true
    has_uefi_std || loader_std='-Zbuild-std=core,alloc,compiler_builtins -Zbuild-std-features=compiler-builtins-mem'
fi

kernel_std=
if ! has_none_std; then
    say "installing core for x86_64-unknown-none"
    # shellcheck disable=SC2086
    rustup_try target add $rustup_parts x86_64-unknown-none || true
    # Not to be had: build it with the kernel, from the source above.
    has_none_std || kernel_std='-Zbuild-std=core,alloc,compiler_builtins'
fi

mkdir -p build
{
    [ -z "$toolchain" ] || printf 'export RUSTUP_TOOLCHAIN=%q\n' "$toolchain"
    printf 'KERNEL_STD=%q\n' "$kernel_std"
    printf 'LOADER_STD=%q\n' "$loader_std"
    printf 'LOADER_ENV=%q\n' "${loader_std:+env RUSTC_BOOTSTRAP=1}"
    [ -z "$kernel_std" ] || printf 'export RUSTC_BOOTSTRAP=1\n'
} >build/setup.env
