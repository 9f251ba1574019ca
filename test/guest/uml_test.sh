#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   uml_test.sh BACKEND_PROGRAM
#
# Linux as a plain process (see uml.sh) reads its /dev/hwrng from the back end, half a second each
# time. Reports TAP.
#
#   packed   read, then take the driver away from the device in mid-read and give it back
#   split    the same, then restart the kernel and all of it again
#   broken   read a stream with one wrong bit: proves that the guest would have noticed
#   hanging  a guest that does not end: it is ended, and no process of it stays
#   shell    scripts/guest
#
# The logs are in $ANYHV_BUILD/guest-logs/uml.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=test/guest/image.sh
. "$here/image.sh"

(($# == 1)) || die "usage: uml_test.sh BACKEND_PROGRAM"
program=$1
seed=0x616e79 bytes=1048576
logs=${ANYHV_BUILD:-$(anyhv_root)/build}/guest-logs/uml
work=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-uml-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
socket=$work/socket
backend="" trouble=""

# --- the back end ---------------------------------------------------------------------------------

# start_backend NAME OPTION...
start_backend() {
    local tries=100
    rm -f "$socket"
    "${leash[@]}" "$program" --socket-path="$socket" "${@:2}" >"$logs/$1.backend.log" 2>&1 &
    backend=$!
    until [[ -S $socket ]]; do
        if ((tries-- == 0)) || ! kill -0 "$backend" 2>/dev/null; then
            die "the back end does not listen, see $logs/$1.backend.log"
        fi
        sleep 0.05
    done
}

# stop_backend NAME: notes if that needs force or is an error.
stop_backend() {
    local status=0 tries=100
    kill -TERM "$backend" 2>/dev/null || true
    while kill -0 "$backend" 2>/dev/null; do
        ((tries-- > 0)) || kill -KILL "$backend"
        sleep 0.05
    done
    wait "$backend" || status=$?
    ((status == 0 || status == 143)) || trouble+="$1: it ended with status $status. "
}

# --- what the log of a guest must say -------------------------------------------------------------

# mark LOG NAME: what the guest said when it first got to NAME; fails if it did not.
mark() { tr -d '\r' <"$1" | grep -m 1 "^ANYHV-MARK $2\b"; }

has_marks() {
    local name
    for name in "${@:2}"; do
        mark "$1" "$name" >/dev/null || return 1
    done
}

# ring_is LOG RING: feature bit 32 is VIRTIO_F_VERSION_1, bit 34 VIRTIO_F_RING_PACKED.
ring_is() {
    local bits packed=0
    [[ $2 == packed ]] && packed=1
    bits=$(mark "$1" features) || return 1
    bits=${bits#*bits=}
    [[ ${bits:32:1} == 1 && ${bits:34:1} == "$packed" ]]
}

# one_stream LOG READS: that many reads were right, and each continues behind the one before.
one_stream() {
    awk -v reads="$2" '
        BEGIN { last = -1 }
        /^rng-check: ok / {
            for (i = 1; i < NF; i++)
                value[$i] = $(i + 1)
            if (value["first"] <= last)
                exit wrong = 1
            last = value["last"]
            reads--
        }
        END { exit wrong || reads != 0 }' "$1"
}

read_on() { has_marks "$1" read && ring_is "$1" "$2"; }
rebound() { has_marks "$1" read unbound rebound "done" && one_stream "$1" "$2"; }
restarted() { [[ $(grep -c '^ANYHV-MARK rebound' "$1") == 2 ]] && rebound "$1" 6; }
noticed() {
    ! has_marks "$1" read && has_marks "$1" "failed where=read" &&
        grep -q 'rng-check: FAILED .* is not what record 1000 has' "$1"
}

# log_says LOG TEST [ARGUMENT...]: the function TEST holds; otherwise shows how the logs end.
log_says() {
    local log=$1 file
    "$2" "$log" "${@:3}" && return
    for file in "$log" "${log%.log}.backend.log"; do
        echo "--- $file" && tail -n 20 "$file" | tr -cd '\n\t -~'
    done
    return 1
}

# --- the boots ------------------------------------------------------------------------------------

# boot NAME OPTION...: whether it went well is read from the log.
boot() {
    "${leash[@]}" "$here/uml.sh" boot --socket "$socket:4" --seed "$seed" --bytes "$bytes" \
        --timeout 30 --log "$logs/$1.log" "${@:2}" 2>"$logs/$1.uml.log" || true
}

# boot_with_backend NAME RING OPTION...
boot_with_backend() {
    local begin=${EPOCHREALTIME//[.,]/}
    start_backend "$1" --simulate="$seed" --features="$2"
    boot "$1" "${@:3}"
    stop_backend "$1"
    timings "$1" $((${EPOCHREALTIME//[.,]/} - begin))
}

# timings NAME MICROSECONDS: how long the guest took for its first stages, and all of it together.
timings() {
    local boot read
    boot=$(mark "$logs/$1.log" boot) && read=$(mark "$logs/$1.log" read) || return 0
    tap_note "$1: $(awk -v boot="${boot#*ms=}" -v read="${read#*ms=}" -v all="$2" 'BEGIN {
        printf "boot_s=%.2f read_s=%.2f all_s=%.2f", boot / 1e3, read / 1e3, all / 1e6
    }')"
}

# Linux 6.1 says of a new packed ring what is true of a split one: base 0, by which the wrap counters
# are 0, although its driver begins with 1. A back end that believes it waits for ever.
packed_base_is_wrong() { ring_is "$1" packed && ! has_marks "$1" read && ! grep -q rng-check "$1"; }

# One bit of record 1000 is wrong. The stream is longer than what the guest reads.
make_broken_stream() {
    local at=$((1000 * 64 + 20)) byte
    compile cc "$here/rng_stream.c" "$work/rng_stream"
    "$work/rng_stream" "$seed" 0 $((2 * bytes / 64)) >"$1"
    byte=$(od -An -tu1 -j "$at" -N 1 "$1")
    printf '%b' "\\x$(printf %02x $((byte ^ 1)))" |
        dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

hanging_init() {
    cat >"$1" <<'INIT'
#!/bin/sh
/bin/busybox dd if=/dev/hwrng of=/dev/null &
while :; do :; done
INIT
}

guest_processes() { pgrep -af "virtio_uml.device=$socket" || true; }

shell_answers() {
    echo "echo sum=\$((6 * 7)); exit" | timeout 30 "$here/../../scripts/guest" uml "$program" \
        --simulate="$seed" >"$logs/shell.log" 2>&1
    grep -q '^sum=42' "$logs/shell.log" && grep -q 'driver virtio_rng' "$logs/shell.log"
}

# --- the test -------------------------------------------------------------------------------------

if [[ $(uname -m) != x86_64 ]]; then
    echo "1..0 # SKIP User-Mode Linux needs an x86_64 machine"
    exit 0
fi
if ! have apt-get && [[ -z $(find "$(anyhv_cache)" -path '*/uml-*/linux' 2>/dev/null) ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get a kernel's sources"
    exit 0
fi
[[ -x $program ]] || die "no back end to test: $program"
mkdir -p "$logs"
rm -f "$logs"/*.log
"${leash[@]}" "$here/uml.sh" build

boot_with_backend packed packed --scenario features,read,rebind --timeout 10
if packed_base_is_wrong "$logs/packed.log"; then
    tap_skip "read-packed" "Linux's virtio_uml gives packed rings a wrong base"
    tap_skip "rebind while reading, packed" "Linux's virtio_uml gives packed rings a wrong base"
else
    tap_check "read-packed" log_says "$logs/packed.log" read_on packed
    tap_check "rebind while reading, packed" log_says "$logs/packed.log" rebound 3
fi

boot_with_backend split -packed --scenario features,read,rebind,reboot
# Proves INIT-SEQUENCE, RNG-BYTES.
tap_check "read-split" log_says "$logs/split.log" read_on split
# Proves FEATURES-AGAIN.
tap_check "rebind while reading, restart" log_says "$logs/split.log" restarted

make_broken_stream "$work/stream"
start_backend broken --source="$work/stream"
boot broken --scenario read
stop_backend broken
tap_check "guest check notices a corrupted record" log_says "$logs/broken.log" noticed

hanging_init "$work/init"
start_backend hanging --simulate="$seed"
boot hanging --init "$work/init" --timeout 1
tap_check "a guest that hangs is ended" grep -q 'no end after 1 s' "$logs/hanging.uml.log"
tap_empty "nothing of it stays" guest_processes
stop_backend hanging

tap_check "scripts/guest gives a shell" shell_answers
tap_empty "the back end ends cleanly" echo -n "$trouble"
tap_end || exit
