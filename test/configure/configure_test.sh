#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The build itself: does it say what is wrong, do warnings stop it, does what is shipped build, and
# can every public header be the first one that a program includes?
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/tap.sh
. scripts/lib/tap.sh

root=$PWD
scratch=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-configure.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# --- errors ---------------------------------------------------------------------------------------------

known_modules() { find hv -mindepth 2 -maxdepth 2 -name CMakeLists.txt -printf '%h\n' | sed 's|^hv/||' | sort; }

mapfile -t modules < <(known_modules)
tap_check "hv/ has modules" test "${#modules[@]}" -ge 1
tap_check "an unknown module is refused, and the known ones are named" \
    refuses "'nosuch'" "${modules[@]}" -- cmake -G Ninja -S . -B "$scratch/unknown" -DANYHV_HV=nosuch

tap_check "an unknown device is refused" \
    refuses "'nosuch'" rng -- cmake -G Ninja -S . -B "$scratch/device" -DANYHV_DEVICES=nosuch

# Each module by itself: nothing may take another one for granted.
for module in "${modules[@]}"; do
    build_alone() {
        cmake -G Ninja -S . -B "$scratch/$1" -DANYHV_HV="$1" -DANYHV_TESTS=ON &&
            nice cmake --build "$scratch/$1" -- --quiet
    }
    tap_check "$module builds alone, with its tests" build_alone "$module"
    rm -rf "${scratch:?}/$module"
done

# Flags of a distribution, with "-m" inside; a module's object is linked with those of the machine alone.
build_with_flags() {
    cmake -G Ninja -S . -B "$scratch/flags" -DANYHV_HV=loopback -DANYHV_DEVICES=rng -DANYHV_TESTS=OFF \
        -DCMAKE_C_FLAGS="-ffile-prefix-map=$root=. -fno-merge-constants -mtune=generic" \
        -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_C_FLAGS_RELEASE="-O2 -mtune=generic -fno-math-errno" &&
        nice cmake --build "$scratch/flags" -- --quiet
}
machine_flags() { grep -- '-r -nostdlib' "$scratch/flags/build.ninja" | grep -o -- ' -m[^ ]*' | xargs; }
tap_check "a module builds with a distribution's flags" build_with_flags
tap_check "its object is linked with the machine's, of the build type, too" \
    test "$(machine_flags)" = "-mtune=generic -mtune=generic"

# A module that no header knows by name can be bound to a program.
foreign_module() {
    printf '%s\n' '#include <anyhv/hv.h>' 'const char *anyhv_x(void);' \
        'const char *anyhv_x(void) { return ANYHV_HV.name; }' |
        gcc -Iinclude -DANYHV_HV=anyhv_hv_foreign -Wall -Wextra -Werror -fsyntax-only -x c -
}
tap_check "a program can be bound to a module from elsewhere" foreign_module

# project NAME: a project outside the tree that uses our CMake files; its CMakeLists.txt goes on with
# standard input.
project() {
    mkdir -p "$scratch/$1"
    {
        printf 'cmake_minimum_required(VERSION 3.25)\nproject(%s C)\n' "${1##*/}"
        printf 'list(APPEND CMAKE_MODULE_PATH "%s/cmake")\ninclude(AnyhvTargets)\n' "$root"
        cat
    } >"$scratch/$1/CMakeLists.txt"
}

configure_project() { cmake -G Ninja -S "$scratch/$1" -B "$scratch/$1/build"; }

project hungry <<'CMAKE'
anyhv_require_library(NOSUCH nosuch/nosuch.h nosuch libnosuch-dev)
CMAKE
tap_check "a module without its library is refused, and the package is named" \
    refuses "'hungry'" nosuch/nosuch.h libnosuch-dev ANYHV_HV -- configure_project hungry

project devices/hungry <<'CMAKE'
anyhv_require_library(NOSUCH nosuch/nosuch.h nosuch libnosuch-dev)
CMAKE
tap_check "a device without its library is refused, too" \
    refuses "device 'hungry'" libnosuch-dev ANYHV_DEVICES -- configure_project devices/hungry

project fed <<'CMAKE'
anyhv_require_library(FED stdio.h c libc6-dev)
CMAKE
tap_check "a module with its library is not" configure_project fed

# scmi_with VALUE: with a libgpiod whose interface is not the one that we know.
scmi_with() {
    mkdir -p "$scratch/gpiod"
    echo 'struct gpiod_line_config *gpiod_line_config_new(void);' >"$scratch/gpiod/gpiod.h"
    cmake -G Ninja -S . -B "$scratch/scmi-$1" -DANYHV_DEVICES=scmi -DANYHV_TESTS=OFF -DANYHV_SCMI_GPIOD="$1" \
        -DGPIOD_INCLUDE_DIR="$scratch/gpiod"
}
simulates_only() { grep -q 'scmi: reset lines are simulated only' <<<"$(scmi_with "$1" 2>&1)"; }
tap_check "scmi with GPIO lines is refused without their library, and the package is named" \
    refuses ANYHV_SCMI_GPIOD libgpiod-dev simulated -- scmi_with ON
tap_check "scmi takes what there is, and says so" simulates_only AUTO
tap_check "scmi without GPIO lines says so, too" simulates_only OFF

# --- warnings -------------------------------------------------------------------------------------------

# build_with LINE: builds a library of ours whose source has LINE.
build_with() {
    project sloppy <<'CMAKE'
add_library(sloppy STATIC sloppy.c)
anyhv_flags(sloppy)
CMAKE
    printf '%s\n' "$1" >"$scratch/sloppy/sloppy.c"
    configure_project sloppy && cmake --build "$scratch/sloppy/build"
}

tap_check "a compiler warning stops the build" \
    refuses Werror -- build_with 'int anyhv_x(void); int anyhv_x(void) { int unused; return 0; }'
tap_check "no warning, no stop" build_with 'int anyhv_x(void); int anyhv_x(void) { return 0; }'

# --- what is shipped ------------------------------------------------------------------------------------

build() { cmake --preset "$1" && cmake --build --preset "$1" -- --quiet; }
tap_check "the release preset builds" build release
tap_check "and has no test in it" refuses -- test -e build/release/bin/test

# --- public headers -------------------------------------------------------------------------------------

# alone HEADER COMPILER FLAGS...: compiles a file that includes it twice and nothing else.
alone() {
    local header=$1
    shift
    printf '#include <%s>\n#include <%s>\nint anyhv_nothing;\n' "$header" "$header" |
        "$@" -Iinclude -Wall -Wextra -Werror -fsyntax-only -
}

mapfile -t headers < <(cd include && find . -name '*.h' -printf '%P\n' | sort)
tap_check "there are public headers" test "${#headers[@]}" -ge 1
for header in "${headers[@]}"; do
    tap_check "<$header> stands alone in C11" alone "$header" gcc -x c -std=c11 -pedantic-errors
    tap_check "<$header> stands alone in C++17" alone "$header" g++ -x c++ -std=c++17
done
printf '%s\n' 'size_t planted;' >"$scratch/planted.h"
tap_check "a header that does not stand alone is found" \
    refuses size_t -- alone "$scratch/planted.h" gcc -x c -std=c11
tap_end
