#!/usr/bin/env bash
# Private Docker Engines for the tests, one of each Debian suite that has one of
# Docker 26 or later:
#   target/parts/docker-SERIES/bin/{docker,dockerd,docker-proxy,docker-init}
#   target/parts/docker-SERIES/cli-plugins/{docker-buildx,docker-compose}
# The tests read target/parts/docker.list, lines of "VERSION FOLDER CONTAINERD",
# the last being the version of the suite's containerd, which fetch-containerd.sh
# has fetched. Nothing is installed, and no daemon is started.
set -euo pipefail

suites=(trixie testing) # 26.1 and 28.x

die() { echo "fetch-docker: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/../target/parts"
parts=$(cd "$here/../target/parts" && pwd)
list=$(mktemp "$parts/docker.list.XXXXXX")
trap 'rm -f "$list"' EXIT

# The first of a line such as "Docker version 28.5.2+dfsg4, build 9cc6dea".
number() { grep -o '[0-9]\+\.[0-9]\+\.[0-9]\+' | sed -n 1p; }

for suite in "${suites[@]}"; do
    unpacked=$parts/docker.debs/$suite
    "$here/fetch-debs.sh" --only "$suite" "$unpacked" docker.io docker-cli docker-buildx docker-compose tini

    version=$("$unpacked/usr/sbin/dockerd" --version | number)
    [ "$version" ] || die "$unpacked/usr/sbin/dockerd does not run on this machine"
    containerd=$("$parts/containerd.debs/$suite/usr/bin/containerd" --version | number)
    [ "$containerd" ] || die "there is no containerd of Debian $suite; run deploy/fetch-containerd.sh first"

    # Static, in a package of its own in newer suites: any serves any dockerd.
    init=$parts/docker.debs/${suites[0]}/usr/bin/tini-static
    folder=$parts/docker-${version%.*}
    mkdir -p "$folder/bin" "$folder/cli-plugins"
    plugins=$unpacked/usr/libexec/docker/cli-plugins
    for file in "$unpacked/usr/bin/docker" "$unpacked/usr/sbin/dockerd" "$unpacked/usr/sbin/docker-proxy" \
        "$init" "$plugins/docker-buildx" "$plugins/docker-compose"; do
        [ -x "$file" ] || die "Debian $suite has no ${file##*/} in its packages of Docker"
    done
    ln -sfn "$init" "$folder/bin/docker-init"
    ln -sfn -t "$folder/bin" "$unpacked/usr/bin/docker" "$unpacked/usr/sbin/dockerd" "$unpacked/usr/sbin/docker-proxy"
    ln -sfn -t "$folder/cli-plugins" "$plugins/docker-buildx" "$plugins/docker-compose"
    echo "$version $folder $containerd" >>"$list"
done

chmod 644 "$list"
mv "$list" "$parts/docker.list"
