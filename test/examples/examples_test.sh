#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs every example by the commands that stand in its own comments, and looks at what they say. None
# may be forgotten, none may grow beyond what one reads in a sitting, and what the documentation shows
# has to be what is built. Drivers for some of them are in the programs beside this file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/tap.sh
. scripts/lib/tap.sh

most_lines=120
scratch=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-examples.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

examples() { find examples -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort; }

# commands EXAMPLE: those in its comments; behind several spaces follows a remark.
commands() { sed -nE 's#^ \*   ((build|examples)/.*)#\1#p' "examples/$1"/*.c | sed 's/   .*//'; }

# shown EXAMPLE WORD: runs the one that has WORD, in a /tmp of its own.
shown() {
    local command words
    command=$(commands "$1" | grep -F -- "$2")
    read -ra words <<<"${command//"/tmp/"/"$scratch/"}"
    timeout 120 "${words[@]}" 2>&1
}

# tap_check tests what it calls, so `set -e` does not hold in there: every step has to say `|| return`.

# --- each example -----------------------------------------------------------------------------------------

# The built-in guest sends zeroes.
every_bit_is_turned() {
    shown 01-hello-device anyhv-invert-loopback || return
    [[ $(wc -c <"$scratch/answers") == 64000 && $(tr -d '\377' <"$scratch/answers" | wc -c) == 0 ]]
}

check_01_hello_device() {
    tap_check "01-hello-device gives back what it reads, every bit turned" every_bit_is_turned
}

guest_and_other_work() {
    local output
    output=$(shown 02-own-loop anyhv-own-loop-loopback) || return
    printf '%s\n' "$output"
    grep -q '1000000 requests' <<<"$output" && grep -q '^own loop: [1-9]' <<<"$output"
}

check_02_own_loop() {
    tap_check "02-own-loop serves a guest and does other work" guest_and_other_work
}

# 100 operations of 2 ms, one after the other.
takes_its_time() {
    local output
    output=$(shown 03-held-request anyhv-slow-loopback) || return
    printf '%s\n' "$output"
    [[ $output =~ ' 100 requests, 400 bytes in'.*' '([0-9]+)\.[0-9]+' ms' ]] && ((BASH_REMATCH[1] >= 200))
}

check_03_held_request() {
    tap_check "03-held-request answers when its hardware is through" takes_its_time
}

runs_on() {
    local output status=0 ring
    output=$(shown 04-bare-metal "$1") || status=$?
    printf '%s\n' "$output"
    for ring in split packed; do
        grep -q "^$ring ring: 300 requests, every record whole and in order" <<<"$output" || return
    done
    return "$status"
}

refuses_other_boards() {
    local status=0
    examples/04-bare-metal/run nosuch 2>"$scratch/usage" || status=$?
    [[ $status == 64 ]] && grep -q mps2-an385 "$scratch/usage"
}

# What docs/embedding.md promises: text and constants of libanyhv and the model on a Cortex-M3.
fits_32_kib() {
    arm-none-eabi-size -t build/freestanding/lib/libanyhv.a build/freestanding/devices/rng/libanyhv-rng.a |
        awk 'END { print; exit $1 + $2 > 32768 }'
}

check_04_bare_metal() {
    local board
    for board in mps2-an385 microbit virt; do
        tap_check "04-bare-metal runs on $board" runs_on "$board"
    done
    tap_check "04-bare-metal says which boards there are" refuses_other_boards
    tap_check "library and model need less than 32 KiB on a Cortex-M3" fits_32_kib
}

guest_in_a_thread() {
    local output
    output=$(shown 05-by-hand anyhv-by-hand) || return
    printf '%s\n' "$output"
    [[ $output == 'by hand: 1000 of 1000 answers are right' ]]
}

check_05_by_hand() {
    tap_check "05-by-hand serves a guest in another thread" guest_in_a_thread
}

for example in $(examples); do
    check=check_${example//-/_}
    if declare -F "$check" >/dev/null; then
        "$check"
    else
        tap_not_ok "$example is run" "this script has no function $check"
    fi
done

# --- all of them ------------------------------------------------------------------------------------------

# too_long FOLDER: files in it with more lines than allowed.
too_long() {
    find "$1" -name '*.[ch]' -exec awk -v most="$most_lines" '
        FNR == most + 1 { print FILENAME ": more than " most " lines" }' {} +
}

finds_a_long_file() {
    mkdir "$scratch/long"
    yes '/* nothing */' | head -n $((most_lines + 1)) >"$scratch/long/long.c"
    [[ $(too_long "$scratch/long") == *long.c:* ]]
}

# Commands of programs that are not built.
missing_programs() {
    local example program
    for example in $(examples); do
        [[ $(commands "$example") ]] || printf '%s: its comments give no command\n' "$example"
        while read -r program _; do
            [[ -x $program ]] || printf '%s: there is no %s\n' "$example" "$program"
        done < <(commands "$example")
    done
}

missing_in_index() {
    local example
    for example in $(examples); do
        grep -qF "]($example/)" examples/README.md || printf '%s\n' "$example"
    done
}

# in_the_guide FILE: the guide shows all of it that stands behind the comment at its top.
in_the_guide() {
    local code
    code=$(awk 'begun || !/^(\/\*| \*|#( |$))/ { begun = 1; print }' "examples/01-hello-device/$1")
    [[ $code && $(<docs/writing-a-device.md) == *"$code"* ]]
}

tap_empty "no file of an example has more than $most_lines lines" too_long examples
tap_check "a longer one would be found" finds_a_long_file
tap_empty "what the comments say to run is there" missing_programs
tap_empty "examples/README.md lists every example" missing_in_index
for file in invert.c main.c CMakeLists.txt; do
    tap_check "docs/writing-a-device.md shows 01-hello-device/$file as it is" in_the_guide "$file"
done
tap_end
