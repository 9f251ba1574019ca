# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# The devices of a box with Xen, a line each: the word for it, VIRTIO's number as Xen writes it, and what
# its back end, anyhv-WORD-xen, is started with. Sourced by whoever fills the box, and in dom0.

box_devices() {
    cat <<TABLE
rng   4   --simulate=${seed:-1}
blk   2   --image=/tmp/disk.image --serial=disk
test  3f  --features=packed
i2c   22  --simulate=/devices/first.ini --simulate=/devices/second.ini
scmi  20  --platform=/devices/board.conf --agent=first
TABLE
}

# device_number WORD
device_number() { box_devices | awk -v word="$1" '$1 == word { print $2 }'; }

# device_options WORD
device_options() { box_devices | awk -v word="$1" '$1 == word { $1 = $2 = ""; print }'; }
