#!/bin/sh
# Makes sure that a Vulkan driver is here: says nothing where one is, installs Mesa's where none is (Debian, Ubuntu).
# `--found` only answers, by its exit code.
set -eu

# macOS has Metal, Windows DX12.
[ "$(uname -s)" = Linux ] || exit 0

# What the Vulkan loader reads, in its order; a variable of the user's overrides the folders.
found() {
    for file in $(echo "${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}" | tr ':' ' '); do
        [ -e "$file" ] && return 0
    done
    for folder in /usr/share/vulkan/icd.d /usr/local/share/vulkan/icd.d /etc/vulkan/icd.d \
        "${XDG_DATA_HOME:-$HOME/.local/share}/vulkan/icd.d"; do
        for file in "$folder"/*.json; do
            [ -e "$file" ] && return 0
        done
    done
    return 1
}

loader() {
    { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true; } | grep -q 'libvulkan\.so\.1'
}

if found && loader; then
    exit 0
fi

[ "${1:-}" != --found ] || exit 1

packages="mesa-vulkan-drivers libvulkan1"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
fi
command="apt-get install -y --no-install-recommends $packages"
if ! command -v apt-get >/dev/null; then
    echo "No Vulkan driver is found. Install your GPU's driver, or Mesa's software driver (lavapipe)." >&2
    exit 1
fi
if [ -n "$as_root" ] && ! { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; then
    echo "No Vulkan driver is found, and there is no right to install one. Run:" >&2
    echo "    sudo apt-get update && sudo $command" >&2
    exit 1
fi
echo "No Vulkan driver is found: installing Mesa's ($packages)."
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086 # words are meant to split
$as_root $command -qq >/dev/null
