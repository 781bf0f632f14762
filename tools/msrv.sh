#!/bin/sh
# Checks the library, the program and the examples with the oldest Rust that Cargo.toml promises, where it is installed.
set -eu
cd "$(dirname "$0")/.."

oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if ! cargo "+$oldest" --version >/dev/null 2>&1; then
    echo "LEFT OUT: Rust $oldest is not installed; \`rustup toolchain install $oldest --profile minimal\` has it checked"
    exit 0
fi
# In a folder of its own, so that it does not undo what the usual Rust has built.
CARGO_TARGET_DIR=target/msrv cargo "+$oldest" check --locked --lib --bins --examples
