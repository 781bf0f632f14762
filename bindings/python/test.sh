#!/bin/sh
# Builds a wheel, installs it where there is no Rust, and tests it there. `--wheel` builds a release wheel alone, `--ray` tests the
# example for Ray as well. What is installed stays in target/python.
set -eu
cd "$(dirname "$0")/../.."
# Of pip, what went wrong.
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1 PIP_ROOT_USER_ACTION=ignore

# Debian has venv's parts in a package of their own.
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo "Python 3.9 or newer with its module venv is not found: install it" >&2
        exit 1
    fi
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    echo "No Python with venv is found: installing Debian's (python3 python3-venv)."
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
fi

home=$PWD/target/python
[ -x "$home/build/bin/maturin" ] || { python3 -m venv "$home/build" && "$home/build/bin/pip" install 'maturin>=1.7,<2'; }

profile=dev
[ "${1:-}" != --wheel ] || profile=release
# Of the last build alone.
rm -rf "$home/wheels-$profile"
"$home/build/bin/maturin" build --quiet --locked --profile "$profile" --manifest-path bindings/python/Cargo.toml \
    --target-dir target --out "$home/wheels-$profile"
wheel=$(ls "$home/wheels-$profile"/maskrcnn-*.whl)
if [ "$profile" = release ]; then
    echo "$wheel: $(wc -c <"$wheel") bytes"
    exit 0
fi

# What the tests need beside the wheel, which brings numpy.
[ -x "$home/clean/bin/pytest" ] || {
    python3 -m venv "$home/clean" && "$home/clean/bin/pip" install numpy pytest pillow pycocotools
}
"$home/clean/bin/pip" install --force-reinstall --no-deps "$wheel"
if [ "${1:-}" = --ray ]; then
    "$home/clean/bin/python" -c 'import ray.data' 2>/dev/null || "$home/clean/bin/pip" install 'ray[data]'
    set -- bindings/python/tests/test_ray.py
else
    set -- bindings/python/tests "$@"
fi
# No cargo, no compiler's environment: as on a user's machine.
path=$home/clean/bin:/usr/bin:/bin
if PATH=$path command -v cargo >/dev/null; then
    echo "note: this machine has Rust in /usr/bin, so the wheel was not shown to do without it" >&2
fi
env -u CARGO_HOME -u RUSTUP_HOME PATH="$path" NODEVICE_SELECT=1 "$home/clean/bin/python" -m pytest -q -rs "$@"
