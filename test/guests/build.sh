#!/bin/sh
# Builds the guests of the tests into target/guests/, only what changed.
# Usage: test/guests/build.sh [OUTPUT_DIR]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
out=${1:-$root/target/guests}
work=$out/.build
mkdir -p "$work"

# outdated TARGET SOURCE...: true when TARGET is missing or older than a SOURCE.
outdated() {
    target=$1; shift
    [ -e "$target" ] || return 0
    for source in "$@"; do
        [ -z "$(find "$source" -newer "$target")" ] || return 0
    done
    return 1
}

# Puts a file in place in one step; a guest in use keeps its old inode.
place() { mv -f "$1" "$2"; echo "built $2"; }

build_rust() { # TARGET_TRIPLE FILE OUTPUT [RUSTFLAGS]; the file is that of the folder's program
    RUSTFLAGS=${4:-} CARGO_TARGET_DIR=$work/cargo \
        cargo build --quiet --release --locked --manifest-path "$here/${2%.wasm}/Cargo.toml" --target "$1"
    cp "$work/cargo/$1/release/$2" "$work/new"
    place "$work/new" "$3"
}

build_c() { # NAME command|reactor|bare
    outdated "$out/$1.wasm" "$here/$1.c" "$here/build.sh" || return 0
    case $2 in
    bare) set -- "$1" --target=wasm32 -nostdlib -Wl,--no-entry ;;
    *) set -- "$1" --target=wasm32-wasi --sysroot=/usr "-mexec-model=$2" ;;
    esac
    name=$1; shift
    mkdir -p "$(dirname "$out/$name")"
    clang "$@" -Os -Wall -Wl,--strip-all -o "$work/new" "$here/$name.c"
    place "$work/new" "$out/$name.wasm"
}

rust_sources="$here/guest/src/main.rs $here/guest/src/pattern.rs $here/guest/src/fds.rs $here/guest/Cargo.toml $here/build.sh"

# shellcheck disable=SC2086 # a list of paths
if outdated "$out/guest.wasm" $rust_sources; then
    build_rust wasm32-wasip1 guest.wasm "$out/guest.wasm"
fi
# The same guest as a static native program: the suite is checked against runc with it.
# shellcheck disable=SC2086
if outdated "$out/guest.native" $rust_sources; then
    build_rust "$(rustc -vV | sed -n 's/^host: //p')" guest "$out/guest.native" "-C target-feature=+crt-static"
fi

if outdated "$out/socket.wasm" "$here/socket/src/main.rs" "$here/socket/Cargo.toml" "$here/build.sh"; then
    build_rust wasm32-wasip1 socket.wasm "$out/socket.wasm"
fi

if outdated "$out/native" "$here/native/native.c" "$here/build.sh"; then
    musl-gcc -static -Os -Wall -Wextra -s -o "$work/native" "$here/native/native.c"
    place "$work/native" "$out/native"
fi

if outdated "$out/hello.wasm" "$here/hello.c" "$here/build.sh"; then
    clang --target=wasm32-wasi --sysroot=/usr -Os -Wl,--strip-all -o "$work/hello.wasm" "$here/hello.c"
    place "$work/hello.wasm" "$out/hello.wasm"
fi

# Programs with wasi-libc, and reactors, which have no main.
for name in job/both imports/app; do
    build_c "$name" command
done
for name in job/reactor imports/math imports/greeter; do
    build_c "$name" reactor
done
# With no libc at all.
for name in job/initialize_typed imports/cycle imports/mistyped; do
    build_c "$name" bare
done

for name in unknown_import no_start long_names; do
    if outdated "$out/$name.wasm" "$here/broken/$name.c" "$here/build.sh"; then
        clang --target=wasm32 -nostdlib -Os -Wl,--no-entry -o "$work/$name.wasm" "$here/broken/$name.c"
        place "$work/$name.wasm" "$out/$name.wasm"
    fi
done

if outdated "$out/malformed.wasm" "$here/build.sh"; then
    # The right magic and version, then a type section that claims more than the file has.
    printf '\0asm\1\0\0\0\1\177\1\140' >"$work/malformed.wasm"
    place "$work/malformed.wasm" "$out/malformed.wasm"
fi
if outdated "$out/component.wasm" "$here/build.sh"; then
    # The eight bytes that say "component" (wasip2): the layer field is 1.
    printf '\0asm\15\0\1\0' >"$work/component.wasm"
    place "$work/component.wasm" "$out/component.wasm"
fi
