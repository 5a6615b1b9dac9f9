#!/usr/bin/env bash
# Lays out what cargo built the way it is installed, in DEST (default target/dist):
#
#   bin/containerd-shim-wasm-v1
#   bin/wasm-oci
#   bin/wasm-node-installer
#   lib/containerd-shim-wasm/wasm-zygote
#   lib/containerd-shim-wasm/wasm-content
#   lib/containerd-shim-wasm/runtime/   loader and libraries, if WasmEdge is a private one
#
# The shim finds the rest relative to itself, so the tree can be anywhere.
set -euo pipefail

die() { echo "stage: $*" >&2; exit 1; }

root=$(cd "$(dirname "$0")/.." && pwd)
dest=${1:-$root/target/dist}
home=$dest/lib/containerd-shim-wasm
libs=$root/target/parts/wasmedge/lib
static=$root/target/x86_64-unknown-linux-musl/release

# Puts file $1 at $2. By rename, as a running program can't be written over ("text file
# busy"), and one that starts meanwhile must find either the old file or the new.
put() {
    local from=$1 to=$2 copy=${3:-cp}
    [ -f "$from" ] || die "$from is missing; run 'make build' first"
    if [ "$from" -ef "$to" ] || cmp -s "$from" "$to"; then return 0; fi
    $copy "$from" "$to.new$$"
    mv -f "$to.new$$" "$to"
}

# Libraries are never written in place, so the build folder may share them (160 MB).
share() { cp -l "$1" "$2" 2>/dev/null || cp "$1" "$2"; }
[ $# -eq 0 ] || share() { cp "$1" "$2"; }

umask 022
mkdir -p "$dest/bin" "$home"
if [ -e "$libs/ld-linux-x86-64.so.2" ]; then
    mkdir -p "$home/runtime"
    for lib in "$libs"/*; do put "$lib" "$home/runtime/${lib##*/}" share; done
    for lib in "$home"/runtime/*; do [ -e "$libs/${lib##*/}" ] || rm "$lib"; done
else
    rm -rf "$home/runtime"
fi
put "$static/wasm-oci" "$dest/bin/wasm-oci"
put "$static/wasm-node-installer" "$dest/bin/wasm-node-installer"
put "$root/target/release/wasm-zygote" "$home/wasm-zygote"
put "$static/wasm-content" "$home/wasm-content"
# Last, as it is what starts the zygote.
put "$static/containerd-shim-wasm-v1" "$dest/bin/containerd-shim-wasm-v1"
