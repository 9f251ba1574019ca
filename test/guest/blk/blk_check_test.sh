#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Does blk_check accept a right disk, and nothing else? Reports TAP. Here the disks are files; no guest
# is needed.
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

work=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-blk-check.XXXXXX")
trap 'rm -rf "$work"' EXIT
disk=$work/disk
seed=0xd15c

new_disk() { rm -f "$disk" && truncate -s 1M "$disk"; }
full_disk() { new_disk && "$work/blk_check" fill "$disk" "$seed"; }

# sectors FROM TO COUNT: copies sectors of the disk to another place.
sectors() { dd if="$disk" of="$disk" bs=512 skip="$1" seek="$2" count="$3" conv=notrunc status=none; }

# refuses TEXT COMMAND...: blk_check ends with 1, and TEXT is among the words for why.
refuses() {
    local text=$1 output status=0
    output=$("$work/blk_check" "${@:2}") || status=$?
    echo "$output"
    [[ $status == 1 && $output == "blk-check: FAILED "*"$text"* ]]
}

refuses_verify() { refuses "$1" verify "$disk" "$seed"; } # TEXT

# refuses_churn TEXT COMMAND...: the same for what the command does to a disk that is in use.
refuses_churn() {
    local text=$1 said=$work/said status=0 churn
    : >"$said"
    "$work/blk_check" churn "$disk" "$seed" 20000 >"$said" &
    churn=$!
    until grep -q 'round 3\|FAILED' "$said"; do sleep 0.01; done
    "${@:2}"
    wait "$churn" || status=$?
    grep FAILED "$said"
    [[ $status == 1 ]] && grep -q "FAILED .*$text" "$said"
}

# --- right ----------------------------------------------------------------------------------------

full() { full_disk && "$work/blk_check" verify "$disk" "$seed"; }
odd_size() {
    rm -f "$disk" && truncate -s 12345 "$disk"
    "$work/blk_check" fill "$disk" "$seed" && "$work/blk_check" verify "$disk" "$seed"
}
churned() {
    new_disk
    [[ $("$work/blk_check" churn "$disk" "$seed" 2) == *"round 1"*"round 2"*"ok writes="* ]]
}
unmapped() {
    full_disk && "$work/blk_check" unmap "$disk" 4096 8192
    cmp <(head -c 8192 /dev/zero) <(tail -c +4097 "$disk" | head -c 8192)
}

# --- wrong ----------------------------------------------------------------------------------------

empty() { new_disk && refuses_verify "sector 0 of $disk is wrong from byte 0"; }
other_seed() { full_disk && refuses "with seed 0xd15c, not its own 1 with seed 0x1" verify "$disk" 1; }
misplaced() {
    full_disk && sectors 9 700 1
    refuses_verify "sector 700 of $disk is generation 1 of sector 9 "
}
lost() {
    full_disk && dd if=/dev/zero of="$disk" bs=512 seek=2047 count=1 conv=notrunc status=none
    refuses_verify "sector 2047 of $disk is wrong from byte 0"
}
torn() {
    full_disk && dd if=/dev/zero of="$disk" bs=1 seek=$((99 * 512 + 300)) count=100 conv=notrunc status=none
    refuses_verify "sector 99 of $disk is wrong from byte 300 on"
}
outdated() {
    full_disk && cp "$disk" "$disk.before"
    refuses_churn " is generation 1 of sector " \
        dd if="$disk.before" of="$disk" bs=64k conv=notrunc status=none
}
zeroed_meanwhile() {
    new_disk
    refuses_churn " is wrong from byte 0 on" \
        dd if=/dev/zero of="$disk" bs=64k count=16 conv=notrunc status=none
}
short() { new_disk && refuses_churn " of $disk" truncate -s 512 "$disk"; }
no_disk() { refuses "cannot open" verify "$disk.none" "$seed"; }
no_sectors() { : >"$disk" && refuses "has no sectors" verify "$disk" "$seed"; }
no_zeroes() { full_disk && refuses "zeroes on $disk" zero "$disk" 0 512; } # a file is no disk
usage_error() {
    local status=0
    "$work/blk_check" mangle "$disk" "$seed" 2>"$work/said" || status=$?
    ((status == 2)) && grep -q usage: "$work/said"
}

# --------------------------------------------------------------------------------------------------

need_packages gcc libc6-dev
compile cc "$here/blk_check.c" "$work/blk_check"
for name in full odd_size churned unmapped; do
    tap_check "accepts: ${name//_/ }" "$name"
done
for name in empty other_seed misplaced lost torn outdated zeroed_meanwhile short no_disk no_sectors \
    no_zeroes usage_error; do
    tap_check "refuses: ${name//_/ }" "$name"
done
tap_end || exit
