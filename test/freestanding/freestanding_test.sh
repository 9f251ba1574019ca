#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds core, transports and device models for machines without C library and OS, and looks at what
# the archives still ask for. Allowed: anyhv_port_*, four mem* functions, and the compiler's own
# integer arithmetic. Never: read-modify-write operations, neither as calls nor as instructions
# (Cortex-M0 has none, and a ring does not need them).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/tap.sh
. scripts/lib/tap.sh

# preset, the prefix of its binutils, and its column in docs/embedding.md
targets=(
    "freestanding arm-none-eabi- Cortex-M3"
    "freestanding-m0 arm-none-eabi- Cortex-M0"
    "freestanding-aarch64 aarch64-linux-gnu- Armv8-A"
)

port='anyhv_port_[a-z0-9_]+'
memory='memcpy|memmove|memset|memcmp'
arm_arithmetic='__aeabi_(u?idiv(mod)?|u?ldivmod|lmul|llsl|llsr|lasr|u?lcmp)|__gnu_thumb1_case_[a-z]+'
arithmetic="__(u?div|u?mod|mul|ashl|ashr|lshr|u?cmp|clz|ctz|popcount|bswap)[sd]i[0-9]|$arm_arithmetic"
division64='__aeabi_u?ldivmod|__u?(div|mod)di[0-9]'
rmw='(ldrex|strex|ldxr|stxr|ldaxr|stlxr|ldxp|stxp|ldaxp|stlxp|ldadd|ldclr|ldeor|ldset|swp|cas)[a-z]*'

build() { cmake --preset "$1" && cmake --build --preset "$1" -- --quiet; }

archives() { find "build/$1" -name '*.a' | sort; }

# What the archives, taken together, leave undefined: "symbol object" per line.
undefined() {
    local nm=$1
    shift
    "$nm" -A "$@" | awk '
        NF < 2 { next }
        $(NF - 1) == "U" { split($1, at, ":"); wanted[$NF " " at[2]] = 1; next }
        { defined[$NF] = 1 }
        END { for (w in wanted) { split(w, part, " "); if (!(part[1] in defined)) print w } }' | sort
}

forbidden_symbols() { undefined "$@" | grep -Ev "^($port|$memory|$arithmetic) " || true; }

# Instructions that read, change and write back in one go: "object: function: instruction".
rmw_instructions() {
    local objdump=$1
    shift
    "$objdump" -d --no-show-raw-insn "$@" | awk -v rmw="^$rmw$" '
        /file format/ { object = $1 }
        /^[0-9a-f]+ <.*>:$/ { name = $2 }
        $2 ~ rmw { print object " " name " " $2 }' | sort -u
}

# Slow where the hardware cannot divide, so worth knowing in the code that runs per request.
warn_of_division() {
    undefined "$@" | grep -E "^($division64) " | sed 's/^/warning: 64-bit division: /' || true
}

sizes() {
    local size=$1
    shift
    "$size" -t "$@" | awk '
        NR == 1 { next }
        { printf "%-24s text %6d  data %4d  bss %4d\n", $6, $1, $2, $3 }'
}

# Bytes of code and constants, as docs/embedding.md divides them: "bytes|row" per line.
parts() {
    local preset=$1 prefix=$2
    "${prefix}size" "build/$preset/lib/libanyhv.a" "build/$preset/devices/rng/libanyhv-rng.a" | awk '
        NR == 1 { next }
        { bytes = $1 + $2; all += bytes }
        $6 ~ /^mmio/ { mmio += bytes; next }
        $6 ~ /^rng/ { rng += bytes; next }
        $6 ~ /^types/ { types += bytes }
        { core += bytes }
        END {
            print core "|core"
            print types "|of these, names and texts of the rules"
            print mmio "|virtio-mmio registers"
            print rng "|entropy model, with its simulated source"
            print all "|all of these"
        }'
}

# documented COLUMN ROW: what docs/embedding.md says.
documented() {
    awk -F ' *[|] *' -v column="$1" -v row="$2" '
        /^\|/ { for (i = 2; i < NF; i++) if ($i == column) at = i }
        $2 == row { gsub(" ", "", $at); print $at }' docs/embedding.md
}

# Each of them, and whether it is what the page says: a twentieth more or less is none of a reader's worries.
sizes_are_documented() {
    local bytes row says status=0
    while IFS='|' read -r bytes row; do
        says=$(documented "$3" "$row")
        printf '%s: %s: %d bytes, docs/embedding.md says %s\n' "$3" "$row" "$bytes" "${says:-nothing}"
        ((bytes * 20 >= says * 19 && bytes * 20 <= says * 21)) || status=1
    done < <(parts "$1" "$2")
    return "$status"
}

# The filters must see what they look for: a file with a call to malloc and atomic additions.
catches_planted() {
    local preset=$1 prefix=$2 folder found
    folder=$(mktemp -d)
    cat >"$folder/planted.c" <<'C'
void *malloc(__SIZE_TYPE__ size);
void *anyhv_planted(unsigned *word, unsigned long long *wide)
{
    __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(wide, 1, __ATOMIC_SEQ_CST);
    return malloc(*word);
}
C
    local flags
    flags=$(sed -n 's/^CMAKE_C_FLAGS:[A-Z]*=//p' "build/$preset/CMakeCache.txt")
    # shellcheck disable=SC2086 # several flags
    "${prefix}gcc" $flags -mno-outline-atomics -ffreestanding -c "$folder/planted.c" \
        -o "$folder/planted.o" 2>/dev/null ||
        "${prefix}gcc" $flags -ffreestanding -c "$folder/planted.c" -o "$folder/planted.o"
    "${prefix}ar" rc "$folder/planted.a" "$folder/planted.o"
    found=$(
        forbidden_symbols "${prefix}nm" "$folder/planted.a"
        rmw_instructions "${prefix}objdump" "$folder/planted.a"
    )
    rm -rf "$folder"
    [[ $found == *"malloc planted.o"* ]] && grep -Eq '__atomic_fetch_add|ldrex|ldaxr' <<<"$found"
}

check_target() {
    local preset=$1 prefix=$2 column=$3 list
    if ! output=$(build "$preset" 2>&1); then
        tap_not_ok "$preset: builds" "$(tail -n 25 <<<"$output")"
        return
    fi
    tap_ok "$preset: builds"
    mapfile -t list < <(archives "$preset")
    tap_check "$preset: there are archives of the library and of device models" test "${#list[@]}" -ge 2
    tap_empty "$preset: asks for nothing but its port, mem* and arithmetic" \
        forbidden_symbols "${prefix}nm" "${list[@]}"
    tap_empty "$preset: has no read-modify-write instruction" \
        rmw_instructions "${prefix}objdump" "${list[@]}"
    tap_check "$preset: these checks catch a planted violation" catches_planted "$preset" "$prefix"
    tap_note "$(warn_of_division "${prefix}nm" "${list[@]}")"
    tap_check "$preset: is as long as docs/embedding.md says" sizes_are_documented "$preset" "$prefix" "$column"
    tap_note "$(sizes "${prefix}size" "${list[@]}")"
    tap_note "$(sizes_are_documented "$preset" "$prefix" "$column" || true)"
}

for target in "${targets[@]}"; do
    read -r preset prefix column <<<"$target"
    check_target "$preset" "$prefix" "$column"
done
tap_end
