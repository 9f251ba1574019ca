#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   i2c_qemu_test.sh ARCH PROGRAMS     (x86_64 or aarch64, the folder of the back-end programs)
#
# A stock Debian kernel in QEMU uses the I2C adapter, on simulated buses: with Debian's drivers for chips, and
# i2c-virtio, which Debian leaves out, from the same source. Reports TAP.
#
# The logs are in $ANYHV_BUILD/guest-logs/i2c-ARCH.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=test/guest/lib.sh
. "$here/lib.sh"
# shellcheck source=test/guest/i2c/judge.sh
. "$here/i2c/judge.sh"

(($# == 2)) || die "usage: i2c_qemu_test.sh ARCH PROGRAMS"
arch=$1 i2c=$2/anyhv-i2c-vhost-user

if ! have apt-get && [[ ! -d $(guest_flavour=full && kernel_folder "$arch") ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get QEMU and a kernel"
    exit 0
fi
guests "i2c-$arch" "$here/qemu.sh" boot --arch "$arch" --timeout 90
"${leash[@]}" "$here/qemu.sh" fetch --arch "$arch" --device "i2c:$work/none"

for ring in split packed; do
    guest_case "$ring"
    if [[ $ring == packed ]]; then features=packed; else features=-packed; fi
    i2c_backend "$i2c" --features="$features"
    boot --scenario "$i2c_scenarios"
    end_backends
    i2c_checks "$ring"
    # Proves I2C-AS-HARDWARE.
    tap_check "$ring: i2cget, i2cset and i2ctransfer move bytes" says has_marks i2c.transfers
done
tap_empty "the back ends end cleanly" echo -n "$backend_trouble"
tap_end || exit
