# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What a guest of Xen does to a device whose registers are memory.
#
#   xen.hostile   takes the entropy device away from its driver, lets a program misuse it, gives it back

xen_hostile() {
    wait_for virtio-rng bound_device virtio_rng
    platform=$(basename "$(readlink -f "/sys/bus/virtio/devices/$(bound_device virtio_rng)/..")")
    echo "$platform" >/sys/bus/platform/drivers/virtio-mmio/unbind || fail reason=unbind
    limited hostile "0x${platform%%.*}" "$(setting rng.seed 1)" >/tmp/hostile # 2000000.virtio
    status=$?
    cat /tmp/hostile
    [ $status -eq 0 ] || fail "status=$status"
    echo "$platform" >/sys/bus/platform/drivers/virtio-mmio/bind || fail reason=bind
    wait_for virtio-rng bound_device virtio_rng
    mark xen.hostile
}
