#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   scmi_uml_test.sh PROGRAMS     (the folder of the back-end programs)
#
# Linux as a plain process (see uml.sh) uses the SCMI device through its own drivers: clocks, hwmon, IIO,
# and what a module consumes of clocks, reset lines and trip points (scmi/modules). Then two of them at a time, agents of one platform in one process. Reports TAP.
#
# The logs are in $ANYHV_BUILD/guest-logs/scmi-uml.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=test/guest/lib.sh
. "$here/lib.sh"
# shellcheck source=test/guest/scmi/judge.sh
. "$here/scmi/judge.sh"

(($# == 1)) || die "usage: scmi_uml_test.sh PROGRAMS"
programs=$1 ended=""
board=$here/scmi/board.conf

# serve PROGRAM ARGUMENT...: until `served`; it listens at $sockets/first and, some, at $sockets/second.
serve() {
    local tries=100
    "${leash[@]}" "$@" </dev/null >"$logs/$case_name.scmi.log" 2>&1 &
    server=$!
    until listens "$sockets/first"; do
        if ((tries-- == 0)) || ! kill -0 "$server" 2>/dev/null; then
            die "$1 does not listen, see $logs/$case_name.scmi.log"
        fi
        sleep 0.05
    done
}

served() {
    local status=0
    kill -TERM "$server"
    wait "$server" || status=$?
    ended=$status
}

# scmi_tree <DTSI: for this kernel.
scmi_tree() {
    local head='/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; compatible = "linux,uml"; model = "uml"; };'
    { echo "$head" && cat; } | dtc -q -I dts -O dtb
}

# guest NAME SOCKET SCENARIOS: its log is $logs/NAME.log, its device tree the one called like SOCKET.
guest() {
    "${leash[@]}" "${boot_command[@]}" --device "scmi:$sockets/$2" --dtb "$work/$2.dtb" \
        --scenario "$3" --log "$logs/$1.log" 2>"$logs/$1.boot.log" || true
}

if [[ $(uname -m) != x86_64 ]]; then
    echo "1..0 # SKIP User-Mode Linux needs an x86_64 machine"
    exit 0
fi
if ! have apt-get && [[ -z $(find "$(anyhv_cache)" -path '*/uml-*/linux' 2>/dev/null) ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get a kernel's sources"
    exit 0
fi
guests scmi-uml "$here/uml.sh" boot --timeout 60
"${leash[@]}" "$here/uml.sh" build
scmi_tree <"$here/scmi/agent.dtsi" >"$work/first.dtb"
# The second has one clock, of which it wants another rate, and nothing to consume.
sed '/^\t*clocks = /d; /^\t*resets = /d; s/, <&clocks 1>//; s/<1000000000>, <50000000>/<1500000000>/' \
    "$here/scmi/agent.dtsi" | scmi_tree >"$work/second.dtb"

guest_case one
serve "$programs/anyhv-scmi-vhost-user" --platform="$board" --agent=first --socket-path="$sockets/first"
guest one first scmi.protocols,scmi.hwmon,scmi.iio,scmi.consumer
served
tap_check "Linux lists the platform, with an event queue" says scmi_negotiated
tap_check "its clocks run at the rates of its device tree" says scmi_clocks 1000000000 50000000
tap_check "the program has seen them set" says \
    scmi_said "scmi.clock: clock cpu: 1000000000 Hz, on, by agent first"
tap_check "hwmon: the temperature follows the clock" says scmi_temperature 50000
tap_check "IIO: updates arrive as notifications" says scmi_updates
tap_check "a consumer sets a clock, and hears of a trip point both ways" says has_marks scmi.consumer "done"
tap_check "the program has seen the clock" says \
    scmi_said "scmi.clock: clock cpu: 1500000000 Hz, on, by agent first"
# Asserted, deasserted, and once more in one command.
tap_check "and the reset line" says scmi_reset_twice
tap_check "the program ends when it is told to" test "$ended" = 0

# The second guest may look at the clock that the first one sets, and does not see the other.
guest_case two
serve "$programs/test/guest/scmi_pair" "$board" "$sockets/first" "$sockets/second"
guest two first scmi.protocols,scmi.hwmon,scmi.iio &
other=$!
guest two-second second scmi.protocols,scmi.hwmon
wait "$other"
served
tap_check "two guests: the first has all its clocks" says scmi_clocks 1000000000 50000000
tap_check "and its updates" says scmi_updates
log=$logs/two-second.log
tap_check "the second sees the shared clock only" says scmi_sees cpu
tap_check "and the temperature that the first one made" says scmi_temperature 50000
tap_check "it may not set the clock, and the operator hears of it" says \
    scmi_said "scmi.refused: agent second may not send message 0x5 of protocol 0x14 for resource 0"
tap_check "this program, too, ends when it is told to" test "$ended" = 0

# The host is this kernel as well: it can simulate lines, which the machine below may have none of.
guest_case lines
"${leash[@]}" "${boot_command[@]}" --scenario scmi.lines --log "$log" \
    --set "scmi.lines=$(realpath "$programs/test/guest/scmi_lines")" 2>"$logs/lines.boot.log" || true
tap_check "GPIO lines are reset lines, by their names and their numbers" says scmi_lines_moved
tap_end
