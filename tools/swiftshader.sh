#!/bin/sh
# Prints the driver file of SwiftShader, the second Vulkan driver that the tests run on. Where none is found, it is
# installed from Debian's chromium-common; a file of your own is named by $SWIFTSHADER_ICD.
set -eu

for file in "${SWIFTSHADER_ICD:-}" /usr/lib/chromium/vk_swiftshader_icd.json /usr/lib64/chromium-browser/vk_swiftshader_icd.json; do
    if [ -n "$file" ] && [ -e "$file" ]; then
        echo "$file"
        exit 0
    fi
done
as_root=""
[ "$(id -u)" -eq 0 ] || as_root=sudo
there() { command -v apt-cache >/dev/null && apt-cache show chromium-common >/dev/null 2>&1; }
there || { command -v apt-get >/dev/null && $as_root apt-get update -qq >&2; } || true
if ! there; then
    echo "SwiftShader is not found: name its vk_swiftshader_icd.json in SWIFTSHADER_ICD." >&2
    exit 1
fi
echo "SwiftShader is not found: installing Debian's chromium-common." >&2
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends chromium-common >/dev/null
echo /usr/lib/chromium/vk_swiftshader_icd.json
