#!/usr/bin/env bash
# Makes DEST (default target/parts/wasmedge) hold WasmEdge to build and run with:
#
#   include/  wasmedge/*.h                               (WASMEDGE_INCLUDE_DIR)
#   link/     libwasmedge.so, and nothing else           (WASMEDGE_LIB_DIR)
#   lib/      what runs: libwasmedge, all it needs, and the loader that fits them
#
# A Debian that has this WasmEdge installed gets links to it and no loader in lib/.
# Any other gets the library of Debian 13 with its own libc, which is also the part
# of target/dist that makes it run on a Linux of any libc.
set -euo pipefail

# wasmedge-sys 0.19 speaks the C API of this series; 0.15 and later changed it.
series=0.14
suite=trixie
loader=ld-linux-x86-64.so.2

die() { echo "fetch-wasmedge: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
dest=${1:-$here/../target/parts/wasmedge}
stamp=$dest/.fetched
system_include=/usr/include
system_lib=/usr/lib/x86_64-linux-gnu

# The version that the header in include folder $1 declares; empty without a header.
version() {
    sed -n 's/^#define WASMEDGE_VERSION "\(.*\)".*/\1/p' "$1/wasmedge/version.h" 2>/dev/null || true
}

source=$suite
found=$(version "$system_include")
if [ "${found%.*}" = "$series" ] && [ -e "$system_lib/libwasmedge.so" ]; then source="system $found"; fi

if [ -r "$stamp" ] && [ "$(<"$stamp")" = "$source" ]; then exit 0; fi
[ "$(uname -m)" = x86_64 ] || die "this machine is $(uname -m), and only x86_64 is supported"

mkdir -p "$(dirname "$dest")"
dest=$(cd "$(dirname "$dest")" && pwd)/$(basename "$dest")
tmp=$(mktemp -d "$dest.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
new=$tmp/new
mkdir -p "$new/include" "$new/link" "$new/lib"

if [ "$source" = "$suite" ]; then
    "$here/fetch-debs.sh" "$suite" "$tmp/libs" libwasmedge0
    # The headers alone: what libwasmedge-dev depends on is a gigabyte of LLVM.
    "$here/fetch-debs.sh" --only "$suite" "$tmp/dev" libwasmedge-dev

    from=$tmp/libs/usr/lib/x86_64-linux-gnu
    needed=$("$from/$loader" --library-path "$from" --list "$from/libwasmedge.so.0") ||
        die "libwasmedge0 of Debian $suite does not load from $from: $needed"
    cp -L "$from/$loader" "$from/libwasmedge.so.0" "$new/lib/"
    # Lines are "SONAME => PATH (ADDRESS)"; the loader and the vDSO have no path of ours.
    while read -r soname _ path _; do
        case $path in "$from"/*) cp -L "$path" "$new/lib/$soname" ;; esac
    done <<<"$needed"
    cp -R "$tmp/dev/usr/include/wasmedge" "$new/include/"
    # Build scripts put WASMEDGE_LIB_DIR into the compiler's LD_LIBRARY_PATH, and no
    # program of this machine survives a foreign libc there: hence a folder apart.
    ln -s ../lib/libwasmedge.so.0 "$new/link/libwasmedge.so"
    "$new/lib/$loader" --library-path "$new/lib" --inhibit-cache --list "$new/lib/libwasmedge.so.0" |
        awk -v dir="$new/lib/" '/=> / && $3 ~ "^/" && index($3, dir) != 1 { bad = 1; print } END { exit bad }' ||
        die "a library that libwasmedge needs is not in $new/lib"
    kind="private loader"
else
    ln -s "$system_include/wasmedge" "$new/include/wasmedge"
    ln -s "$system_lib/libwasmedge.so" "$new/link/libwasmedge.so"
    ln -s "$system_lib/libwasmedge.so" "$new/lib/libwasmedge.so"
    kind="this system's"
fi

found=$(version "$new/include")
[ "${found%.*}" = "$series" ] ||
    die "got WasmEdge '$found' from Debian $source, but wasmedge-sys needs $series; change series and the crate together"
echo "$source" >"$new/.fetched"

[ ! -e "$dest" ] || mv "$dest" "$tmp/old"
mv "$new" "$dest"
echo "WasmEdge $found in $dest/lib ($kind)"
