#!/bin/sh
# Packs the crate as a registry would get it, and holds it against the size that crates.io takes.
set -eu
cd "$(dirname "$0")/.."

most=$((10 * 1024 * 1024))
cargo package --allow-dirty "$@"
crate=$(ls -t "${CARGO_TARGET_DIR:-target}"/package/maskrcnn-*.crate | head -n 1)
bytes=$(wc -c < "$crate")
echo "$crate: $bytes bytes, $most are allowed"
[ "$bytes" -le "$most" ]
