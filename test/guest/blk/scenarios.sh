# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What a guest does with disks. Settings: blk.seed; blk.disk and blk.readonly, the serials of the disk
# to use and of one that is for reading only.
#
#   blk.features   says what the driver has negotiated and knows of the disk
#   blk.fill       writes the whole disk past the page cache, and proves what it reads back
#   blk.rebind     takes the driver away from a disk that is being read, and gives it back
#   blk.zero       discards and zeroes parts; the rest stays
#   blk.files      a file system, and what is in a file after it was mounted anew
#   blk.readonly   a disk that was filled by the host can be read, and not be written
#   blk.churn      for blk.rounds, writes and reads all the time
#   blk.sum        the disk's checksum, for comparison with the host's

blk_seed=$(setting blk.seed 1)
blk_serial=$(setting blk.disk anyhv-blk)

# disk SERIAL: its name, once there is a disk that is called so.
disk() {
    for file in /sys/block/vd*/serial; do
        [ "$(cat "$file")" = "$1" ] && basename "${file%/serial}" && return
    done
    return 1
}

wait_for_disk() {
    wait_for "disk-$1" disk "$1"
    name=$(disk "$1")
    device=$(basename "$(readlink "/sys/block/$name/device")")
}

# What the page cache has of disks is forgotten.
drop_caches() { sync && echo 3 >/proc/sys/vm/drop_caches; }

# check COMMAND [ARGUMENT...]: has blk_check do this with the disk.
check() {
    command=$1
    shift
    limited blk_check "$command" "/dev/$name" "$@" || fail "check=$command status=$?"
}

# How often the disk was flushed.
flushes() { awk '{ print $16 }' "/sys/block/$name/stat"; }

blk_features() {
    wait_for_disk "$blk_serial"
    mark blk.features "bits=$(features "$device") serial=$blk_serial" \
        "sectors=$(cat "/sys/block/$name/size") cache=$(tr ' ' - <"/sys/block/$name/queue/write_cache")"
}

blk_fill() {
    wait_for_disk "$blk_serial"
    begin=$(now_ms) flushed=$(flushes)
    check fill "$blk_seed"
    [ "$(flushes)" -gt "$flushed" ] || fail reason=no-flush
    drop_caches
    check verify "$blk_seed"
    mark blk.fill "ms=$(($(now_ms) - begin))"
}

blk_rebind() {
    wait_for_disk "$blk_serial"
    while dd if="/dev/$name" of=/dev/null bs=64k iflag=direct 2>/tmp/reader; do :; done &
    reader=$!
    usleep 300000
    kill -0 $reader || fail reason=the-reader-ended-early
    unbind virtio_blk "$device"
    wait $reader
    [ ! -e "/dev/$name" ] || fail reason=the-disk-is-still-there
    mark blk.unbound
    bind virtio_blk "$device"
    wait_for_disk "$blk_serial"
    check verify "$blk_seed"
    mark blk.rebound
}

# zeroed KIB COUNT: so many KiB of the copy from there on become zero.
zeroed() { dd if=/dev/zero of=/tmp/copy bs=1k seek="$1" count="$2" conv=notrunc status=none; }

blk_zero() {
    wait_for_disk "$blk_serial"
    cp "/dev/$name" /tmp/copy
    blkdiscard -o 65536 -l 131072 "/dev/$name" || fail reason=discard
    zeroed 64 128
    check zero 524288 66560
    zeroed 512 65
    check unmap 1048576 4096
    zeroed 1024 4
    drop_caches
    cmp "/dev/$name" /tmp/copy || fail reason=not-what-it-should-be
    rm /tmp/copy
    mark blk.zero
}

blk_files() {
    wait_for_disk "$blk_serial"
    mkdir -p /disk
    mke2fs "/dev/$name" >/tmp/mke2fs || fail reason=mke2fs
    mount -t ext4 "/dev/$name" /disk || fail reason=mount
    cp /bin/busybox /disk || fail reason=write
    umount /disk
    drop_caches
    mount -t ext4 "/dev/$name" /disk || fail reason=mount-again
    cmp /bin/busybox /disk/busybox || fail reason=read
    umount /disk
    mark blk.files
}

blk_readonly() {
    wait_for_disk "$(setting blk.readonly readonly)"
    [ "$(cat "/sys/block/$name/ro")" = 1 ] || fail reason=not-read-only
    check verify "$blk_seed"
    ! dd if=/dev/zero of="/dev/$name" bs=512 count=1 conv=notrunc 2>/tmp/refused ||
        fail reason=written
    check verify "$blk_seed"
    mark blk.readonly
}

# What it says goes to the console at once: the host waits for the rounds.
blk_churn() {
    wait_for_disk "$blk_serial"
    blk_check churn "/dev/$name" "$blk_seed" "$(setting blk.rounds 3)" | tee /tmp/report
    grep -q '^blk-check: ok' /tmp/report || fail
    mark blk.churn "$(sed -n 's/^blk-check: ok //p' /tmp/report)"
}

blk_sum() {
    wait_for_disk "$blk_serial"
    drop_caches
    mark blk.sum "sha256=$(sha256sum "/dev/$name" | cut -d ' ' -f 1)"
}
