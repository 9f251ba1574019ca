# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The buses that i2c/scenarios.sh speaks of, and what the logs of guests say about them. Source it after
# lib.sh.
# shellcheck disable=SC2154 # which assigns what is said not to be

i2c_timeout_ms=600

# i2c_backend PROGRAM OPTION...: an adapter with two simulated buses.
i2c_backend() {
    backend i2c "$1" --simulate="$here_guest/i2c/first.ini" --simulate="$here_guest/i2c/second.ini" \
        --timeout-ms="$i2c_timeout_ms" "${@:2}"
}

# i2c_trees: empty.dtb has nothing in it, full.dtb the adapter and what is on its bus. (Linux gives chips
# their supply voltage only where there is a tree that could say otherwise.)
i2c_trees() {
    local head='/dts-v1/; / { #address-cells = <1>; #size-cells = <0>; compatible = "linux,uml"; model = "uml";'
    echo "$head };" | dtc -q -O dtb -o "$work/empty.dtb" -
    dtc -q -O dtb -o "$work/full.dtb" - <<TREE
$head
    adapter {
        compatible = "virtio,uml";
        socket-path = "$sockets/i2c";
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

# Feature bit 0 is the device's ZERO_LENGTH_REQUEST.
i2c_negotiated() {
    local bits
    ring_is i2c.detect "$1" || return 1
    bits=$(value i2c.detect bits)
    [[ ${bits:0:1} == 1 ]]
}

# The clock was held for two messages. (A guest's time is not the host's: no upper limit.)
i2c_took_its_time() { [[ $(value i2c.transfers stretched_ms) -ge 250 ]]; }

# The deadline for the first, nothing like it for the next.
i2c_failed_fast() {
    local first next
    first=$(value i2c.wedge first_ms) next=$(value i2c.wedge next_ms)
    ((first >= i2c_timeout_ms - 50 && next < first))
}

# i2c_checks RING: of a boot that went through $i2c_scenarios.
# shellcheck disable=SC2034 # the suites use it
i2c_scenarios=i2c.detect,i2c.transfers,i2c.eeprom,i2c.sensor,i2c.wedge,i2c.rebind
i2c_checks() {
    tap_check "$1: i2cdetect finds what is there" says i2c_negotiated "$1"
    tap_check "$1: a stretched clock takes its time" says i2c_took_its_time
    tap_check "$1: an EEPROM is written and read through sysfs" says has_marks i2c.eeprom
    tap_check "$1: thermometers are read through hwmon" says has_marks i2c.sensor
    tap_check "$1: a bus that hangs fails, another does not notice" says has_marks i2c.wedge
    tap_check "$1: the deadline is waited for once" says i2c_failed_fast
    tap_check "$1: the driver goes in the middle of transfers" says has_marks i2c.unbound
    tap_check "$1: and finds everything as it was" says has_marks i2c.rebound "done"
}
