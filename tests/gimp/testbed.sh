#!/usr/bin/env bash
# A real GIMP 3 next to the system: Debian trixie in a folder of its own, entered with chroot.
#
#   testbed.sh setup          make it (some minutes the first time, at once afterwards)
#   testbed.sh run DIR CMD…   run CMD inside, with DIR (what it may write) and this checkout at their own paths
#   testbed.sh why            print why it cannot be made or used here; nothing and status 0 if it can
#
# It lies outside the checkout, is made in one piece and never written to again: two checkouts, or two runs, can
# use it at the same time. All mounts are made in a mount namespace of the run and vanish with it.
set -euo pipefail

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# Raise EDITION when the list of packages changes, so that an older testbed is not mistaken for this one.
EDITION=1
PACKAGES="gimp gir1.2-gimp-3.0 python3-gi python3-gi-cairo gir1.2-gtk-3.0 xvfb xauth xdotool imagemagick
openbox adwaita-icon-theme fonts-dejavu-core dbus-x11 libegl1 libimage-exiftool-perl"
CACHE=${KF_GIMP_TESTBED:-${XDG_CACHE_HOME:-$HOME/.cache}/kernelfusion/gimp-testbed}
ROOT=$CACHE/trixie-$EDITION

why() {
    if [ "$(id -u)" != 0 ]; then
        echo "a chroot needs root"
    elif ! unshare -m true 2>/dev/null; then
        echo "this system does not let root make mount namespaces"
    elif [ ! -e "$ROOT/.ready" ] && ! command -v debootstrap >/dev/null && ! command -v apt-get >/dev/null; then
        echo "there is neither debootstrap nor apt-get to install it with"
    else
        return 0
    fi
    return 1
}

mirror() { # the system's own, which may be the only one it can reach; nothing: debootstrap knows one
    local found
    found=$(sed -n 's/^URIs: *\([^ ]*debian\/*\) *$/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
    [ -n "$found" ] || found=$(sed -n 's/^deb .*\(https\{0,1\}:[^ ]*\/debian\/*\) .*$/\1/p' /etc/apt/sources.list 2>/dev/null | head -1)
    echo "$found"
}

build() {
    if ! command -v debootstrap >/dev/null || [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
        apt-get update
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap debian-archive-keyring
    fi
    local new=$ROOT.building
    rm -rf "$new" # what an interrupted run left behind
    mkdir -p "$new"
    debootstrap --variant=minbase --include=ca-certificates \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg trixie "$new" $(mirror)
    cp /etc/apt/apt.conf.d/* "$new/etc/apt/apt.conf.d/" # proxies and certificates, mostly
    cp /etc/resolv.conf "$new/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d" # start no services
    chmod +x "$new/usr/sbin/policy-rc.d"
    # shellcheck disable=SC2086
    unshare -m bash -euc 'root=$1; shift
        mount --make-rprivate /
        mount --bind /proc "$root/proc"
        mount --rbind /dev "$root/dev"
        export DEBIAN_FRONTEND=noninteractive LC_ALL=C
        chroot "$root" apt-get update
        chroot "$root" apt-get install -y --no-install-recommends "$@"
        chroot "$root" apt-get clean' build "$new" $PACKAGES
    touch "$new/.ready"
    mv "$new" "$ROOT"
}

setup() {
    [ ! -e "$ROOT/.ready" ] || return 0
    mkdir -p "$CACHE"
    echo "Making the GIMP testbed in $ROOT; the log is $CACHE/setup.log" >&2
    exec 9>"$CACHE/lock"
    flock 9 # another checkout may be making it
    [ ! -e "$ROOT/.ready" ] || return 0
    (build) >"$CACHE/setup.log" 2>&1 9>&- || { tail -20 "$CACHE/setup.log" >&2; return 1; }
}

run() {
    local writable
    writable=$(cd "$1" && pwd -P)
    shift
    # The environment, the interpreter it was made with, and the checkout, each at its own path.
    local python=${KF_GIMP_PYTHON:-$REPO/.venv/bin/python} seen
    seen=$("$python" -c 'import sys; print(sys.prefix); print(sys.base_prefix)')
    # shellcheck disable=SC2086
    exec unshare -m bash -euc '
        root=$1 writable=$2; shift 2
        mount --make-rprivate /
        mount --bind /proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs tmpfs "$root/tmp"
        mount -t tmpfs tmpfs "$root/root"
        bind() { mkdir -p "$root$1"; mount --bind "$1" "$root$1"; [ "$2" = rw ] || mount -o remount,bind,ro "$root$1"; }
        while [ "$1" != -- ]; do
            case $1 in
                / | /usr | /usr/local) ;; # inside it is another system: its own
                *) bind "$1" ro ;;
            esac
            shift
        done
        shift
        bind "$writable" rw
        exec chroot "$root" env -i HOME="$writable" PATH=/usr/bin:/bin LANG=C.UTF-8 TMPDIR=/tmp NO_AT_BRIDGE=1 \
            OMP_WAIT_POLICY=PASSIVE "$@"' run "$ROOT" "$writable" "$REPO" $seen -- "$@"
}

command=${1:-}
shift || true
case $command in
    why) why ;;
    setup) why >&2 && setup ;;
    run) run "$@" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
