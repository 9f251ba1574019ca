# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the logs of guests say about the entropy device. Source it after lib.sh.
# shellcheck disable=SC2154 # which assigns what is said not to be

rng_seed=0x616e79 rng_bytes=${rng_bytes:-1048576}

guest_settings+=(--set "rng.seed=$rng_seed" --set "rng.bytes=$rng_bytes")

# one_stream READS: that many reads were right and continue one stream from its first record. What may
# be lost before a read is bounded: one record in the buffer that is with the device when it is reset;
# the 96 bytes that Linux takes when a driver registers (2 records are incomplete then); and those of
# its hwrng thread, one for each second that has begun since the read before (in a guest that restarts,
# time begins anew).
one_stream() {
    tr -d '\r' <"$log" | awk -v reads="$1" '
        /^rng-check: ok / {
            for (i = 1; i < NF; i++)
                value[$i] = $(i + 1)
            idle = value["began_ms"] - ended
            lost = value["first"] - next_index
            if (lost < 0 || lost > 3 + 1 + int(idle / 1000))
                wrong = 1
            next_index = value["last"] + 1
            ended = value["began_ms"] + value["took_ms"]
            reads--
        }
        /^ANYHV-MARK rng.rebooting/ {
            sub("ms=", "", $3)
            ended -= $3
        }
        END { exit wrong || reads != 0 }'
}

rng_read_on() { has_marks rng.read && ring_is rng.features "$1"; }
rng_rebound() { has_marks rng.read rng.unbound rng.rebound "done" && one_stream 3; }
rng_restarted() { has_marks rng.read rng.rebooting "done" && one_stream "$1"; } # READS
rng_noticed() {
    ! has_marks rng.read && has_marks failed && [[ $(value failed where) == rng.read ]] &&
        grep -q 'rng-check: FAILED .* is not what record 1000 has' "$log"
}

# rng_timings: how long the guest of this case took for its first stages.
rng_timings() {
    has_marks boot rng.read || return 0
    tap_note "$case_name: boot $(value boot ms) ms, read $(value rng.read ms) ms"
}

# broken_stream: the stream with one bit of record 1000 wrong, more of it than a guest reads.
broken_stream() {
    local stream=$work/stream at=$((1000 * 64 + 20)) byte
    compile cc "$here_guest/rng/rng_stream.c" "$work/rng_stream"
    "$work/rng_stream" "$rng_seed" 0 $((2 * rng_bytes / 64)) >"$stream"
    byte=$(od -An -tu1 -j "$at" -N 1 "$stream")
    printf '%b' "\\x$(printf %02x $((byte ^ 1)))" |
        dd of="$stream" bs=1 seek="$at" conv=notrunc status=none
    echo "$stream"
}
