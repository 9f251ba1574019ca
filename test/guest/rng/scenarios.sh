# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What a guest does with the entropy device. Settings: rng.seed, rng.bytes; rng.options, of
# rng_check, with ':' for a space.
#
#   rng.features   says what the driver has negotiated
#   rng.read       reads, and proves the bytes
#   rng.rebind     takes the driver away from a device that is being read, gives it back, and reads on
#   rng.reboot     restarts the machine, once

rng_seed=$(setting rng.seed 1)
rng_bytes=$(setting rng.bytes 1048576)
rng_options=$(setting rng.options "" | tr ':' ' ')

# read_and_check MARK: reads from the device and proves the bytes; the report is in /tmp/report.
# That takes less than a second, unless no bytes come.
read_and_check() {
    begin=$(now_ms)
    # shellcheck disable=SC2086 # options are words
    limited rng_check -s "$rng_seed" $rng_options /dev/hwrng "$rng_bytes" >/tmp/report
    status=$?
    end=$(now_ms)
    cat /tmp/report
    [ $status -eq 0 ] || fail "status=$status ms=$((end - begin))"
    mark "$1" "bytes=$rng_bytes ms=$((end - begin))"
}

rng_features() {
    wait_for virtio-rng bound_device virtio_rng
    mark rng.features "bits=$(features "$(bound_device virtio_rng)")"
}

rng_read() {
    wait_for virtio-rng bound_device virtio_rng
    read_and_check rng.read
    rng_first=$(sed -n 's/.* first \([0-9]*\) .*/\1/p' /tmp/report)
}

rng_rebind() {
    wait_for virtio-rng bound_device virtio_rng
    device=$(bound_device virtio_rng)
    rng_check -s "$rng_seed" -u /dev/hwrng 64 >/tmp/reader 2>&1 &
    reader=$!
    usleep 300000
    kill -0 $reader || fail reason=the-reader-ended-early
    unbind virtio_rng "$device"
    wait $reader
    status=$?
    cat /tmp/reader
    [ $status -eq 0 ] || fail reason=the-reader-saw-no-end
    mark rng.unbound
    bind virtio_rng "$device"
    read_and_check rng.rebound
}

# The device counts its records across a restart of the guest, so the first boot is the one that read
# the beginning of the stream.
rng_reboot() {
    if [ "$rng_first" -lt 64 ]; then
        mark rng.rebooting "ms=$(now_ms)"
        reboot -f
        sleep 60
    fi
}
