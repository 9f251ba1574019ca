#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   i2c_uml_test.sh PROGRAMS     (the folder of the back-end programs)
#
# Linux as a plain process (see uml.sh) and its own drivers use the I2C adapter, on simulated buses: the
# tools for /dev/i2c-N, an EEPROM through sysfs, thermometers through hwmon, a bus that hangs, the driver
# taken away in the middle of transfers; once more as a device tree says it. And it is the host of a back end
# that runs in it. Reports TAP.
#
# The logs are in $ANYHV_BUILD/guest-logs/i2c-uml.
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

(($# == 1)) || die "usage: i2c_uml_test.sh PROGRAMS"
i2c=$1/anyhv-i2c-vhost-user

if [[ $(uname -m) != x86_64 ]]; then
    echo "1..0 # SKIP User-Mode Linux needs an x86_64 machine"
    exit 0
fi
if ! have apt-get && [[ -z $(find "$(anyhv_cache)" -path '*/uml-*/linux' 2>/dev/null) ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get a kernel's sources"
    exit 0
fi
guests i2c-uml "$here/uml.sh" boot --timeout 60
"${leash[@]}" "$here/uml.sh" build
i2c_trees

for ring in split packed; do
    guest_case "$ring"
    if [[ $ring == packed ]]; then features=packed; else features=-packed; fi
    i2c_backend "$i2c" --features="$features"
    boot --dtb "$work/empty.dtb" \
        --scenario i2c.detect,i2c.transfers,i2c.eeprom,i2c.sensor,i2c.wedge,i2c.rebind
    end_backends
    tap_check "$ring: i2cdetect finds what is there" says i2c_negotiated "$ring"
    # Proves I2C-AS-HARDWARE.
    tap_check "$ring: i2cget, i2cset and i2ctransfer move bytes" says has_marks i2c.transfers
    tap_check "$ring: a stretched clock takes its time" says i2c_took_its_time
    tap_check "$ring: an EEPROM is written and read through sysfs" says has_marks i2c.eeprom
    tap_check "$ring: thermometers are read through hwmon" says has_marks i2c.sensor
    tap_check "$ring: a bus that hangs fails, another does not notice" says has_marks i2c.wedge
    tap_check "$ring: the deadline is waited for once" says i2c_failed_fast
    tap_check "$ring: the driver goes in the middle of transfers" says has_marks i2c.unbound
    tap_check "$ring: and finds everything as it was" says has_marks i2c.rebound "done"
done

# One program for two guests, the second of which forgets that there was one.
guest_case tree
i2c_backend "$i2c"
for log in "$logs/tree.log" "$logs/tree-again.log"; do
    "${leash[@]}" "${boot_command[@]}" --dtb "$work/full.dtb" --log "$log" \
        --scenario i2c.tree,i2c.eeprom,i2c.sensor 2>"$log.boot.log" || true
    tap_check "a device tree says what is on the bus ($(basename "$log" .log))" \
        says has_marks i2c.tree i2c.sensor "done"
done
end_backends
guest_case host
i2c_backend "$i2c"
boot --dtb "$work/empty.dtb" --scenario i2c.stub,i2c.circle \
    --set "i2c.program=$(realpath "$1/test/guest/i2c_transfer")"
end_backends
tap_check "as a host: a back end on an adapter that knows SMBus only" says has_marks i2c.stub
tap_check "as a host: a back end on an adapter that knows all transfers" says has_marks i2c.circle "done"

tap_empty "the back ends end cleanly" echo -n "$backend_trouble"
tap_end || exit
