#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Is what `cmake --install` and cpack make a product? Installs, moves the installation away, and builds
# and runs with it the projects beside this file, which are installed, too: a device, a module, and a
# product that builds anyhv itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/tap.sh
. scripts/lib/tap.sh

root=$PWD
scratch=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-package.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
build=$scratch/build     # configured for /usr
first=$scratch/first     # installed there,
prefix=$scratch/prefix   # and moved here
staged=$scratch/staged   # DESTDIR
projects=$prefix/share/doc/anyhv/test/package
export CFLAGS="-Wall -Wextra -Wpedantic -Werror" # for the projects: what we install is clean under these

# needs NAME COMMAND...: a check that everything behind it stands on.
needs() {
    tap_check "$@"
    ((tap_failed == 0)) || { tap_end || exit 1; }
}

built() { cmake --build "$1" -- --quiet; }

# --- installing -----------------------------------------------------------------------------------------

build_product() {
    CFLAGS="" cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DANYHV_TESTS=OFF \
        -DANYHV_MAN=ON -DCMAKE_INSTALL_PREFIX=/usr -DANYHV_PACKAGER="A Tester <tester@anyhv.org>" &&
        built "$build"
}

files_in() { (cd "$1" && find . -type f | sort); }

install_and_move() { cmake --install "$build" --prefix "$first" && mv "$first" "$prefix"; }
install_staged() { DESTDIR=$staged cmake --install "$build"; }
installed_twice_the_same() { diff <(files_in "$prefix") <(files_in "$staged/usr"); }

needs "the product builds" build_product
needs "it installs into a prefix" install_and_move
needs "it installs into DESTDIR" install_staged
tap_check "both have the same files" installed_twice_the_same

libdir=$(dirname "$(find "$prefix" -name libanyhv.a)")
export PKG_CONFIG_PATH=$libdir/pkgconfig

# traces FOLDER PATH...: files under it that name one of the paths.
traces() { grep -rlF -e "$2" -e "$3" "$1" || true; }
tap_empty "no installed file tells where it was built" traces "$prefix" "$root" "$build"
tap_empty "nor where it was staged" traces "$staged" "$staged" "$build"

# --- headers --------------------------------------------------------------------------------------------

# compiles HEADER COMPILER...: as the first thing that a file includes.
compiles() {
    local header=$1
    shift
    printf '#include <%s>\nint anyhv_nothing;\n' "$header" |
        "$@" -I"$prefix/include" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -
}

all_headers() { (cd "$1" && find anyhv -name '*.h' | sort); }
same_headers() { diff <(all_headers include) <(all_headers "$prefix/include"); }

tap_check "all public headers are installed, and no others" same_headers
mapfile -t headers < <(all_headers "$prefix/include")
for header in "${headers[@]}"; do
    tap_check "<$header> alone, C11" compiles "$header" gcc -x c -std=c11
    tap_check "<$header> alone, C++17" compiles "$header" g++ -x c++ -std=c++17
done

# --- libraries ------------------------------------------------------------------------------------------

symbols() { nm -g --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort; }

only_symbol() { diff <(printf '%s\n' "$2") <(symbols "$1"); }

for archive in "$libdir"/libanyhv-hv-*.a; do
    module=$(basename "$archive" .a)
    module=${module#libanyhv-hv-}
    tap_check "the module $module exports one symbol" only_symbol "$archive" "anyhv_hv_${module//-/_}"
done

version=$(sed -n 's/^#define ANYHV_VERSION  *"\(.*\)"/\1/p' include/anyhv/version.h)

# all_of NAME: a program that takes everything in the library links with what its .pc names.
all_of() {
    # shellcheck disable=SC2046 # several flags
    printf 'int main(void) { return 0; }\n' |
        gcc -x c -o "$scratch/all" - -x none -Wl,--whole-archive "$libdir/lib$1.a" \
            -Wl,--no-whole-archive $(pkg-config --static --libs "$1")
}
modversion() { [[ $(pkg-config --modversion "$1") == "$version" ]]; }

for archive in "$libdir"/libanyhv*.a; do
    name=$(basename "$archive" .a)
    name=${name#lib}
    tap_check "$name.pc has all that the library needs" all_of "$name"
    tap_check "$name.pc has the version of version.h" modversion "$name"
done

# --- find_package ---------------------------------------------------------------------------------------

# configure FOLDER BUILD ARGUMENT...: a project outside the tree.
configure() { cmake -G Ninja -S "$1" -B "$scratch/$2" -DCMAKE_PREFIX_PATH="$prefix" "${@:3}"; }
configure_and_build() { configure "$@" && built "$scratch/$2"; }

# hex FILE
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }

# marks PROGRAM: it serves the guest of the loopback module.
marks() {
    "$1" --byte=0x5a --requests=3 --in=4 --output="$scratch/marked" &&
        [[ $(hex "$scratch/marked") == 5a5a5a5a5a5a5a5a5a5a5a5a ]]
}

# serves PROGRAM [COMMAND...]: it waits at its socket, where COMMAND finds it, until it is told to end.
serves() {
    local socket=$scratch/socket pid status=0
    "$1" --socket-path="$socket" &
    pid=$!
    for _ in {1..100}; do
        [[ ! -S $socket ]] || break
        sleep 0.05
    done
    [[ -S $socket ]] || status=1
    (($# == 1)) || "${@:2}" "$socket" || status=1
    kill -TERM "$pid"
    wait "$pid" && return "$status"
}

tap_check "a device builds with find_package" configure_and_build "$projects/device" device
tap_check "and serves the loopback guest" marks "$scratch/device/anyhv-mark-loopback"
tap_check "and waits for a vhost-user front end" serves "$scratch/device/anyhv-mark-vhost-user"
tap_check "its module is chosen when it is configured" \
    configure "$projects/device" chosen -DANYHV_HV=vhost-user
tap_empty "so it has no other program" sed -n '/^build anyhv-mark-loopback/p' "$scratch/chosen/build.ninja"
tap_check "a module that is not there is refused" \
    refuses "'mark'" "'nosuch'" -- configure "$projects/device" nosuch -DANYHV_HV=nosuch

# asks NAME WHAT...: a project with find_package(anyhv WHAT...).
asks() {
    mkdir -p "$scratch/$1"
    printf '%s\n' 'cmake_minimum_required(VERSION 3.25)' "project($1 C)" "find_package(anyhv ${*:2})" \
        'if(NOT anyhv_FOUND)' '  message(FATAL_ERROR "none")' 'endif()' >"$scratch/$1/CMakeLists.txt"
    configure "$scratch/$1" "$1/build"
}
tap_check "a component that is not there is refused, and those that are are named" \
    refuses "without 'warp'" loopback vhost-user rng -- asks missing REQUIRED COMPONENTS rng warp
tap_check "an optional one is not" asks optional REQUIRED COMPONENTS rng OPTIONAL_COMPONENTS warp
tap_check "the next minor version is another API" refuses "$version" -- asks newer 0.2 REQUIRED
tap_check "and so is the next major one" refuses "$version" -- asks major 1.0 REQUIRED

# --- pkg-config -----------------------------------------------------------------------------------------

make_device() { cp -r "$projects/device" "$scratch/make" && make -C "$scratch/make" && make -C "$scratch/make" MODULE=vhost-user; }
tap_check "a device builds with make and pkg-config" make_device
tap_check "and serves the loopback guest (make)" marks "$scratch/make/anyhv-mark-loopback"
tap_check "and waits for a vhost-user front end (make)" serves "$scratch/make/anyhv-mark-vhost-user"

# With the headers of another version, whose structs may differ.
mismatched() {
    cp -r "$prefix/include" "$scratch/other"
    sed -i 's/anyhv_layout_.*/anyhv_layout_7_3/' "$scratch/other/anyhv/version.h"
    # shellcheck disable=SC2046 # several flags
    gcc -I"$scratch/other" -DANYHV_HV=anyhv_hv_loopback -o "$scratch/mismatched" "$projects"/device/*.c \
        $(pkg-config --static --libs anyhv-hv-loopback)
}
tap_check "headers and library of different versions do not link" \
    refuses "undefined reference to \`anyhv_layout_7_3'" -- mismatched

# --- a module from elsewhere ----------------------------------------------------------------------------

same_bytes() {
    "$prefix/bin/anyhv-rng-loopback" --simulate=7 --requests=1 --in=64 --output="$scratch/bytes" &&
        [[ $("$scratch/module/anyhv-rng-scripted" --simulate=7) == $(hex "$scratch/bytes") ]]
}
tap_check "a module builds with find_package" configure_and_build "$projects/module" module
tap_check "and exports one symbol" only_symbol "$scratch/module/libanyhv-hv-scripted.a" anyhv_hv_scripted
tap_check "and its guest gets what the loopback guest gets" same_bytes

# --- a VMM ----------------------------------------------------------------------------------------------

vmm_with_pkg_config() {
    # shellcheck disable=SC2046 # several flags
    gcc -std=c11 -o "$scratch/device-pc" "$projects/vmm/main.c" $(pkg-config --static --cflags --libs anyhv-vmm)
}
# finds_rng PROGRAM SOCKET: it meets an entropy device with its one queue, and reads its registers.
finds_rng() { [[ $("$1" "$2") == "device 4, queues 1, magic 0x74726976" ]]; }

tap_check "a VMM builds with find_package, in C and in C++" configure_and_build "$projects/vmm" vmm
tap_check "and with pkg-config" vmm_with_pkg_config
for program in vmm/device-c vmm/device-cc device-pc; do
    tap_check "$program meets the device process" \
        serves "$prefix/bin/anyhv-rng-kvm-ioregionfd" finds_rng "$scratch/$program"
done
tap_check "it says so if nobody is there" refuses "No such file" -- "$scratch/device-pc" /no/such/socket

# --- as a part of another build -------------------------------------------------------------------------

tap_check "a product builds anyhv from source" \
    configure_and_build "$projects/consumer" consumer -DANYHV_SOURCE="$root"
tap_check "and its device serves the loopback guest" marks "$scratch/consumer/device/anyhv-mark-loopback"
install_consumer() { cmake --install "$scratch/consumer" --prefix "$scratch/nothing"; }
tap_check "and can be installed" install_consumer
tap_check "and installs nothing of ours" refuses -- test -e "$scratch/nothing"

# --- less, and more -------------------------------------------------------------------------------------

# A module that was just written, on a library of the system: nothing else knows of it.
plant() {
    mkdir "$scratch/tree"
    tar -c --exclude=./build --exclude=./.git . | tar -x -C "$scratch/tree"
    mkdir "$scratch/tree/hv/planted"
    cat >"$scratch/tree/hv/planted/CMakeLists.txt" <<'CMAKE'
anyhv_require_library(PLANTED math.h m libc6-dev)
anyhv_add_module(planted SOURCES module.c LIBRARIES ${PLANTED_LIBRARY})
CMAKE
    cat >"$scratch/tree/hv/planted/module.c" <<'C'
#include <anyhv/hv.h>
extern const struct anyhv_hv anyhv_hv_planted;
const struct anyhv_hv anyhv_hv_planted = {.name = "planted"};
C
}
install_planted() {
    configure "$scratch/tree" less -DANYHV_HV="vhost-user;planted" -DANYHV_DEVICES="" -DANYHV_TESTS=OFF &&
        built "$scratch/less" && cmake --install "$scratch/less" --prefix "$scratch/small"
}
small_links() { find "$scratch/small" -name 'anyhv-targets.cmake' -exec grep -F -- "$1" {} +; }
small_pc() { PKG_CONFIG_PATH=$(dirname "$(find "$scratch/small" -name anyhv.pc)") pkg-config "$@"; }

tap_check "a module is added to the tree" plant
tap_check "it is built and installed without being named anywhere" install_planted
tap_check "its .pc names the system's library" grep -qx -- "-lm" \
    <(small_pc --static --libs-only-l anyhv-hv-planted | tr ' ' '\n')
tap_check "and so does its target" small_links ";-lm\""
tap_empty "headers of what was not configured stay away" \
    find "$scratch/small/include" '(' -name 'loopback.h' -o -path '*/devices/*' ')'

install_bare() {
    configure "$scratch/tree" bare-build -DANYHV_FREESTANDING=ON -DANYHV_TESTS=OFF && built "$scratch/bare-build" &&
        cmake --install "$scratch/bare-build" --prefix "$scratch/bare"
}
# What is in the bare installation and needs an OS: headers, programs, the modules' libraries.
needs_os() {
    grep -rlE '#include <(sys/|unistd|std(io|lib)|argp|anyhv/(hv|linux))' "$scratch/bare/include" || true
    find "$scratch/bare" -path '*/bin/*' -o -name 'libanyhv-hv-*' -o -path '*/linux/*'
}
tap_check "without an OS, there is an installation" install_bare
tap_empty "and nothing in it needs one" needs_os

# --- programs -------------------------------------------------------------------------------------------

options_of() { "$1" --help | grep -oE -- '--[a-z][a-z-]+' | sort -u; }

# Options of PROGRAM that its page leaves out.
not_in_page() {
    local page
    page=$(mandoc -T ascii -O width=200 "$prefix/share/man/man1/$(basename "$1").1" | col -b)
    while read -r option; do
        grep -qF -- "$option" <<<"$page" || printf '%s\n' "$option"
    done < <(options_of "$1")
}
lint() {
    mandoc -T lint "$1"
    { LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$1" >/dev/null; } 2>&1
}

description() { printf '%s\n' "$staged/usr/share/qemu/vhost-user/50-$1.json"; }

# described PROGRAM: what QEMU's tools are told of it holds.
described() {
    python3 - "$(description "${1%-vhost-user}")" "$staged" "$1" <<'PYTHON'
import json, subprocess, sys

file, staged, program = sys.argv[1:]
known = "9p balloon block caif console crypto gpu input net rng rpmsg rproc-serial scsi vsock fs"
said = json.load(open(file))
assert sorted(said) == ["binary", "description", "type"], said
assert said["type"] in known.split(), said
assert said["binary"] == f"/usr/bin/{program}", said
output = subprocess.run([staged + said["binary"], "--print-capabilities"], capture_output=True)
assert output.returncode == 0, output
assert json.loads(output.stdout)["type"] == said["type"], output
PYTHON
}

# A program has a type of QEMU's and a description, or neither.
has_type() { "$prefix/bin/$1" --print-capabilities >/dev/null 2>&1; }

for program in "$prefix"/bin/*; do
    name=$(basename "$program")
    tap_empty "every option of $name is in its page" not_in_page "$program"
    tap_empty "the page of $name is well-formed" lint "$prefix/share/man/man1/$name.1"
    if [[ $name == *-vhost-user ]] && { has_type "$name" || [[ -e $(description "${name%-vhost-user}") ]]; }; then
        tap_check "QEMU's tools find $name" described "$name"
    fi
done

# --- Debian packages ------------------------------------------------------------------------------------

pack() { (cd "$build" && cpack -G DEB -B "$scratch/debs"); }
field() { dpkg-deb -f "$scratch/debs/$1"_*.deb "$2"; }
unpack() {
    local deb
    for deb in "$scratch"/debs/*.deb; do
        dpkg-deb --contents "$deb" && dpkg -x "$deb" "$scratch/root"
    done
}
# What counts; the documents have other places.
counted() { files_in "$1" | grep -v '^./share/doc/' | sed 's/\.gz$//'; }
nothing_lost() { diff <(counted "$staged/usr") <(counted "$scratch/root/usr"); }
reviewed() {
    # Debian's own archive would want a bug report that announces the package.
    lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$scratch"/debs/*.deb
}
configure_with_package() { prefix=$scratch/root/usr configure_and_build "$projects/device" packaged; }

tap_check "cpack makes packages" pack
tap_check "libanyhv-dev has our version" test "$(field libanyhv-dev Version)" = "$version-1"
tap_check "libanyhv-dev depends on what its libraries are linked with" \
    test "$(field libanyhv-dev Depends)" = "libc6-dev, libinih-dev, libgpiod-dev"
tap_check "anyhv-tools depends on its libraries" grep -q libc6 <<<"$(field anyhv-tools Depends)"
tap_check "the packages can be unpacked" unpack
tap_check "they have all that is installed" nothing_lost
tap_check "lintian has nothing to say" reviewed
tap_check "a device builds with libanyhv-dev" configure_with_package
tap_check "and serves the loopback guest (package)" marks "$scratch/packaged/anyhv-mark-loopback"
tap_end
