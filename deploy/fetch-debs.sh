#!/usr/bin/env bash
# Unpacks Debian packages of any suite into a folder, without installing them.
#
#   deploy/fetch-debs.sh [--only] SUITE DEST PKG...
#
# Takes the packages and all they depend on (--only: just those named) into DEST.
# apt resolves versions and checks signatures, on a state of its own: the lists,
# sources and packages of this machine are neither used nor changed.
# A second call with the same suite and packages does nothing.
set -euo pipefail

die() { echo "fetch-debs: $*" >&2; exit 1; }

only=
if [ "${1-}" = --only ]; then only=only; shift; fi
[ $# -ge 3 ] || die "want [--only] SUITE DEST PKG..., got: $*"
suite=$1 dest=$2
shift 2

want="$suite ${only:-closure} $*"
stamp=$dest/.fetched
if [ -r "$stamp" ] && [ "$(<"$stamp")" = "$want" ]; then exit 0; fi

root=$(cd "$(dirname "$0")/.." && pwd)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || die "$keyring is missing; install the package debian-archive-keyring"
command -v apt-get >/dev/null || die "apt-get is missing; this needs a Debian machine"

# The mirror that this machine's own sources name, deb822 or one-line format.
mirror() {
    local files=() f
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ -r "$f" ] && files+=("$f")
    done
    [ ${#files[@]} -gt 0 ] || return 0
    awk '
        /^[ \t]*#/ { next }
        /^URIs:/ || /^deb / {
            for (i = 2; i <= NF; i++)
                if ($i ~ /^https?:\/\/.*\/debian\/?$/) { print $i; exit }
        }' "${files[@]}"
}

# One state per suite: calls of one build share the index.
state=$root/target/parts/apt/$suite
mkdir -p "$state/lists/partial" "$state/archives/partial" "$(dirname "$dest")"
dest=$(cd "$(dirname "$dest")" && pwd)/$(basename "$dest")
exec 9>"$state/lock"
flock 9

uri=$(mirror)
echo "deb [signed-by=$keyring] ${uri:-http://deb.debian.org/debian} $suite main" >"$state/sources.list"
# Empty, so that nothing counts as installed and the closure is complete.
: >"$state/status"
{
    # The machine's proxies and the like, but not its hooks, pins or sources.
    apt-config dump | grep '^Acquire::' || true
    cat <<CONF
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$state/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$state";
Dir::State::status "$state/status";
Dir::Cache "$state";
Dir::Cache::srcpkgcache "";
APT::Architecture "$(dpkg --print-architecture)";
APT::Install-Recommends "false";
APT::Sandbox::User "root"; // _apt can't write below /root
Acquire::AllowInsecureRepositories "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
} >"$state/apt.conf"
export APT_CONFIG=$state/apt.conf

tmp=$(mktemp -d "$dest.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/debs" "$tmp/root"
chmod 755 "$tmp/root"

update() {
    apt-get -qq update >"$state/log" 2>&1 ||
        die "can't read the index of Debian $suite: $(tail -n 1 "$state/log")"
}

download() {
    if [ "$only" ]; then
        (cd "$tmp/debs" && apt-get -qq download "$@") >"$state/log" 2>&1
    else
        apt-get -qq -y --download-only -o Dir::Cache::archives="$tmp/debs" install "$@" >"$state/log" 2>&1
    fi
}

echo "fetch-debs: $* of Debian $suite${only:+, without dependencies,} to $dest"
# An index of today will do; an older one may name versions that the mirror dropped.
[ -n "$(find "$state/lists" -name '*Packages*' -mmin -1440 -print -quit)" ] || update
download "$@" || {
    update
    download "$@" || die "can't fetch $* of Debian $suite: $(tail -n 1 "$state/log")"
}

for deb in "$tmp"/debs/*.deb; do
    dpkg -x "$deb" "$tmp/root" || die "can't unpack ${deb##*/} into $tmp/root; is the disk full?"
done
echo "$want" >"$tmp/root/.fetched"

[ ! -e "$dest" ] || mv "$dest" "$tmp/old"
mv "$tmp/root" "$dest"
