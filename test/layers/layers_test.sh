#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Are the layers kept apart? The rules stand in rules.sh. Each is applied to the tree, and then to a
# copy with a planted violation, which it must find: a rule that cannot fail proves nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
# shellcheck source=scripts/lib/tap.sh
. scripts/lib/tap.sh
# shellcheck source=test/layers/rules.sh
. "$here/rules.sh"

build=$PWD/build/dev

# The archives come from the dev preset, which scripts/check has built; by hand they may be missing.
if [[ -z $(find "$build" -name libanyhv.a 2>/dev/null) ]]; then
    tap_check "the dev preset builds" bash -c 'cmake --preset dev && cmake --build --preset dev'
fi

# --- the tree -------------------------------------------------------------------------------------------

tap_empty "lib/ and devices/ name no hypervisor" rule_hypervisor_names
tap_empty "hv/ names no device" rule_device_names
tap_empty "only lib/linux/worker.c creates threads" rule_threads
tap_empty "freestanding code includes freestanding headers only" rule_freestanding_headers
tap_empty "a module exports anyhv_hv_<name> and nothing else" rule_module_symbols "$build"
tap_empty "every exported symbol begins with anyhv_" rule_library_symbols "$build"
tap_empty "every name in a public header begins with anyhv_" rule_public_names
tap_empty "every file says its license" rule_license_lines
tap_empty "no file knows a path of one machine" rule_machine_paths
tap_empty "the code is formatted as .clang-format says" rule_format
tap_empty "shellcheck has nothing to say about the scripts" rule_scripts

# --- the rules ------------------------------------------------------------------------------------------

scratch=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-layers.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
copy=$scratch/tree
saved=$scratch/saved
mkdir "$copy"
tar -c --exclude=./build --exclude=./.git . | tar -x -C "$copy"

# finds RULE FILE TEXT: the rule reports FILE once TEXT stands at its end.
finds() {
    local rule=$1 file=$2 text=$3 output
    cd "$copy"
    mkdir -p "$(dirname "$file")"
    [[ ! -e $file ]] || cp "$file" "$saved"
    printf '%s\n' "$text" >>"$file"
    output=$("$rule" "$file")
    rm "$file"
    [[ ! -e $saved ]] || mv "$saved" "$file"
    grep -qF "$file:" <<<"$output"
}

# keeps_quiet RULE FILE TEXT: the opposite, for what a rule must let pass.
keeps_quiet() { ! finds "$@"; }

# finds_symbol RULE ARCHIVE SOURCE: the same for the rules that look at archives.
finds_symbol() {
    local folder=$scratch/archives
    rm -rf "$folder"
    mkdir -p "$folder"
    printf '%s\n' "$3" | gcc -x c -c - -o "$folder/planted.o"
    ar rc "$folder/$2" "$folder/planted.o"
    "$1" "$folder" | grep -qF "$folder/$2:"
}

# Words that the rules forbid are put together here, lest this file break them itself.
slash=/

finds_all() {
    local rule=$1
    shift
    while (($#)); do
        finds "$rule" "$1" "$2" || { printf 'not found: %s: %s\n' "$1" "$2" && return 1; }
        shift 2
    done
}

tap_check "finds a hypervisor's name in code" finds_all rule_hypervisor_names \
    lib/core/planted.c 'int vhost_user_flag;' \
    lib/linux/planted.c '#include <xen/xen.h>' \
    lib/transport/planted.h 'static const char *name = "made for KVM";' \
    devices/rng/planted.c '#define USE_QEMU_BUG 1' \
    lib/core/mem.c 'int loopback;' \
    lib/core/xen.c 'int nothing;' \
    lib/CMakeLists.txt 'add_subdirectory(vduse)'
tap_check "lets a comment name one" keeps_quiet rule_hypervisor_names \
    lib/core/planted.c '/* Xen ends a grant here */ // as vhost does'
tap_check "finds a device's name in hv/" finds_all rule_device_names \
    hv/loopback/planted.c 'extern int anyhv_rng_ops;' \
    hv/loopback/planted.h '#include "i2c.h"' \
    hv/loopback/CMakeLists.txt 'set(entropy ON)'
tap_check "finds a thread" finds_all rule_threads \
    lib/linux/loop.c 'int x(void) { return pthread_create(0, 0, 0, 0); }' \
    hv/loopback/planted.c 'int x(void) { return clone(0, 0, 0, 0); }' \
    devices/rng/planted.c 'int x(void) { return thrd_create(0, 0, 0); }'
tap_check "lets the worker have its thread" keeps_quiet rule_threads \
    lib/linux/worker.c 'int x(void) { return pthread_create(0, 0, 0, 0); }'
tap_check "finds a header of the OS or of the C library" finds_all rule_freestanding_headers \
    lib/core/mem.c '#include <stdlib.h>' \
    lib/transport/planted.c '  #  include <string.h>' \
    lib/core/planted.h '#include <anyhv/linux/loop.h>' \
    include/anyhv/types.h '#include <sys/types.h>' \
    include/anyhv/transport/planted.h '#include <anyhv/hv.h>' \
    include/anyhv/devices/planted.h '#include <anyhv/devices/planted_host.h>' \
    devices/rng/rng.c '#include <unistd.h>' \
    devices/planted/planted.c '#include <unistd.h>'
tap_check "lets a device's host side have them" keeps_quiet rule_freestanding_headers \
    devices/rng/rng_planted.c '#include <unistd.h>'
tap_check "finds a second symbol of a module" finds_symbol rule_module_symbols libanyhv-hv-planted.a \
    'int anyhv_hv_planted, anyhv_planted_helper;'
tap_check "finds a module without its symbol" finds_symbol rule_module_symbols libanyhv-hv-planted.a \
    'static int anyhv_hv_planted;'
tap_check "finds a symbol without prefix" finds_symbol rule_library_symbols libanyhv.a 'int helper;'
tap_check "does not take a missing archive for a clean one" grep -q 'no archive' \
    <(rule_library_symbols "$copy" && rule_module_symbols "$copy")
tap_check "finds a public name without prefix" finds_all rule_public_names \
    include/anyhv/mem.h 'struct planted;' \
    include/anyhv/planted.h 'enum planted {' \
    include/anyhv/linux/planted.h '    PLANTED,' \
    include/anyhv/devices/rng.h '# define PLANTED 1'
tap_check "finds a missing license line" finds_all rule_license_lines \
    lib/core/planted.c 'int x;' test/unit/planted.sh 'true'
tap_check "finds a path of one machine" finds_all rule_machine_paths \
    lib/core/planted.h "#include \"${slash}work/x.h\"" \
    scripts/planted 'cd '"${slash}root" \
    docs/planted.md "see ${slash}home/me/notes"
tap_check "finds unformatted code" finds_all rule_format \
    lib/core/planted.c 'int  x ;' include/anyhv/planted.h $'int\ty;'
tap_check "finds a careless script" finds_all rule_scripts \
    scripts/planted $'#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\nrm $1' \
    test/unit/planted.sh $'# shellcheck shell=bash\ncd nowhere'
tap_end
