#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   guest_test.sh ARCH BACKEND_PROGRAM     (ARCH: x86_64 or aarch64)
#
# An unmodified Debian kernel in QEMU reads its /dev/hwrng from the back end. Reports TAP. There are
# three boots, because they are what costs time:
#
#   packed   read, then take the driver away from the device in mid-read and give it back
#   split    read, then restart the machine and read again
#   broken   read a stream with one wrong bit: proves that the guest would have noticed
#
# The logs are in $ANYHV_BUILD/guest-logs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=test/guest/image.sh
. "$here/image.sh"

(($# == 2)) || die "usage: guest_test.sh ARCH BACKEND_PROGRAM"
arch=$1 program=$2
seed=0x616e79 bytes=1048576 timeout=45
logs=${ANYHV_BUILD:-$(anyhv_root)/build}/guest-logs/$arch
work=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-guest.XXXXXX")
trap 'rm -rf "$work"' EXIT
socket=$work/backend.sock
backend_pid="" backend_trouble=""

# --- the back end ---------------------------------------------------------------------------------

# The back end's command line. All guests are offered both rings or the split one alone, and Linux
# takes the packed one if it can.
declare -A ring_features=([packed]=packed [split]=-packed)
backend=("$program" --socket-path="$socket" --simulate="$seed")

# start_backend RING LOG
start_backend() {
    local tries=100
    backend_trouble=""
    rm -f "$socket"
    "${leash[@]}" "${backend[@]}" --features="${ring_features[$1]}" >"$2" 2>&1 &
    backend_pid=$!
    until [[ -S $socket ]]; do
        ((tries-- > 0)) || { backend_trouble="it never opened its socket" && break; }
        kill -0 "$backend_pid" 2>/dev/null || break
        sleep 0.05
    done
}

# Ends the back end, and notes it if that needs force or ends with an error.
stop_backend() {
    local status=0 tries=100
    kill -TERM "$backend_pid" 2>/dev/null || true
    while kill -0 "$backend_pid" 2>/dev/null; do
        ((tries-- > 0)) || kill -KILL "$backend_pid"
        sleep 0.05
    done
    wait "$backend_pid" || status=$?
    ((status == 0 || status == 143)) || backend_trouble="it ended with status $status"
}

# --- what the log of a guest must say -------------------------------------------------------------

# mark LOG NAME: what the guest said when it first got to NAME; nothing if it did not.
mark() { tr -d '\r' <"$1" | sed -n "s/^ANYHV-MARK $2 *//p" | sed -n 1p; }

has_marks() {
    local log=$1 name
    for name in "${@:2}"; do
        grep -q "^ANYHV-MARK $name\b" "$log" || return 1
    done
}

# ring_is LOG RING: feature bit 32 is VIRTIO_F_VERSION_1, bit 34 VIRTIO_F_RING_PACKED.
ring_is() {
    local bits packed=0
    [[ $2 == packed ]] && packed=1
    bits=$(mark "$1" features)
    bits=${bits#bits=}
    [[ ${bits:32:1} == 1 && ${bits:34:1} == "$packed" ]]
}

# one_stream LOG READS: that many reads were right and continue one stream from its first record.
# What may be lost before a read is bounded: one record in the buffer that is with the device when
# it is reset; the 96 bytes that Linux takes when a driver registers (2 records are incomplete
# then); and those of its hwrng thread, one for each second that has begun since the read before
# (or since the restart of the guest).
one_stream() {
    tr -d '\r' <"$1" | awk -v reads="$2" '
        /^rng-check: ok / {
            for (i = 1; i < NF; i++)
                value[$i] = $(i + 1)
            idle = value["began_ms"] - ended
            if (idle < 0)
                idle = value["began_ms"]
            lost = value["first"] - next_index
            if (lost < 0 || lost > 3 + 1 + int(idle / 1000))
                exit wrong = 1
            next_index = value["last"] + 1
            ended = value["began_ms"] + value["took_ms"]
            reads--
        }
        END { exit wrong || reads != 0 }'
}

read_on() { has_marks "$1" read && ring_is "$1" "$2"; }
rebound() { has_marks "$1" read unbound rebound "done" && one_stream "$1" 3; }
restarted() { has_marks "$1" read rebooting "done" && one_stream "$1" 2; }

# log_says LOG TEST [ARGUMENT...]: the function TEST holds; otherwise shows how the logs end.
log_says() {
    local log=$1 file
    "$2" "$log" "${@:3}" && return
    for file in "$log" "${log%.log}.backend.log"; do
        [[ ! -e $file ]] || { echo "--- $file" && tail -n 20 "$file" | tr -cd '\n\t -~'; }
    done
    return 1
}

noticed() {
    ! has_marks "$1" read && has_marks "$1" "failed where=read" &&
        grep -q 'rng-check: FAILED .* is not what record 1000 has' "$1"
}

# --- the boots ------------------------------------------------------------------------------------

# boot LOG OPTION...: whether it went well is read from the log.
boot() {
    local status=0
    "${leash[@]}" "$here/qemu.sh" boot --arch "$arch" --seed "$seed" --bytes "$bytes" \
        --timeout "$timeout" --log "$@" 2>>"$1" || status=$?
    ((status <= 1)) || die "qemu.sh ended with status $status"
}

# boot_with_backend RING SCENARIOS
boot_with_backend() {
    local ring=$1 log=$logs/$1.log
    start_backend "$ring" "${log%.log}.backend.log"
    boot "$log" --socket "$socket" --scenario "$2"
    stop_backend
    timings "$log"
    backend_trouble=${backend_trouble:+with a $ring ring $backend_trouble. }
}

timings() {
    local boot read
    boot=$(mark "$1" boot) read=$(mark "$1" read)
    [[ $boot && $read ]] || return 0
    tap_note "$(awk -v marks="$boot $read" 'BEGIN {
        split(marks, word, /[= ]/)
        printf "bytes=%d boot_s=%.2f read_s=%.2f", word[6], word[2] / 1000, word[8] / 1000
    }')"
}

# One bit of record 1000 is wrong. The stream is longer than what the guest reads, because QEMU
# spins at the end of the file.
make_broken_stream() {
    local at=$((1000 * 64 + 20)) byte
    compile cc "$here/rng_stream.c" "$work/rng_stream"
    "$work/rng_stream" "$seed" 0 $((2 * bytes / 64)) >"$1"
    byte=$(od -An -tu1 -j "$at" -N 1 "$1")
    printf '%b' "\\x$(printf %02x $((byte ^ 1)))" |
        dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

# --- the test -------------------------------------------------------------------------------------

if ! have apt-get && [[ ! -d $(kernel_folder "$arch") ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get QEMU and a kernel"
    exit 0
fi
[[ -x $program ]] || die "no back end to test: $program"
mkdir -p "$logs"
rm -f "$logs"/*.log
"${leash[@]}" "$here/qemu.sh" fetch --arch "$arch"

boot_with_backend packed features,read,rebind
trouble=$backend_trouble
# Proves INIT-SEQUENCE, RNG-BYTES.
tap_check "read-packed" log_says "$logs/packed.log" read_on packed
# Proves FEATURES-AGAIN.
tap_check "rebind while reading" log_says "$logs/packed.log" rebound

boot_with_backend split features,read,reboot
trouble+=$backend_trouble
# Proves INIT-SEQUENCE, RNG-BYTES.
tap_check "read-split" log_says "$logs/split.log" read_on split
tap_check "reboot" log_says "$logs/split.log" restarted

tap_empty "the back end ends cleanly" echo -n "$trouble"

make_broken_stream "$work/stream"
boot "$logs/broken.log" --source-file "$work/stream" --scenario read
tap_check "guest check notices a corrupted record" log_says "$logs/broken.log" noticed

tap_end || exit
