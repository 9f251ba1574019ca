# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What a guest does with the I2C adapter. It finds these targets, whose numbers the host has chosen:
#
#   0x20 nack, 2 bytes   0x21 stretch, 150 ms   0x48 lm75, 21.5 degrees   0x50 24c02
#   on another bus: 0x22 wedge, for 3 s         0x49 lm75, -5.5 degrees
#
#   i2c.detect     looks for them
#   i2c.transfers  moves bytes with the tools for /dev/i2c-N
#   i2c.eeprom     the at24 driver: writes 256 bytes, reads them back
#   i2c.sensor     the lm75 driver: temperatures and limits
#   i2c.wedge      a bus that hangs, and one that does not
#   i2c.tree       nobody has to tell it what is on the bus
#   i2c.rebind     takes the driver away in the middle of transfers, gives it back, reads on

i2c_up() {
    wait_for i2c-virtio bound_device i2c_virtio
    i2c_device=$(bound_device i2c_virtio)
    i2c_folder=$(ls -d "/sys/bus/virtio/devices/$i2c_device"/i2c-[0-9]*)
    i2c_bus=${i2c_folder##*-}
    wait_for i2c-dev test -c "/dev/i2c-$i2c_bus"
}

# is_said WANTED COMMAND...: whatever the lines.
is_said() {
    wanted=$1
    shift
    said=$("$@" 2>/tmp/error) || said="$said and an error: $(cat /tmp/error)"
    said=$(echo "$said" | tr "\n" " " | sed "s/ *$//")
    [ "$said" = "$wanted" ] || fail "command='$*' said='$said' wanted='$wanted'"
}

# is_refused COMMAND...: one for SMBus. Of I2C_RDWR Linux's driver tells no errors, only how far it came.
is_refused() {
    if "$@" >/tmp/output 2>&1; then fail "command='$*' reason=succeeded"; fi
}

transfer() { i2ctransfer -y -f "$i2c_bus" "$@"; } # -f: even if a driver has the chip

# client ADDRESS: the folder of the client there.
client() { echo "/sys/bus/i2c/devices/$i2c_bus-00$1"; }

# new_client TYPE ADDRESS: once.
new_client() {
    [ -e "$(client "$2")" ] || echo "$1 0x$2" >"$i2c_folder/new_device" || fail reason=new_device
}

# hwmon ADDRESS FILE
hwmon() { cat "$(client "$1")"/hwmon/hwmon*/"$2"; }

i2c_detect() {
    i2c_up
    begin=$(now_ms)
    found=$(i2cdetect -y "$i2c_bus" 0x30 0x77 | sed '1d; s/^...//' | tr ' ' '\n' | grep -v -e -- | xargs)
    [ "$found" = "48 49 50" ] || fail "found='$found'"
    mark i2c.detect "bits=$(features "$i2c_device") ms=$(($(now_ms) - begin))"
}

i2c_transfers() {
    i2c_up
    is_said "0x15 0x80" transfer w1@0x48 0 r2
    is_said "0x8015" i2cget -y "$i2c_bus" 0x48 0 w
    is_said "" i2cset -y "$i2c_bus" 0x48 2 0x003c w
    is_said "0x3c 0x00" transfer w1@0x48 2 r2
    is_said "0x3c 0x00 0x15 0x80" transfer w1@0x48 2 r2 w1@0x48 0 r2
    is_said "" i2cset -y "$i2c_bus" 0x20 1 2
    is_refused i2cset -y "$i2c_bus" 0x20 1 2 3 i
    is_refused i2cget -y "$i2c_bus" 0x20 1
    is_refused i2cget -y "$i2c_bus" 0x51 0 # which is not allowed to us
    is_said "" transfer w1@0x51 0 r1       # so it came nowhere
    begin=$(now_ms)
    is_said "0x77" transfer w1@0x21 0x77 r1
    mark i2c.transfers "stretched_ms=$(($(now_ms) - begin))"
}

i2c_eeprom() {
    i2c_up
    new_client 24c02 50
    eeprom=$(client 50)/eeprom
    wait_for at24 test -e "$eeprom"
    begin=$(now_ms)
    dd if=/dev/urandom of=/tmp/content bs=256 count=1 2>/tmp/error
    dd if=/tmp/content of="$eeprom" bs=256 2>/tmp/error || fail "reason='$(cat /tmp/error)'"
    cmp /tmp/content "$eeprom" || fail reason=content
    mark i2c.eeprom "ms=$(($(now_ms) - begin))"
}

i2c_sensor() {
    i2c_up
    new_client lm75 48
    new_client lm75 49
    wait_for lm75 hwmon 48 temp1_input
    is_said 21500 hwmon 48 temp1_input
    is_said -5500 hwmon 49 temp1_input
    echo 60500 >"$(echo "$(client 48)"/hwmon/hwmon*/temp1_max)"
    is_said 60500 hwmon 48 temp1_max
    is_said 80000 hwmon 49 temp1_max
    mark i2c.sensor
}

i2c_wedge() {
    i2c_up
    new_client lm75 48
    new_client lm75 49
    wait_for lm75 hwmon 49 temp1_max
    begin=$(now_ms)
    is_refused i2cget -y "$i2c_bus" 0x22
    first=$(($(now_ms) - begin))
    for _ in 1 2 3 4 5; do
        begin=$(now_ms)
        is_refused i2cget -y "$i2c_bus" 0x22
        next=$(($(now_ms) - begin))
        is_said "0x15 0x80" transfer w1@0x48 0 r2
    done
    is_refused i2cget -y -f "$i2c_bus" 0x49 0 w
    wait_for the-bus-to-come-back i2cget -y -f "$i2c_bus" 0x49 0 w
    is_said -5500 hwmon 49 temp1_input
    mark i2c.wedge "first_ms=$first next_ms=$next"
}

i2c_tree() {
    i2c_up
    for address in 48 49 50; do
        wait_for client test -e "$(client $address)/driver"
    done
    mark i2c.tree
}

# Readers that do not know of it, and a transfer that is held by its target.
i2c_rebind() {
    i2c_up
    new_client 24c02 50
    eeprom=$(client 50)/eeprom
    wait_for at24 test -e "$eeprom"
    cat "$eeprom" >/tmp/before
    for _ in 1 2 3; do
        (while cat "$eeprom" >/dev/null 2>&1; do :; done) &
    done
    transfer w1@0x21 0x5a r1 >/tmp/held 2>&1 &
    usleep 100000
    unbind i2c_virtio "$i2c_device"
    wait
    [ ! -e "$eeprom" ] || fail reason=the-client-is-still-there
    mark i2c.unbound "held='$(cat /tmp/held)'"
    bind i2c_virtio "$i2c_device"
    i2c_up
    is_said "0x5a" transfer w1@0x21 0x5a r1
    new_client 24c02 50
    wait_for at24 test -e "$eeprom"
    cmp /tmp/before "$eeprom" || fail reason=content
    mark i2c.rebound
}
