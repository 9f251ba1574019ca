#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   restart_test.sh PROGRAMS     (the folder of the back-end programs)
#
# A back end is killed again and again, and at times told to end, while a guest writes and reads its disk
# (an unmodified Debian kernel in QEMU, whose front end connects anew); the next one takes over what was
# in flight. Nothing is lost, done too late or done elsewhere, and the guest sees no error. Reports TAP;
# docs/restart.md has the background. The logs are in $ANYHV_BUILD/guest-logs/restart.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=test/guest/lib.sh
. "$here/lib.sh"
# shellcheck source=test/guest/blk/judge.sh
. "$here/blk/judge.sh"

(($# == 1)) || die "usage: restart_test.sh PROGRAMS"
blk=$1/anyhv-blk-vhost-user
ends=9

# The disk is slow and answers out of order, so there is always something in flight.
start_disk() { # RING
    backend disk "$blk" --image="$work/disk.image" --serial=disk --delay-us=4000 --features="$1"
}

# round_comes N: the guest gets there; one that takes a hundred times as long as it should does not.
round_comes() {
    local give_up=$((SECONDS + 20))
    until grep -q "^blk-check: round $1\b" "$log" 2>/dev/null; do
        ((SECONDS < give_up)) || return 1
        sleep 0.02
    done
}

# boot_and_end ARCH RING_FEATURE: each time the guest has got on, the back end ends and another one is
# started.
boot_and_end() {
    local guest_pid round
    rm -f "$work/disk.image"
    truncate -s "$blk_size" "$work/disk.image"
    start_disk "$2"
    boot --arch "$1" --reconnect-ms 50 --set "blk.rounds=$((ends + 1))" \
        --scenario blk.features,blk.sum,blk.churn,blk.sum &
    guest_pid=$!
    for ((round = 1; round <= ends; round++)); do
        if ! round_comes "$round"; then
            kill "$guest_pid"
            break
        fi
        if ((round % 3)); then kill_backend disk; else stop_backend disk; fi
        start_disk "$2"
    done
    wait "$guest_pid" || true
    end_backends
    tap_note "$(mark blk.churn || true)"
}

survived() { # RING
    [[ $(grep -c 'vu.connected' "$logs/$case_name.disk.log") == $((ends + 1)) ]] &&
        has_marks blk.churn "done" && ring_is blk.features "$1" && blk_sums 1 &&
        ! grep -q 'I/O error' "$log"
}

if ! have apt-get && [[ ! -d $(kernel_folder x86_64) || ! -d $(kernel_folder aarch64) ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get QEMU and kernels"
    exit 0
fi
guests restart "$here/qemu.sh" boot --timeout 60
"${leash[@]}" "$here/qemu.sh" fetch --arch x86_64
"${leash[@]}" "$here/qemu.sh" fetch --arch aarch64

guest_case split
boot_and_end x86_64 -packed
tap_check "blk, split: $ends back ends gone with requests in flight" says survived split

guest_case packed
boot_and_end x86_64 packed
tap_check "blk, packed: $ends back ends gone with requests in flight" says survived packed

# The driver's rings are longer there than QEMU knows when it asks for the in-flight area.
guest_case mmio
boot_and_end aarch64 packed
tap_check "blk on virtio-mmio, packed: $ends back ends gone" says survived packed

tap_empty "the back ends that were told to ended cleanly" echo -n "$backend_trouble"
tap_end || exit
