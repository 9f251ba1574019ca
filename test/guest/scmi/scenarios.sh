# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What a guest does with the SCMI device of board.conf, through the drivers of its kernel:
#
#   scmi.protocols  says what it found, and what its clocks run at
#   scmi.hwmon      reads the temperature until it is what the clock makes of it
#   scmi.iio        has ten updates of an accelerometer sent to it
#   scmi.consumer   sets a clock, hears of a trip point in both directions, moves a reset line
#
# and one in which the guest's kernel is the host, of a platform whose reset line is a line of gpio-sim:
#
#   scmi.lines      runs lines.c, which sees what becomes of the line

scmi_protocols() {
    wait_for scmi-virtio bound_device scmi-virtio
    wait_for scmi-devices test -e /sys/bus/scmi_protocol/devices/scmi_dev.1
    vendor=$(dmesg | sed -n "s/.*SCMI Protocol v\([0-9.]*\) '\([^']*\)'.*/\2/p")
    for clock in /sys/kernel/debug/clk/*/clk_rate; do
        name=${clock%/clk_rate}
        [ -r "$clock" ] && clocks="$clocks clock-${name##*/}=$(cat "$clock")"
    done
    mark scmi.protocols "bits=$(features "$(bound_device scmi-virtio)")" "vendor=$vendor$clocks"
}

# temperature_is MILLIDEGREES
temperature_is() { [ "$(cat /sys/class/hwmon/hwmon0/temp1_input)" = "$1" ]; }

scmi_hwmon() {
    wait_for hwmon test -r /sys/class/hwmon/hwmon0/temp1_input
    wanted=$(setting scmi.temperature 50000)
    wait_for temperature temperature_is "$wanted"
    mark scmi.hwmon "label=$(cat /sys/class/hwmon/hwmon0/temp1_label) temperature=$wanted"
}

# A scan is three values and a time stamp, of 64 bits each.
scmi_iio() {
    wait_for iio test -d /sys/bus/iio/devices/iio:device0
    cd /sys/bus/iio/devices/iio:device0 || fail reason=no-device
    raw=$(cat in_accel_x_raw in_accel_y_raw in_accel_z_raw | tr '\n' ',')
    for file in scan_elements/*_en; do
        echo 1 >"$file"
    done
    echo 10 >in_accel_sampling_frequency || fail reason=frequency
    echo 16 >buffer/length
    echo 1 >buffer/enable || fail reason=enable
    began=$(now_ms)
    dd if=/dev/iio:device0 of=/tmp/scans bs=32 count=10 iflag=fullblock 2>/tmp/dd ||
        fail reason=read
    took=$(($(printf '%.0f' "$(now_ms)") - $(printf '%.0f' "$began")))
    echo 0 >buffer/enable
    cd /
    bytes=$(wc -c </tmp/scans)
    last=$(tail -c 32 /tmp/scans | od -An -td8 -N 24 | tr -s ' \n' ',')
    mark scmi.iio "raw=$raw bytes=$bytes took_ms=$took last=$last"
}

# consumed FILE WANTED: what modules/scmi-consumer.c says.
consumed() { [ "$(cat "$consumer/$1")" = "$2" ]; }

# consume FILE VALUE: what it is told to do.
consume() { echo "$2" >"$consumer/$1" || fail "reason=$1=$2"; }

# The trip point is between what the clock makes of the temperature at 1 and at 1.5 GHz.
scmi_consumer() {
    consumer=/sys/kernel/debug/scmi-consumer
    [ -e $consumer ] || insmod /modules/scmi-consumer.ko || fail reason=module
    wait_for consumer test -e $consumer/tripped
    consume trip 55000
    consume enable 1
    consume rate 1500000000
    wait_for rate consumed rate 1500000000
    wait_for trip-upwards consumed tripped 3
    consume rate 500000000
    wait_for trip-downwards consumed tripped 4
    for what in 1 0 2; do
        consume reset $what
    done
    mark scmi.consumer "rate=$(cat $consumer/rate)"
}

# sim_chip: gpio-sim's, with a line that has a name, and one that is taken.
sim_chip() {
    sim=/sys/kernel/config/gpio-sim/scmi
    mount -t configfs config /sys/kernel/config || fail reason=configfs
    mkdir -p $sim/bank/line1 $sim/bank/line2/hog || fail reason=gpio-sim
    echo 4 >$sim/bank/num_lines
    echo board >$sim/bank/label
    echo usb-reset >$sim/bank/line1/name
    echo 1 >$sim/live || fail reason=live
}

# lines LINE: the program, which lies in the host's file system, as do the libraries that it needs.
lines() {
    printf '[reset usb]\nline = board %s\nactive-low = yes\n[agent first]\nresets = usb\n' "$1" >/tmp/board.conf
    chroot /host "$(setting scmi.lines none)" /proc/1/root/tmp/board.conf "$(echo /sys/devices/platform/gpio-sim*/gpiochip*/sim_gpio1/value)"
}

scmi_lines() {
    sim_chip
    mkdir /host
    mount -t hostfs host /host || fail reason=hostfs
    for folder in dev proc sys; do
        mount --bind /$folder /host/$folder
    done
    lines usb-reset >/tmp/named 2>&1 || fail "said='$(cat /tmp/named)'"
    lines 1 >/tmp/numbered 2>&1 || fail "said='$(cat /tmp/numbered)'"
    cmp /tmp/named /tmp/numbered || fail reason=numbered
    lines 2 >/tmp/taken 2>&1 && fail reason=taken
    mark scmi.lines "$(xargs </tmp/named) taken='$(grep -o 'line 2 of board:.*' /tmp/taken)'"
}
