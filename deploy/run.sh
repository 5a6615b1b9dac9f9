#!/bin/sh
# cargo's runner (.cargo/config.toml): run.sh BINARY ARGS...
# A program that links WasmEdge is started through the loader that came with a
# private WasmEdge, if there is one; anything else as it is.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
lib=$root/target/parts/wasmedge/lib
loader=$lib/ld-linux-x86-64.so.2

if [ -x "$loader" ] && readelf -d "$1" 2>/dev/null | grep -q 'NEEDED.*libwasmedge'; then
    exec "$loader" --library-path "$lib" "$@"
fi
exec "$@"
