# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the logs of guests, and of the program that serves them, say about the SCMI device. Source it
# after lib.sh.
# shellcheck disable=SC2154 # which assigns what is said not to be

# scmi_said TEXT: in the log of the program.
scmi_said() { grep -qF "$1" "$logs/$case_name.scmi.log"; }

# Feature bit 0 is P2A_CHANNELS.
scmi_negotiated() {
    local bits
    bits=$(value scmi.protocols bits)
    [[ ${bits:0:1} == 1 && ${bits:32:1} == 1 && $(value scmi.protocols vendor) == anyhv:guests ]]
}

# scmi_clocks CPU BUS: the rates that the guest's kernel believes in.
scmi_clocks() {
    [[ $(value scmi.protocols clock-cpu) == "$1" && $(value scmi.protocols clock-bus) == "$2" ]]
}

# scmi_sees CLOCK: and no other.
scmi_sees() { [[ $(mark scmi.protocols | tr ' ' '\n' | sed -n 's/^clock-\(.*\)=.*/\1/p') == "$1" ]]; }

scmi_temperature() {
    [[ $(value scmi.hwmon label) == cpu-temp && $(value scmi.hwmon temperature) == "$1" ]]
}

# Ten updates in tenths of a second. (A guest's time is not the host's: no upper limit.)
scmi_updates() {
    [[ $(value scmi.iio raw) == 5,-7,981, && $(value scmi.iio bytes) == 320 ]] &&
        [[ $(value scmi.iio last) == ,5,-7,981, ]] && (($(value scmi.iio took_ms) >= 800))
}

scmi_reset_twice() {
    [[ $(sed -n 's/.*scmi.reset: reset usb: //p' "$logs/$case_name.scmi.log" | xargs) == \
        "asserted deasserted asserted deasserted" ]]
}

# The line is asserted when it is low; an autonomous reset without length is over at once.
scmi_lines_moved() {
    [[ $(value scmi.lines assert) == 0,0 && $(value scmi.lines deassert) == 0,1 &&
        $(value scmi.lines autonomous) == 0,1 && $(mark scmi.lines) == *"Device or resource busy"* ]]
}
