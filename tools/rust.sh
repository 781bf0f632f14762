#!/bin/sh
# Makes sure that Rust is here: says nothing where it is, and how to get it where it is not.
set -eu

command -v cargo >/dev/null && exit 0

installed="${CARGO_HOME:-$HOME/.cargo}/bin"
if [ -x "$installed/cargo" ]; then
    echo "cargo is installed in $installed, but this shell does not look there. Run:" >&2
    echo "    . \"$installed/../env\"" >&2
else
    echo "Rust is not found: its cargo, 1.88 or newer, builds the program. Get it from https://rustup.rs, which says to run" >&2
    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
    echo "and open a new shell after that." >&2
fi
exit 1
