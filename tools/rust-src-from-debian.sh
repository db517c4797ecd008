#!/usr/bin/env bash
# Unpacks the standard library's source into a Rust sysroot from Debian's rust-src package, for
# machines that reach a Debian mirror but not rustup's downloads.
#
#   tools/rust-src-from-debian.sh VERSION SYSROOT
#
# The package is the same source under the same version. The system's own apt configuration is
# read for the mirror's address and not touched: lists and packages go to a temporary folder.
set -euo pipefail

version=${1:?version} sysroot=${2:?sysroot}
destination=$sysroot/lib/rustlib/src/rust
command -v apt-get >/dev/null || { echo "rust-src: no apt-get here" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{sources,lists/partial,cache/archives/partial,package}
chmod 755 "$work"

# The archive's base address; security mirrors do not carry backports.
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | sort -u | head -n 1)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for suite in trixie-backports sid; do
    echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian/} $suite main"
done >"$work/sources/rust-src.list"

apt=(timeout "${SETUP_TIMEOUT:-600}" apt-get -q
    -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/sources"
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update >&2

# Debian's revision is not ours to know: take the newest package of exactly this version.
candidates=$(apt-cache "${apt[@]:4}" madison rust-src | awk '{print $3}')
found=$(grep -m 1 "^${version//./\\.}+" <<<"$candidates") ||
    { echo "rust-src: Debian has no $version now (it has: ${candidates//$'\n'/ })" >&2; exit 1; }
(cd "$work/package" && "${apt[@]}" download "rust-src=$found" >&2)

mkdir -p "$destination"
dpkg-deb --fsys-tarfile "$work"/package/*.deb |
    tar -x -C "$destination" --strip-components=4 "./usr/src/rustc-$version/library"
echo "rust-src: unpacked Debian's $found into $destination" >&2
