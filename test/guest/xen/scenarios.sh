# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What programs in a guest do to a device whose registers they reach through /dev/mem.
#
#   xen.hostile       misuse the entropy device, which then goes back to its driver
#   xen.conformance   put the test device through the conformance suite

# platform_device NUMBER: takes the virtio device of that kind away from the kernel; its name and address
# are in $platform and $address.
platform_device() {
    for device in /sys/bus/virtio/devices/*; do
        [ "$(cat "$device/device")" = "$1" ] || continue
        platform=$(basename "$(readlink -f "$device/..")") # 2000000.virtio
        address=0x${platform%%.*}
        echo "$platform" >/sys/bus/platform/drivers/virtio-mmio/unbind || fail reason=unbind
        return
    done
    fail "reason=no-device-$1"
}

xen_hostile() {
    wait_for virtio-rng bound_device virtio_rng
    platform_device 0x0004
    limited hostile "$address" "$(setting rng.seed 1)" >/tmp/hostile
    status=$?
    cat /tmp/hostile
    [ $status -eq 0 ] || fail "status=$status"
    echo "$platform" >/sys/bus/platform/drivers/virtio-mmio/bind || fail reason=bind
    wait_for virtio-rng bound_device virtio_rng
    mark xen.hostile
}

# What it says goes to the console at once: a test that hangs shall be seen.
xen_conformance() {
    platform_device 0x003f
    {
        CMOCKA_MESSAGE_OUTPUT=TAP limited conformance "$address" 2>&1
        echo "# status $?"
    } | tee /tmp/report
    mark xen.conformance "passed=$(grep -c '^ok ' /tmp/report) failed=$(grep -c '^not ok ' /tmp/report)" \
        "planned=$(sed -n 's/^1\.\.//p' /tmp/report)"
}
