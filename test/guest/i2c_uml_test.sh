#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   i2c_uml_test.sh BACKEND_PROGRAM
#
# Linux as a plain process (see uml.sh) and its own drivers use the I2C adapter, on simulated buses: the
# tools for /dev/i2c-N, an EEPROM through sysfs, thermometers through hwmon, a bus that hangs, the driver
# taken away in the middle of transfers; once more as a device tree says it. Reports TAP.
#
# The logs are in $ANYHV_BUILD/guest-logs/i2c-uml.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"

(($# == 1)) || die "usage: i2c_uml_test.sh BACKEND_PROGRAM"
program=$1
timeout_ms=400
logs=${ANYHV_BUILD:-$(anyhv_root)/build}/guest-logs/i2c-uml
work=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-i2c-uml.XXXXXX")
trap 'rm -rf "$work"' EXIT
backend="" trouble=""

write_buses() {
    cat >"$work/first" <<'BUS'
[0x20]
type = nack
after = 2
[0x21]
type = stretch
stretch-ms = 150
[0x48]
type = lm75
temperature = 21.5
[0x50]
type = 24c02
write-cycle-ms = 2
BUS
    cat >"$work/second" <<'BUS'
[0x22]
type = wedge
wedge-ms = 3000
[0x49]
type = lm75
temperature = -5.5
BUS
}

# make_trees: one that has nothing in it, and one with the adapter and what is on its bus. (Linux gives
# chips their supply voltage only where there is a tree that could say otherwise.)
make_trees() {
    local head='/dts-v1/; / { #address-cells = <1>; #size-cells = <0>; compatible = "linux,uml"; model = "uml";'
    echo "$head };" | dtc -q -O dtb -o "$work/empty.dtb" -
    dtc -q -O dtb -o "$work/full.dtb" - <<TREE
$head
    adapter {
        compatible = "virtio,uml";
        socket-path = "$work/socket";
        virtio-device-id = <34>;
        i2c {
            compatible = "virtio,device22";
            #address-cells = <1>;
            #size-cells = <0>;
            eeprom@50 { compatible = "atmel,24c02"; reg = <0x50>; pagesize = <8>; };
            sensor@48 { compatible = "national,lm75"; reg = <0x48>; };
            sensor@49 { compatible = "national,lm75"; reg = <0x49>; };
        };
    };
};
TREE
}

start_backend() {
    local tries=100
    "${leash[@]}" "$program" --socket-path="$work/socket" --simulate="$work/first" \
        --simulate="$work/second" --timeout-ms="$timeout_ms" >"$logs/backend.log" 2>&1 &
    backend=$!
    until [[ -S $work/socket ]]; do
        if ((tries-- == 0)) || ! kill -0 "$backend" 2>/dev/null; then
            die "the back end does not listen, see $logs/backend.log"
        fi
        sleep 0.05
    done
}

# stop_backend: notes if that needs force or is an error.
stop_backend() {
    local status=0 tries=100
    kill -TERM "$backend" 2>/dev/null || true
    while kill -0 "$backend" 2>/dev/null; do
        ((tries-- > 0)) || kill -KILL "$backend"
        sleep 0.05
    done
    wait "$backend" || status=$?
    ((status == 0)) || trouble="it ended with status $status"
}

# boot NAME SCENARIOS OPTION...: whether it went well is read from the log.
boot() {
    log=$logs/$1.log
    sed -e "/^#scenarios/{r $here/i2c/scenarios.sh" -e 'd}' "$here/i2c/init" >"$work/init"
    "${leash[@]}" "$here/uml.sh" boot --init "$work/init" --scenario "$2" --log "$log" --timeout 60 \
        "${@:3}" 2>"$logs/$1.uml.log" || true
}

# value NAME KEY: of a mark of the guest; fails if it never got there.
value() { tr -d '\r' <"$log" | grep -m 1 "^ANYHV-MARK $1\b" | tr ' ' '\n' | sed -n "s/^$2=//p"; }

reached() { tr -d '\r' <"$log" | grep -q "^ANYHV-MARK $1\b"; }

# Feature bit 0 is the device's ZERO_LENGTH_REQUEST, bit 32 VERSION_1.
negotiated() {
    local bits
    bits=$(value i2c.detect bits)
    [[ ${bits:0:1} == 1 && ${bits:32:1} == 1 ]]
}

# The clock was held for two messages. (A guest's time is not the host's: no upper limit.)
took_its_time() { [[ $(value i2c.transfers stretched_ms) -ge 250 ]]; }

# The deadline for the first, nothing like it for the next.
failed_fast() {
    local first next
    first=$(value i2c.wedge first_ms) next=$(value i2c.wedge next_ms)
    ((first >= timeout_ms - 50 && next < first))
}

# said NAME COMMAND...: the check; shows the logs if it fails.
said() {
    local file
    "${@:2}" && return
    echo "$1: not so"
    for file in "$log" "$logs/backend.log"; do
        echo "--- $file" && tail -n 20 "$file" | tr -cd '\n\t -~'
    done
    return 1
}

check() { tap_check "$1" said "$@"; }

if [[ $(uname -m) != x86_64 ]]; then
    echo "1..0 # SKIP User-Mode Linux needs an x86_64 machine"
    exit 0
fi
if ! have apt-get && [[ -z $(find "$(anyhv_cache)" -path '*/uml-*/linux' 2>/dev/null) ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get a kernel's sources"
    exit 0
fi
[[ -x $program ]] || die "no back end to test: $program"
mkdir -p "$logs"
rm -f "$logs"/*.log
"${leash[@]}" "$here/uml.sh" build
write_buses
make_trees
start_backend
boot all i2c.detect,i2c.transfers,i2c.eeprom,i2c.sensor,i2c.wedge,i2c.rebind \
    --socket "$work/socket:34" --dtb "$work/empty.dtb"
check "i2cdetect finds what is there" reached i2c.detect
check "ZERO_LENGTH_REQUEST is negotiated" negotiated
check "i2cget, i2cset and i2ctransfer move bytes" reached i2c.transfers
check "a stretched clock takes its time" took_its_time
check "an EEPROM is written and read through sysfs" reached i2c.eeprom
check "thermometers are read through hwmon" reached i2c.sensor
check "a bus that hangs fails, another does not notice" reached i2c.wedge
check "the deadline is waited for once" failed_fast
check "the driver goes in the middle of transfers" reached i2c.unbound
check "and finds everything as it was when it comes back" reached i2c.rebound
check "the guest went through" reached "done"
boot tree i2c.tree,i2c.eeprom,i2c.sensor --dtb "$work/full.dtb"
check "a device tree says what is on the bus" reached i2c.tree
check "another guest is served by the same program" reached "done"
stop_backend
tap_empty "the back end ends when it is told to" echo -n "$trouble"
tap_end
