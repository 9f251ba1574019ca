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
#
# User-Mode Linux alone, as the host of another back end: i2c.program is one outside (see transfer.c), which
# runs in here with the files of that machine, and the devices of this one.
#
#   i2c.stub       on an adapter that knows SMBus only, i2c-stub: what a guest writes, the host reads
#   i2c.circle     on our own adapter, which knows all transfers: whose guest this kernel is, too

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

# --- as a host ---

# back_end OPTION... GROUP...
back_end() {
    if [ ! -d /outside ]; then
        mkdir /outside
        mount -t hostfs -o ro,/ none /outside
        mount -o bind /dev /outside/dev
        mount -o bind /sys /outside/sys
    fi
    chroot /outside "$(setting i2c.program none)" "$@"
}

stub_up() {
    [ -d /sys/module/i2c_stub ] || insmod /modules/i2c-stub.ko chip_addr=0x40,0x41,0x42
    stub_bus=$(grep -l "SMBus stub driver" /sys/class/i2c-dev/i2c-*/name | sed 's/[^0-9]*2c-dev.i2c-//; s/.name//')
    wait_for i2c-dev test -c "/dev/i2c-$stub_bus"
}

# on_stub WANTED GROUP...: what the back end says.
on_stub() {
    wanted=$1
    shift
    is_said "$wanted" back_end --device="SMBus stub driver:0x40,0x42" "$@"
}

i2c_stub() {
    stub_up
    on_stub "ok" w40=10a5
    is_said 0xa5 i2cget -y "$stub_bus" 0x40 0x10
    on_stub "ok" w40=11cdab
    is_said 0xabcd i2cget -y "$stub_bus" 0x40 0x11 w
    on_stub "ok" w40=2001020304
    is_said 0x01 i2cget -y "$stub_bus" 0x40 0x20
    is_said 0x04 i2cget -y "$stub_bus" 0x40 0x23
    is_said "" i2cset -y "$stub_bus" 0x42 0x30 0x77
    is_said "" i2cset -y "$stub_bus" 0x42 0x31 0x1234 w
    on_stub "ok 77 ok 3412 ok 0000" w42=30,r42=1 w42=31,r42=2 w42=80,r42=2
    on_stub "ok 77" w42=30 r42=1   # the pointer is the chip's
    on_stub "ok ok" w40= r40=0     # zero-length requests
    on_stub "error ok" w41=10a5 w40=10a5 # a chip, but not for guests
    on_stub "error error error ok a5" w40=10,r40=1,r40=1 w40=10,r40=1 # no word of SMBus's
    echo 24c02 0x42 >"/sys/class/i2c-dev/i2c-$stub_bus/device/new_device"
    is_refused back_end --device="$stub_bus:0x42" w42=30,r42=1
    grep -q "0x42 belongs to a driver" /tmp/output || fail "said='$(cat /tmp/output)'"
    mark i2c.stub
}

i2c_circle() {
    i2c_up
    stub_up
    device=--device=/dev/i2c-$i2c_bus:0x20,0x48,0x50
    is_said "ok 1580 ok 1580" back_end "$device" w48=00,r48=2,w48=00,r48=2
    is_said "ok" back_end "$device" w50=20deadbeef
    wait_for the-write-cycle i2cget -y "$i2c_bus" 0x50 0x20
    is_said "0xde 0xad 0xbe 0xef" transfer w1@0x50 0x20 r4
    is_said "ok deadbeef ok be" back_end "$device" w50=20,r50=4 w50=22,r50=1
    is_said "ok ok error error" back_end "$device" w20=0102 w20=01,w20=010203,w20=01
    is_said "ok ok 1580 ok 5a" back_end "$device" --device="$stub_bus:0x40" \
        w40=105a w48=00,r48=2 w40=10,r40=1
    is_refused back_end --device="$i2c_bus:0xa050"
    mark i2c.circle
}
