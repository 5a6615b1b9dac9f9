#!/bin/sh
# Fuzzes each target for FUZZ_SECONDS (default: 10 minutes). What is found stays in
# target/fuzz/TARGET; a crash ends the run, and its input lies beside.
# Usage: fuzz/run.sh [TARGET...]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=$here/../target/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

# What `cargo fuzz` asks the compiler for, but for the sanitizers: these need a nightly
# compiler, and find nothing in code without `unsafe` (all that is read here is read by
# such).
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# With --target, build scripts and macros do without.
cargo build --release --locked --manifest-path "$here/Cargo.toml" --target "$host" --target-dir "$out/build"

[ $# -gt 0 ] || set -- config annotations artifact module ipc ttrpc
for target do
    mkdir -p "$out/$target"
    echo "fuzz: $target for ${FUZZ_SECONDS:-600} s"
    "$out/build/$host/release/$target" "$out/$target" "$here/seeds/$target" \
        -max_total_time="${FUZZ_SECONDS:-600}" -artifact_prefix="$out/$target-" -print_final_stats=1 \
        -timeout=10 -max_len=4096 2>"$out/$target.log" || { tail -n 40 "$out/$target.log"; exit 1; }
    sed -n 's/^stat::number_of_executed_units: /fuzz: inputs without a crash: /p' "$out/$target.log"
done
