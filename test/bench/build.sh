#!/bin/sh
# Builds what is measured beside our shim, into target/bench/: the shim of
# runwasi's crate, and work for a CPU as a native program and as a module.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
out=$root/target/bench
mkdir -p "$out/bin"

clang --target=wasm32-wasi --sysroot=/usr -O2 -Wl,--strip-all -o "$out/kernels.wasm" "$here/kernels.c"
# The same compiler: what it makes of the source is not what is compared.
clang -static -O2 -s -o "$out/kernels.native" "$here/kernels.c"

# A program of others: draws what is in an SVG.
for target in wasm32-wasip1 x86_64-unknown-linux-musl; do
    cargo install --quiet resvg --version 0.49.0 --locked --target "$target" \
        --root "$root/target/resvg/$target" --target-dir "$root/target/resvg/build" --no-track --force
done
cp "$root/target/resvg/wasm32-wasip1/bin/resvg.wasm" "$out/resvg.wasm"
cp "$root/target/resvg/x86_64-unknown-linux-musl/bin/resvg" "$out/resvg.native"

cd "$here/../peer"
CARGO_TARGET_DIR=$root/target/peer cargo build --quiet --release --locked
ln -sf "$root/target/peer/release/containerd-shim-wasmedge-peer" "$out/bin/containerd-shim-wasmedge-v1"
ln -sf "$root/target/dist/bin/containerd-shim-wasm-v1" "$out/bin/containerd-shim-wasm-v1"
