#!/bin/sh
# Makes sure that windows can be tested without a display: Xvfb, and the libraries of X11 that a window is opened by. Says nothing
# where they are here, installs them where they are not (Debian, Ubuntu). `--found` only answers, by its exit code.
set -eu

[ "$(uname -s)" = Linux ] || exit 0

libraries="libX11-xcb.so.1 libX11.so.6 libXcursor.so.1 libXi.so.6 libxkbcommon-x11.so.0"
found() {
    command -v Xvfb >/dev/null || return 1
    all=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true)
    for library in $libraries; do
        echo "$all" | grep -qF "$library" || return 1
    done
}

if found; then
    exit 0
fi

[ "${1:-}" != --found ] || exit 1

packages="xvfb libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0 libxrandr2"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
fi
command="apt-get install -y --no-install-recommends $packages"
if ! command -v apt-get >/dev/null || { [ -n "$as_root" ] && ! { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }; then
    # The test of the window says then that it is left out.
    echo "LEFT OUT: Xvfb is not found, and cannot be installed here; as root: apt-get update && $command" >&2
    exit 0
fi
echo "Xvfb is not found: installing it ($packages)."
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086 # words are meant to split
$as_root $command -qq >/dev/null
