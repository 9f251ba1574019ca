# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What a guest does without a device.
#
#   guest.shell   somebody looks around by hand
#   guest.hang    never ends, and keeps the machine busy

guest_shell() {
    echo
    echo "Linux $(uname -r), a guest. \`exit\` ends it. Its virtio devices:"
    for device in /sys/bus/virtio/devices/*; do
        driver=$(readlink "$device/driver")
        echo "  ${device##*/}: id $(cat "$device/device"), driver ${driver##*/}"
    done
    PS1='guest# ' setsid cttyhack sh
    return 0
}

guest_hang() {
    dd if=/dev/zero of=/dev/null &
    while :; do :; done
}
