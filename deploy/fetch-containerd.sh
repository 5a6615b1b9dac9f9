#!/usr/bin/env bash
# Private containerds for the tests, one for each series that the shim supports:
# target/parts/containerd-SERIES/bin/{containerd,ctr,containerd-shim-runc-v2,runc}.
# The tests read target/parts/containerd.list, lines of "VERSION BIN_DIR".
# Nothing is installed, and no daemon is started.
set -euo pipefail

suites=(bookworm trixie testing) # 1.6, 1.7 and 2.x

die() { echo "fetch-containerd: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/../target/parts"
parts=$(cd "$here/../target/parts" && pwd)
list=$(mktemp "$parts/containerd.list.XXXXXX")
trap 'rm -f "$list"' EXIT

for suite in "${suites[@]}"; do
    unpacked=$parts/containerd.debs/$suite
    "$here/fetch-debs.sh" --only "$suite" "$unpacked" containerd runc

    # "containerd github.com/containerd/containerd/v2 2.1.9+unknown"
    version=$("$unpacked/usr/bin/containerd" --version | awk '{ print $3 }') ||
        die "$unpacked/usr/bin/containerd does not run on this machine"
    version=${version#v}
    version=${version%%[~+-]*}
    [[ $version =~ ^([0-9]+\.[0-9]+)\.[0-9]+$ ]] ||
        die "can't tell the version of $unpacked/usr/bin/containerd from '$version'"
    bin=$parts/containerd-${BASH_REMATCH[1]}/bin

    # runc needs the libc of its suite, and can't be started through a private loader,
    # as it executes itself again. Any runc serves any containerd: take the first's.
    runc=$unpacked/usr/sbin/runc
    "$runc" --version >/dev/null 2>&1 || runc=$parts/containerd.debs/${suites[0]}/usr/sbin/runc
    "$runc" --version >/dev/null 2>&1 ||
        die "$runc does not run on this machine; is libseccomp2 installed (make deps)?"

    mkdir -p "$bin"
    for file in "$unpacked/usr/bin/containerd" "$unpacked/usr/bin/ctr" \
        "$unpacked/usr/bin/containerd-shim-runc-v2" "$runc"; do
        [ -x "$file" ] || die "Debian $suite has no ${file##*/} in its packages containerd and runc"
        ln -sfn "$file" "$bin/${file##*/}"
    done
    echo "$version $bin" >>"$list"
done

chmod 644 "$list"
mv "$list" "$parts/containerd.list"
