#!/bin/sh
# Checks the library and the program in every combination of features, warnings being errors.
set -eu
cd "$(dirname "$0")/.."

# cli implies ash, draw and pull: it is tried with and without the model alone.
for model in "" embedded-model; do
    # ash implies emit, draw implies image.
    for emit in "" emit ash; do
        for pull in "" pull; do
            for image in "" image draw; do
                set -- $emit $pull $image $model
                echo "features: ${*:-none}"
                cargo clippy --quiet --lib --no-default-features --features "$*" -- -D warnings
            done
        done
    done
    set -- cli $model
    echo "features: $*"
    cargo clippy --quiet --lib --bins --no-default-features --features "$*" -- -D warnings
done
