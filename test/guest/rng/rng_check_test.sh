#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Does rng_check accept what Linux may make of a right stream, and nothing else? Reports TAP. Here
# the streams are files, put together from 64-byte records; no guest is needed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/apt.sh
. "$here/../../../scripts/lib/apt.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../../scripts/lib/tap.sh"
# shellcheck source=test/guest/image.sh
. "$here/../image.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-rng-check.XXXXXX")
trap 'rm -rf "$work"' EXIT
seed=0x5eed

records() { "$work/rng_stream" "$seed" "$1" "$2"; } # FIRST COUNT
head_of() { head -c "$1"; }
from() { tail -c "+$(($1 + 1))"; } # OFFSET

# accepts TEXT BYTES [OPTION...]: the stream on standard input is right, and the report says TEXT.
accepts() {
    local text=$1 bytes=$2 output
    cat >"$work/stream"
    output=$("$work/rng_check" "${@:3}" "$work/stream" "$bytes") || { echo "$output" && return 1; }
    echo "$output"
    [[ $output == "rng-check: ok "*"$text"* ]]
}

# refuses TEXT BYTES [OPTION...]: the stream is wrong, and TEXT is among the words for why.
refuses() {
    local text=$1 bytes=$2 output status=0
    cat >"$work/stream"
    output=$("$work/rng_check" "${@:3}" "$work/stream" "$bytes") || status=$?
    echo "$output"
    [[ $status == 1 && $output == "rng-check: FAILED "*"$text"* ]]
}

# --- what Linux makes of a right stream -----------------------------------------------------------

whole_stream() { records 0 32 | accepts "2048 bytes 32 records seed 0x5eed first 0 last 31" 2048; }
known_seed() { records 7 32 | accepts "first 7 last 38 missing 0" 2048 -s $seed; }
high_indices() { records 0xfffffffffffffff0 8 | accepts "first 18446744073709551600" 512; }
early_bytes_taken() { records 0 33 | from 32 | accepts "first 1 last 32 missing 0" 2048; }
old_early_bytes_taken() { records 0 33 | from 16 | accepts "shift 48" 2048; }
one_taken_by_thread() { { records 0 9 && records 10 9; } | accepts "missing 1 " 1152; }
taken_while_shifted() {
    { records 0 9 | from 32 | head_of 512 && records 9 8 | from 32 | head_of 448; } |
        accepts "first 1 last 16 missing 1 " 960
}

others_between() { { records 0 9 && records 40 9; } | accepts "missing 31 " 1152 -o; }
others_between_while_shifted() {
    { records 0 9 | from 32 && records 40 9 | head_of 544; } | accepts "missing 31 " 1088 -o
}
taken_over() {
    { records 0 8 && seed=9 records 0 8; } | accepts "seed 0x9 first 0 last 7 missing 0" 1024 -n 9
}
taken_over_by_thread_while_shifted() {
    { records 0 9 | from 32 | head_of 512 && seed=9 records 0 9 | from 32 | head_of 512; } |
        accepts "missing 1 " 1024 -n 9
}
taken_over_while_shifted() {
    { records 0 9 | from 32 && seed=9 records 0 8 | head_of 480; } |
        accepts "seed 0x9 first 1 last 7" 1024 -n 9
}

# --- what no right stream can be ------------------------------------------------------------------

two_missing() { { records 0 9 && records 11 9; } | refuses "2 records missing" 1152; }
one_missing_twice() {
    { records 0 9 && records 10 9 && records 20 9; } | refuses "2 records missing" 1728
}
repeated() { { records 0 9 && records 8 9; } | refuses "record 8 came again" 1152; }
repeated_later() { { records 0 9 && records 2 1; } | refuses "record 2 came again" 640; }
swapped() { { records 0 8 && records 9 1 && records 8 1; } | refuses "came again" 640; }
torn() {
    { records 0 8 && records 8 1 | head_of 32 && records 9 1 | from 32; } |
        refuses "is not what record 8 has" 576
}
slipped() { { records 0 8 && records 8 9 | from 16; } | refuses "is not what" 1024; }
corrupted_at() { # OFFSET
    { records 0 32 | head_of "$1" && printf '\x5a' && records 0 32 | from "$(($1 + 1))"; } |
        refuses "at byte $(($1 / 64 * 64)) of" 2048 -s $seed
}
corrupted_anywhere() {
    local offset
    for ((offset = 640; offset < 704; offset++)); do
        corrupted_at "$offset" || return 1
    done
}
other_seed() { records 0 32 | refuses "no record of the stream" 2048 -s 0x5eee; }
seed_changes() { { records 0 8 && seed=9 records 8 8; } | refuses "not what record 8 has" 1024; }
random_bytes() { head_of 4096 </dev/urandom | refuses "no record of the stream" 4096; }
random_from_the_middle() {
    { records 0 8 && head_of 4096 </dev/urandom; } | refuses "is not what record" 4096
}
zeroes() { head_of 4096 </dev/zero | refuses "no record of the stream" 4096; }
zeroes_from_the_middle() {
    { records 0 8 && head_of 4096 </dev/zero; } | refuses "is not what record" 4096
}
too_short() { records 0 8 | refuses "the stream ends" 1024; }
goes_on_when_it_should_not() { records 0 32 | refuses "the stream ends, at byte 2048" 64 -u; }
going_back_with_others() { { records 9 9 && records 2 9; } | refuses "came again" 1152 -o; }
torn_with_others() {
    { records 0 9 | from 32 && records 40 1 | head_of 24 && records 41 9; } | refuses "is not what" 1088 -o
}
takes_over_too_late() {
    { records 0 8 && seed=9 records 4 8; } | refuses "does not take over" 1024 -n 9
}
never_taken_over() { records 0 16 | refuses "never took over" 1024 -n 9; }
taken_over_and_back() {
    { records 0 8 && seed=9 records 0 8 && records 8 8; } | refuses "is not what" 1536 -n 9
}
taken_over_in_a_torn_record() {
    { records 0 9 | from 32 | head_of 520 && seed=9 records 0 8; } | refuses "" 1024 -n 9
}
empty() { refuses "the stream ends, at byte 0" 64 </dev/null; }
no_device() { ! "$work/rng_check" "$work/none" 64 >"$work/said" && grep -q open "$work/said"; }
odd_length_is_a_usage_error() {
    local status=0
    "$work/rng_check" "$work/stream" 100 2>/dev/null || status=$?
    ((status == 2))
}

# --------------------------------------------------------------------------------------------------

need_packages gcc libc6-dev
compile cc "$here/rng_check.c" "$work/rng_check"
compile cc "$here/rng_stream.c" "$work/rng_stream"
for name in whole_stream known_seed high_indices early_bytes_taken old_early_bytes_taken \
    one_taken_by_thread taken_while_shifted others_between others_between_while_shifted taken_over \
    taken_over_while_shifted taken_over_by_thread_while_shifted; do
    tap_check "accepts: ${name//_/ }" "$name"
done
for name in two_missing one_missing_twice repeated repeated_later swapped torn slipped \
    corrupted_anywhere other_seed seed_changes random_bytes random_from_the_middle zeroes \
    zeroes_from_the_middle too_short goes_on_when_it_should_not going_back_with_others \
    torn_with_others takes_over_too_late never_taken_over taken_over_and_back \
    taken_over_in_a_torn_record empty no_device \
    odd_length_is_a_usage_error; do
    tap_check "refuses: ${name//_/ }" "$name"
done
tap_end || exit
