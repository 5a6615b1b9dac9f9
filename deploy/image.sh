#!/usr/bin/env bash
# Makes the image of the node installer, out of what `make build` has laid out: the
# program, and the tree that it installs. No shell is in it, nor anything else.
# The archive goes to target/wasm-node-installer.tar, or to $1.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tree=$root/target/dist
archive=${1:-$root/target/wasm-node-installer.tar}
# Also in deploy/daemonset.yaml and deploy/uninstall/daemonset.yaml.
tag=${IMAGE:-localhost/wasm-node-installer:0.1.0}

"$tree/bin/wasm-oci" pack --native "$tree/bin/wasm-node-installer" -o "$archive" --tag "$tag" \
    --add "$tree/bin/containerd-shim-wasm-v1:/bin/containerd-shim-wasm-v1" \
    --add "$tree/bin/wasm-node-installer:/bin/wasm-node-installer" \
    --add "$tree/lib:/lib" -- run --host-root /host
