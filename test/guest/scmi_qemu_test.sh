#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   scmi_qemu_test.sh PROGRAMS     (the folder of the back-end programs)
#
# A stock Debian kernel on arm64, in QEMU, uses the SCMI device through its own drivers: clocks, reset lines,
# hwmon. Reports TAP. The logs are in $ANYHV_BUILD/guest-logs/scmi-aarch64.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/apt.sh
. "$here/../../scripts/lib/apt.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=test/guest/lib.sh
. "$here/lib.sh"
# shellcheck source=test/guest/scmi/judge.sh
. "$here/scmi/judge.sh"
# shellcheck source=test/guest/scmi/parts.sh
. "$here/scmi/parts.sh"

(($# == 1)) || die "usage: scmi_qemu_test.sh PROGRAMS"
scmi=$1/anyhv-scmi-vhost-user

if ! have apt-get && [[ ! -d $(scmi_kernel) ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get QEMU and a kernel"
    exit 0
fi
fetch_scmi
guests scmi-aarch64 "$here/qemu.sh" boot --arch aarch64 --timeout 90 --kernel "$(scmi_kernel)" \
    --modules "$(scmi_modules)"
{ "$here/qemu.sh" tree --arch aarch64 && cat "$here/scmi/agent.dtsi"; } | dtc -q -I dts -O dtb >"$work/tree.dtb"

guest_case one
backend scmi "$scmi" --platform="$here/scmi/board.conf" --agent=first
boot --dtb "$work/tree.dtb" --scenario scmi.protocols,scmi.hwmon,scmi.consumer
end_backends
tap_check "Linux lists the platform, with an event queue" says scmi_negotiated
tap_check "its clocks run at the rates of its device tree" says scmi_clocks 1000000000 50000000
tap_check "hwmon: the temperature follows the clock" says scmi_temperature 50000
tap_check "a consumer sets a clock, and hears of a trip point both ways" says has_marks scmi.consumer "done"
tap_check "the program has seen the clock" says \
    scmi_said "scmi.clock: clock cpu: 1500000000 Hz, on, by agent first"
tap_check "and the reset line" says scmi_reset_twice
tap_empty "the back end ends cleanly" echo -n "$backend_trouble"
tap_end || exit
