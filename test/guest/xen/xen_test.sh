#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   xen_test.sh ARCH     (aarch64 or x86_64)
#
# An unmodified Debian kernel in a guest of a real Xen, on an emulated machine, uses devices over the Xen
# module; the guest and the back end meet what life has. Reports TAP. There are few boots of the box, each
# with some scenarios of dom0_init:
#
#   life    serve; aarch64: restart of the guest, two guests at once, one that breaks the rules;
#           x86_64: a device that only the command line knows
#   death   destroy, and the back end killed; aarch64: pause, and the back end ended, restricted
#   devices aarch64: a disk beside the entropy device; the conformance suite over the test device
#   chips   aarch64: I2C adapter and SCMI, with kernels of Debian's that have more drivers
#   grants  aarch64: a guest, with a kernel of ours, that shows its memory by grants
#
# The logs are in $ANYHV_BUILD/guest-logs/xen-ARCH: one of each box, and one of each that speaks in it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../../scripts/lib/tap.sh"
# shellcheck source=test/guest/lib.sh
. "$here/../lib.sh"

(($# == 1)) || die "usage: xen_test.sh ARCH"
arch=$1
rng_bytes=65536 # an access to a register takes milliseconds here
# shellcheck source=test/guest/rng/judge.sh
. "$here/../rng/judge.sh"
# shellcheck source=test/guest/i2c/judge.sh
. "$here/../i2c/judge.sh"
# shellcheck source=test/guest/scmi/judge.sh
. "$here/../scmi/judge.sh"
# shellcheck source=test/guest/xen/judge.sh
. "$here/judge.sh"

if ! have apt-get || [[ $(uname -m) != x86_64 ]]; then
    echo "1..0 # SKIP the box is put together from Debian's packages on an x86_64 machine"
    exit 0
fi
guests "xen-$arch" "$here/box.sh" boot --arch "$arch" --timeout 600
"${leash[@]}" "$here/box.sh" build --arch "$arch" >&2

test_aarch64() {
    box life serve,reboot,two,hostile
    tap_check "a guest reads 64 KiB of records" says of one reads split
    tap_check "a guest that restarts finds its device again" says of again rng_restarted 2
    tap_check "one process serves two guests at once, packed" says both_read left right packed
    tap_check "a guest that breaks every rule gets its device back" says of bad misused
    tap_check "while another reads on" says of bystander reads split
    tap_empty "the back ends end cleanly, Xen has nothing to complain of" complaints

    box death destroy,pause,kill,term,alone
    tap_check "a guest destroyed in mid-read leaves no zombie" says destroyed lost
    tap_check "and the next one is served" says of next reads split
    tap_check "a guest paused in mid-read reads on" says of paused reads split
    tap_check "back end killed in mid-read: its successor goes on, each request is answered once" \
        says replaced KILL 137
    tap_check "back end ended in mid-read: the same" says replaced TERM 0
    tap_check "a restricted process serves its guest, and ends with it" says alone alone
    tap_empty "the back ends end cleanly there, too" complaints

    box devices disk,conformance
    tap_check "a disk beside it: both sides know the same content" says filled
    tap_check "the conformance suite in a guest" says conforms
    of conformance left_out
    tap_empty "these back ends end cleanly, too" complaints

    box chips i2c,scmi
    tap_check "i2cdetect finds what is on dom0's buses" says of chips i2c_negotiated split
    tap_check "an EEPROM is written and read" says of chips has_marks i2c.eeprom
    tap_check "thermometers are read, and a limit is written" says of chips has_marks i2c.sensor "done"
    tap_check "Linux lists the SCMI platform, with an event queue" says of agent scmi_negotiated
    tap_check "its clocks run at the rates of its device tree" says of agent scmi_clocks 1000000000 50000000
    tap_check "hwmon: the temperature follows the clock" says of agent scmi_temperature 50000
    tap_check "a consumer sets a clock, and hears of a trip point both ways" \
        says of agent has_marks scmi.consumer "done"
    tap_check "the program has seen the reset line" says scmi_reset_twice
    tap_empty "their back ends end cleanly" complaints

    box grants grants
    tap_check "a guest shows its memory by grants, invented ones are refused" says granting
    tap_check "and reads on when the back end is killed" says replaced KILL 137 -grants
    tap_check "a restricted process, too" says alone alone-grants
    tap_empty "the back end ends cleanly, with grants" complaints
}

test_x86_64() {
    box life serve,by_hand
    tap_check "an HVM guest reads 64 KiB of records" says of one reads split
    tap_check "and one whose device nobody but the command line knows" says by_hand
    tap_empty "the back ends end cleanly, Xen has nothing to complain of" complaints

    box death kill,destroy
    tap_check "back end killed in mid-read: its successor goes on, each request is answered once" \
        says replaced KILL 137
    tap_check "a guest destroyed in mid-read leaves no zombie" says destroyed lost
    tap_check "and the next one is served" says of next reads split
    tap_empty "the back ends end cleanly there, too" complaints
}

"test_$arch"
tap_end || exit
