#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   micro_test.sh BIN_FOLDER
#
# Micro-guests in 16, 32 and 64-bit mode on /dev/kvm read from anyhv-rng-kvm-ioregionfd, checking every
# byte and waiting for every interrupt; hostile ones; some whose memory leaves and comes back; and some
# whose device process is killed. Reports TAP. Without a /dev/kvm that runs them it says SKIP, and why.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=test/guest/image.sh
. "$here/../guest/image.sh"

(($# == 1)) || die "usage: micro_test.sh BIN_FOLDER"
bin=$1 seed=4711
work=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-micro.XXXXXX")
trap 'rm -rf "$work"' EXIT
socket=$work/socket
backend=""

# start_backend OPTION...
start_backend() {
    local tries=200
    rm -f "$socket"
    "${leash[@]}" "$bin/anyhv-rng-kvm-ioregionfd" --socket-path="$socket" "$@" >>"$work/backend.log" 2>&1 &
    backend=$!
    until [[ -S $socket ]]; do
        if ((tries-- == 0)) || ! kill -0 "$backend"; then
            cat "$work/backend.log" && return 1
        fi
        sleep 0.02
    done
}

stop_backend() {
    local status=0
    kill "-$1" "$backend"
    { wait "$backend" || status=$?; } 2>/dev/null
    [[ $1 == KILL || $status == 0 ]] || { echo "the device process ended with $status" && return 1; }
}

# micro BITS OPTION...
micro() {
    timeout 100 "$bin/test/vmm/anyhv-test-vmm" --device="$socket" --micro="$bin/test/vmm/micro$1" --bits="$1" \
        --seed="$seed" "${@:2}" >"$work/report" 2>&1 || { cat "$work/report" "$work/backend.log" && return 1; }
}

# says NAME: the number behind NAME= in the report.
says() { sed -n "s/.* $1=\([0-9]*\).*/\1/p" "$work/report"; }

# reads BITS REQUESTS RING OPTION...: one interrupt for each batch of 16 that was kicked.
reads() {
    local ring=() batches=$((($2 + 15) / 16))
    [[ $3 != packed ]] || ring=(--packed)
    start_backend --simulate="$seed" --features="${3/split/-packed}" || return 1
    micro "$1" --requests="$2" "${ring[@]}" "${@:4}" && stop_backend TERM || return 1
    cat "$work/report"
    [[ $(says requests) == "$2" && $(says batches) == "$batches" && $(says interrupts) == "$batches" ]]
}

hostile() {
    local ring=()
    [[ $2 != packed ]] || ring=(--packed)
    start_backend --simulate="$seed" --features="${2/split/-packed}" || return 1
    micro "$1" --program=hostile "${ring[@]}" "${@:3}" && stop_backend TERM || return 1
    cat "$work/report"
    (($(says accesses) == 1548))
}

# plugs BITS RING OPTION...: memory comes, leaves and comes back, under buffers and under a ring; one request
# of each round is for a buffer that is not there.
plugs() {
    local ring=()
    [[ $2 != packed ]] || ring=(--packed)
    start_backend --simulate="$seed" --features="${2/split/-packed}" || return 1
    micro "$1" --program=plugs --rounds=20 "${ring[@]}" "${@:3}" && stop_backend TERM || return 1
    cat "$work/report"
    (($(says requests) == 100)) && grep -q 'buffer at 0x100000 of 64 bytes is not in memory' "$work/backend.log"
}

# A stream from a pipe that outlives its readers: what a killed process had read and not answered is
# missing, and nothing comes twice.
open_stream() {
    compile cc "$here/../guest/rng/rng_stream.c" "$work/rng_stream"
    rm -f "$work/fifo" && mkfifo "$work/fifo"
    "${leash[@]}" "$work/rng_stream" "$seed" 0 4000000 >"$work/fifo" &
    stream=$!
    exec {fifo}<"$work/fifo"
}

close_stream() {
    kill "$stream" 2>/dev/null
    { wait "$stream" || true; } 2>/dev/null
    exec {fifo}<&-
}

# gone OPTION...: half a second without a device process, under a guest that looks at a register.
gone() {
    local guest status=0
    open_stream
    start_backend --source="$work/fifo" || return 1
    micro 64 --program=watches --rounds=1 --gaps=16 "$@" &
    guest=$!
    sleep 0.3
    stop_backend KILL
    sleep 0.5
    start_backend --source="$work/fifo" || status=1
    wait "$guest" || status=1
    stop_backend TERM || status=1
    close_stream
    cat "$work/report"
    ((status == 0)) && [[ $(says requests) == 32 && $(says revivals) == 1 ]]
}

gone_ones() { gone --ones && (($(says ones) > 100)); }
gone_waits() { gone && (($(says ones) == 0 && $(says longest_ms) >= 200)); }

# killed RING: up to the 16 requests of a batch are missing each time.
killed() {
    local ring=() kills=15 guest status=0
    [[ $1 != packed ]] || ring=(--packed)
    open_stream
    start_backend --source="$work/fifo" --features="${1/split/-packed}" || return 1
    micro 64 --requests=100000 --gaps=$((16 * kills)) "${ring[@]}" &
    guest=$!
    sleep 0.3
    for ((i = 0; i < kills; i++)); do
        sleep 0.0$((RANDOM % 90 + 10))
        stop_backend KILL
        start_backend --source="$work/fifo" --features="${1/split/-packed}" || status=1
    done
    wait "$guest" || status=1
    stop_backend TERM || status=1
    close_stream
    cat "$work/report"
    ((status == 0)) && [[ $(says requests) == 100000 ]] && (($(says revivals) >= kills / 3))
}

# What keeps us from it; nothing if nothing does.
obstacle() {
    if [[ ! -e /dev/kvm ]]; then
        echo "there is no /dev/kvm"
    elif [[ ! -r /dev/kvm || ! -w /dev/kvm ]]; then
        echo "/dev/kvm is not ours to use"
    elif [[ ! -x $bin/test/vmm/anyhv-test-vmm ]]; then
        echo "the micro-guests are built on x86_64 only"
    fi
}

checks=(
    "64 bits, split, 100000 requests|reads 64 100000 split"
    "64 bits, packed, 100000 requests|reads 64 100000 packed"
    "64 bits, a level that is resampled, the other layout|reads 64 2000 split --level --info"
    "64 bits, posted kicks|reads 64 2000 packed --posted"
    "32 bits, split|reads 32 100 split"
    "32 bits, packed, a level that is resampled|reads 32 100 packed --level"
    "16 bits, split|reads 16 100 split"
    "16 bits, packed, the other layout|reads 16 100 packed --info"
    "64 bits, hostile, split|hostile 64 split"
    "64 bits, hostile, packed, posted kicks|hostile 64 packed --posted"
    "64 bits, memory leaves and comes back, split|plugs 64 split"
    "64 bits, memory leaves and comes back, packed, posted kicks|plugs 64 packed --posted"
    "32 bits, memory leaves and comes back|plugs 32 split"
    "no device process: a register reads as ones|gone_ones"
    "no device process: who reads a register waits|gone_waits"
    "device process killed while 64 bits read, split|killed split"
    "device process killed while 64 bits read, packed|killed packed"
)

reason=$(obstacle)
for check in "${checks[@]}"; do
    name=${check%%|*}
    read -ra command <<<"${check#*|}"
    if [[ $reason ]]; then
        tap_skip "$name" "$reason"
        continue
    fi
    : >"$work/report"
    : >"$work/backend.log"
    begin=${EPOCHREALTIME//[.,]/}
    tap_check "$name" "${command[@]}"
    tap_note "$(tail -n 1 "$work/report") ms=$(((${EPOCHREALTIME//[.,]/} - begin) / 1000))"
done
tap_end
