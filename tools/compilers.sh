#!/bin/sh
# Every text through every compiler at hand, and how many each takes: a table, which `--write` puts into
# docs/COMPILERS.md. What is not at hand is left out, with a word on how to get it. Fails where a compiler refuses a text.
set -eu
cd "$(dirname "$0")/.."

write=no
[ "${1:-}" != --write ] || write=yes
program=${MASKRCNN:-target/release/maskrcnn}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
table=$work/table
failed=no
export NODEVICE_SELECT=1 MESA_SHADER_CACHE_DISABLE=true XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$work}"

row() {
    echo "| $1 | $2 | $3 | $4 |" | tee -a "$table"
}

left_out() {
    echo "LEFT OUT: $1; $2" >&2
}

# Every text for a device, in a language: its folder.
texts() {
    folder=$work/$1-$2
    [ -d "$folder" ] || "$program" shaders emit --target "$1" --device "$2" --out "$folder" >"$folder.said"
    echo "$folder"
}

# What a Vulkan driver makes of all texts of its device, which must have a word in its name; fails where there is none.
vulkan() {
    said=$work/stats
    code=0
    "$program" shaders stats --driver "$1" >"$said" 2>"$said.err" || code=$?
    # RADV aborts where it does not know the name of a GPU.
    if [ "$code" -ge 128 ] && grep -q 'Unknown family' "$said.err"; then
        return 1
    elif [ "$code" -ge 128 ]; then
        failed=yes
        row "driver $1" "this device" "-" "**crashed** (signal $((code - 128)))"
        return 0
    elif [ "$code" -ne 0 ]; then
        grep -q ' compiled' "$said" || return 1
        failed=yes
        grep '^not compiled' "$said" >&2
    fi
    sed -n 's/^compiled by //p' "$said" | grep -q "$2" || return 1
    total=$(grep -E '^[0-9]+ of [0-9]+ texts? compiled' "$said")
    spills=$(echo "$total" | sed -n 's/.* compiled, //p')
    row "$(sed -n 's/^compiled by //p' "$said")" "this device" "${total%% texts*}" "${spills:-tells no figures}"
}

row "compiler" "texts for" "taken" "remarks"
echo "|---|---|---|---|" | tee -a "$table"

# The drivers of this machine.
unset RADV_FORCE_FAMILY
number=0
while vulkan "$number" "."; do number=$((number + 1)); done
[ "$number" -gt 0 ] || left_out "Vulkan drivers" "tools/vulkan-driver.sh installs one"

# AMD's compiler of Mesa, for GPUs that are not here.
amd() {
    upper=$(echo "$1" | tr '[:lower:]' '[:upper:]')
    export RADV_FORCE_FAMILY="$1"
    vulkan radv "RADV $upper"
}
for family in polaris10 vega10 navi10 navi21; do
    amd "$family" || left_out "RADV for $family" "Mesa of 22.3 to 25.0 has a null winsys"
done
# RDNA3 goes by two names; the newer driver has its matrices.
amd gfx1100 || amd navi31 || left_out "RADV for RDNA3" "Mesa of 22.3 to 25.0 has a null winsys"
amd gfx1201 || left_out "RADV for RDNA4" "Mesa 25.0 has it on its null winsys"
unset RADV_FORCE_FAMILY

# Khronos' validator; cooperative matrices since v2023.4.
if command -v spirv-val >/dev/null; then
    version=$(spirv-val --version | sed -n 's/.*v\(20[0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    device=profile:hopper
    case $version in
        20[01]* | 202[012].* | 2023.[123])
            left_out "cooperative matrices in SPIR-V" "spirv-val v2023.4 or newer knows them"
            device=profile:xe
            ;;
    esac
    folder=$(texts spirv "$device")
    taken=0 all=0
    for file in "$folder"/*.spv; do
        all=$((all + 1))
        if spirv-val --target-env vulkan1.2 "$file" >&2; then taken=$((taken + 1)); else failed=yes; fi
    done
    row "spirv-val v$version" "$device" "$taken of $all" "valid for Vulkan 1.2"
else
    left_out "SPIR-V's validator" "install spirv-val (Debian's spirv-tools)"
fi

# Microsoft's compiler, of the folder where libdxcompiler*.so and its headers lie.
library=
for file in "${DXC:-/nonexistent}"/libdxcompiler.so "${DXC:-/nonexistent}"/libdxcompiler_"$(uname -m)".so*; do
    [ -e "$file" ] && library=$file
done
if [ -n "$library" ] && command -v g++ >/dev/null; then
    g++ -O1 -w -fms-extensions -I "$DXC" -o "$work/dxc" tools/compilers/dxc.cpp -ldl
    device=profile:xe
    folder=$(texts hlsl "$device")
    said=$("$work/dxc" "$library" "$folder"/*.hlsl) || failed=yes
    row "${said%%:*}" "$device" "${said##*: }" "shader model 6.0, 6.2 for f16"
else
    cure="let DXC name a folder with libdxcompiler.so, dxcapi.h and WinAdapter.h; compushady/backends of PyPI's"
    left_out "Microsoft's DXC" "$cure compushady (pip download --no-deps --no-binary :all: compushady) is one"
fi

# Microsoft's older compiler, of the folder where d3dcompiler_47.dll lies; it is for Windows, so Wine runs it. It knows neither
# subgroups nor f16, so that wgpu offers it what the least device gets.
if [ ! -e "${FXC:-/nonexistent}/d3dcompiler_47.dll" ]; then
    left_out "Microsoft's FXC" "let FXC name a folder with d3dcompiler_47.dll: that of Windows (System32), or of PyPI's kivy_deps.angle \
(pip download --no-deps --only-binary=:all: --platform win_amd64 kivy_deps.angle)"
elif ! command -v wine >/dev/null || ! command -v x86_64-w64-mingw32-gcc >/dev/null; then
    left_out "Microsoft's FXC" "install wine and gcc-mingw-w64-x86-64 (Debian: with wine64)"
else
    mkdir "$work/fxc"
    cp "$FXC/d3dcompiler_47.dll" "$work/fxc"
    x86_64-w64-mingw32-gcc -O1 -Wall -o "$work/fxc/fxc.exe" tools/compilers/fxc.c
    device=none
    folder=$(texts hlsl "$device")
    # Its own DLL, and not Wine's of that name.
    (cd "$folder" && WINEPREFIX="$work/wine" WINEDEBUG=-all WINEDLLOVERRIDES="d3dcompiler_47=n;mscoree,mshtml=" \
        wine "$work/fxc/fxc.exe" ./*.hlsl >"$work/fxc/said") || failed=yes
    said=$(tr -d '\r' <"$work/fxc/said")
    times=${said#*: }
    row "${said%%:*}" "$device" "${said##*: }" "shader model 5.1; ${times%: *}"
fi

# Metal's texts through clang's front end, with a stand-in for Metal's library: syntax and types, no more.
clang=
for name in clang++ clang++-21 clang++-20 clang++-19; do
    # Older ones lack what vectors' constructors are made with.
    if [ -z "$clang" ] && command -v "$name" >/dev/null; then
        echo 'typedef float v4 __attribute__((ext_vector_type(4))); int n = __builtin_vectorelements(v4);' >"$work/try.cpp"
        if "$name" -fsyntax-only "$work/try.cpp" 2>/dev/null; then clang=$name; fi
    fi
done
if [ -n "$clang" ]; then
    device=profile:apple-m
    folder=$(texts msl "$device")
    taken=0 all=0
    for file in "$folder"/*.msl; do
        all=$((all + 1))
        # C++ has no constructors of vectors.
        vectors='(float|int|uint|half|bool)[234]'
        sed -E "s/metal::($vectors)\(/metal::mk_\1(/g; s/static_cast<metal::($vectors)>\(/metal::mk_\1(/g" "$file" >"$work/m.cpp"
        if "$clang" -std=c++17 -fsyntax-only -w -I tools/compilers -Xclang -cl-single-precision-constant "$work/m.cpp" >&2
        then taken=$((taken + 1)); else failed=yes; echo "$file" >&2; fi
    done
    version=$("$clang" --version | sed -n 's/.*clang version \([0-9.]*\).*/\1/p')
    row "clang $version, its front end" "$device" "$taken of $all" "MSL's syntax and types, with a stand-in for Metal's library"
else
    left_out "Metal's texts" "install clang++ 19 or newer"
fi

if [ "$write" = yes ]; then
    page=docs/COMPILERS.md
    awk -v table="$table" '
        /^<!-- end of compilers -->/ { while ((getline line < table) > 0) print line; inside = 0 }
        !inside { print }
        /^<!-- compilers -->/ { inside = 1 }' "$page" >"$work/page"
    cat "$work/page" >"$page"
fi
[ "$failed" = no ] || { echo "some texts were refused" >&2; exit 1; }
