# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What guests do with disks, and what their logs and the image must say then. Source it after lib.sh.
# shellcheck disable=SC2154 # which assigns what is said not to be

blk_seed=0xd15c blk_size=4M

# What a guest of any kind goes through.
# shellcheck disable=SC2034
blk_scenarios=blk.features,blk.sum,blk.readonly,blk.fill,blk.rebind,blk.zero,blk.files,blk.sum

guest_settings+=(--set "blk.seed=$blk_seed" --set blk.disk=disk --set blk.readonly=readonly)

# disk_backends RING PROGRAM: an empty disk, and a full one that cannot be written.
disk_backends() {
    compile cc "$here_guest/blk/blk_check.c" "$work/blk_check"
    rm -f "$work"/*.image
    truncate -s "$blk_size" "$work/disk.image" "$work/readonly.image"
    "$work/blk_check" fill "$work/readonly.image" "$blk_seed"
    backend disk "$2" --image="$work/disk.image" --serial=disk --features="$1"
    backend readonly "$2" --image="$work/readonly.image" --serial=readonly --read-only --features="$1"
}

checksum() { sha256sum <"$1" | cut -d ' ' -f 1; }

# blk_sums BOOTS [SUM]: an empty disk at first, later what the boot before left, and on the host (where the
# checksum is SUM, unless it is that of our own image) what the last one left.
blk_sums() {
    local sums i
    mapfile -t sums < <(tr -d '\r' <"$log" | sed -n 's/^ANYHV-MARK blk.sum sha256=//p')
    sums=("$(truncate -s "$blk_size" "$work/empty" && checksum "$work/empty")"
        "${sums[@]}" "${2:-$(checksum "$work/disk.image")}")
    ((${#sums[@]} == 2 * $1 + 2)) || return 1
    for ((i = 0; i < ${#sums[@]}; i += 2)); do
        [[ ${sums[i]} == "${sums[i + 1]}" ]] || return 1
    done
}

# blk_went_through RING BOOTS
blk_went_through() {
    has_marks blk.features blk.readonly blk.fill blk.unbound blk.rebound blk.zero blk.files &&
        ring_is blk.features "$1" &&
        [[ $(value blk.features sectors) == 8192 && $(value blk.features cache) == write-back ]] &&
        blk_sums "$2" && "$work/blk_check" verify "$work/readonly.image" "$blk_seed" &&
        ! grep -q 'I/O error' "$log"
}
