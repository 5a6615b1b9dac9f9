#!/usr/bin/env bash
# The programs of Kubernetes for its tests, into target/kubernetes/bin, built from
# their Go modules; etcd comes from Debian, into target/parts/etcd.
# The versions are those of go.mod, the checksums those of go.sum. Nothing is
# installed. A second call does nothing.
set -euo pipefail

die() { echo "kubernetes/build: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/target/kubernetes
mkdir -p "$out/bin"

# kube-apiserver asks for a newer etcd than Debian 12 has.
"$root/deploy/fetch-debs.sh" --only trixie "$root/target/parts/etcd" etcd-server

if [ -r "$out/bin/.built" ] && cmp -s "$out/bin/.built" "$here/go.sum"; then exit 0; fi

# Any Go since 1.21 fetches the one that go.mod asks for by itself, checksums
# verified; Debian 13's can be had where there is none.
go=$(command -v go) || go=
if [ -z "$go" ] || ! (cd "$here" && GOTOOLCHAIN=local "$go" list -m >/dev/null 2>&1); then
    if [ -z "$go" ] || ! "$go" version | grep -qE 'go1\.(2[1-9]|[3-9][0-9])'; then
        "$root/deploy/fetch-debs.sh" --only trixie "$root/target/parts/go" golang-1.24-go golang-1.24-src
        go=$root/target/parts/go/usr/lib/go-1.24/bin/go
        [ -x "$go" ] || die "Debian 13 has no Go in its packages golang-1.24-go and golang-1.24-src"
    fi
    export GOTOOLCHAIN=auto
fi

version=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' "$here/go.mod")
[ "$version" ] || die "go.mod does not say which k8s.io/kubernetes"
IFS=. read -r major minor _ <<<"${version#v}"

stamp() { printf ' -X k8s.io/component-base/version.%s=%s' "$1" "$2"; }
flags="-s -w$(stamp gitVersion "$version")$(stamp gitMajor "$major")$(stamp gitMinor "$minor")"

export GOMODCACHE=$out/mod GOCACHE=$out/cache CGO_ENABLED=0
# `make clean` must be able to remove them.
export GOFLAGS=-modcacherw
cd "$here"
started=$SECONDS
"$go" mod download
fetched=$SECONDS
"$go" build -p "$(nproc)" -trimpath -buildvcs=false -ldflags "$flags" -o "$out/bin/" tool
echo "kubernetes/build: $version, $((fetched - started)) s to fetch, $((SECONDS - fetched)) s to build"
cp go.sum "$out/bin/.built"
