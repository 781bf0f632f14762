#!/bin/sh
# Lays out the C interface for others to link: header, shared and static library, pkg-config and CMake files.
#
#   bindings/c/install.sh PREFIX            builds with optimisation, then installs
#   bindings/c/install.sh PREFIX --built F  installs what is in F (target/release, say)
#
# DESTDIR is put before PREFIX, as packagers have it. What an earlier installation left there is replaced, file by file.
set -eu

say() {
    echo "install.sh: $*" >&2
    exit 1
}

[ $# -ge 1 ] || say "give the folder to install into, e.g. bindings/c/install.sh /usr/local"
case $1 in
    /*) prefix=$1 ;;
    -*) say "give the folder first" ;;
    *) prefix=$PWD/$1 ;;
esac
built=
if [ $# -gt 1 ]; then
    [ "$2" = --built ] && [ $# -eq 3 ] || say "after the folder, \`--built FOLDER\` is all that can follow"
    built=$(cd "$3" && pwd)
fi
[ "$(uname -s)" = Linux ] || say "knows the layout of Linux alone; elsewhere, \`cargo build --release -p maskrcnn-c\` makes \
the library in target/release, and bindings/c/include has the headers"

here=$(cd "$(dirname "$0")" && pwd)
if [ -z "$built" ]; then
    (cd "$here/../.." && cargo build --release -p maskrcnn-c)
    built=${CARGO_TARGET_DIR:-$here/../../target}/release
fi
for file in libmaskrcnn_c.so libmaskrcnn_c.a; do
    [ -f "$built/$file" ] || say "there is no $file in $built: \`cargo build --release -p maskrcnn-c\` makes it"
done

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/Cargo.toml" | head -n 1)
abi=$(sed -n 's/^#define MASKRCNN_ABI_VERSION \([0-9]*\)$/\1/p' "$here/include/maskrcnn.h")
[ -n "$version" ] && [ -n "$abi" ] || say "no version in Cargo.toml or include/maskrcnn.h"
shared=libmaskrcnn.so.$version
soname=libmaskrcnn.so.$abi
# What rustc says of the static library (--print native-static-libs).
libs="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"

to=${DESTDIR:-}$prefix
lib=$to/lib
mkdir -p "$to/include" "$lib/pkgconfig" "$lib/cmake/maskrcnn"

# Each file is whole or as it was: programs that run keep the library that they have loaded.
put() {
    cp "$1" "$2.new"
    chmod "$3" "$2.new"
    mv -f "$2.new" "$2"
}
link() {
    ln -sf "$1" "$2.new"
    mv -fT "$2.new" "$2"
}
filled() {
    sed -e "s|@VERSION@|$version|g" -e "s|@MAJOR@|${version%%.*}|g" -e "s|@SHARED@|$shared|g" -e "s|@SONAME@|$soname|g" \
        -e "s|@SYSTEM_LIBS@|$libs|g" -e "s|@CMAKE_LIBS@|$(echo "$libs" | sed 's/^-l//; s/ -l/;/g')|g" "$1" >"$2.new"
    chmod 644 "$2.new"
    mv -f "$2.new" "$2"
}

put "$here/include/maskrcnn.h" "$to/include/maskrcnn.h" 644
put "$here/include/maskrcnn.hpp" "$to/include/maskrcnn.hpp" 644
put "$built/libmaskrcnn_c.so" "$lib/$shared" 755
link "$shared" "$lib/$soname"
link "$soname" "$lib/libmaskrcnn.so"
put "$built/libmaskrcnn_c.a" "$lib/libmaskrcnn.a" 644
filled "$here/maskrcnn.pc.in" "$lib/pkgconfig/maskrcnn.pc"
filled "$here/cmake/maskrcnn-config.cmake.in" "$lib/cmake/maskrcnn/maskrcnn-config.cmake"
filled "$here/cmake/maskrcnn-config-version.cmake.in" "$lib/cmake/maskrcnn/maskrcnn-config-version.cmake"
echo "installed maskrcnn $version (interface $abi) into $to"
