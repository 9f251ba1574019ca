#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   nested_test.sh PROGRAMS     (the folder of the back-end programs)
#
# A stock Debian kernel under real KVM uses devices, each served by a process of its own. It finds them by
# ACPI (LNRO0005) and has its own virtio_mmio, virtio-rng and virtio_blk drivers, and i2c-virtio from the same
# source. KVM is the kernel's own
# too: in a machine that QEMU emulates with AMD's extensions, so it always runs. Reports TAP. In each of
# two boots, with split and with packed rings, the device processes are killed in turn while the guest
# reads numbers and writes and reads its disk; then it resets its machine, and does all of it again.
#
# A read of numbers is of half a mebibyte, and of it there are two: an emulated processor that runs a
# hypervisor needs up to eight seconds for one, and the guest gives it 20.
#
# The logs are in $ANYHV_BUILD/guest-logs/kvm.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=scripts/lib/apt.sh
. "$here/../../scripts/lib/apt.sh"
# shellcheck source=test/guest/lib.sh
. "$here/../guest/lib.sh"
# shellcheck source=test/guest/rng/judge.sh
. "$here/../guest/rng/judge.sh"
# shellcheck source=test/guest/blk/judge.sh
. "$here/../guest/blk/judge.sh"
# shellcheck source=test/guest/i2c/judge.sh
. "$here/../guest/i2c/judge.sh"

(($# == 1)) || die "usage: nested_test.sh PROGRAMS"
programs=$1 rng_bytes=524288 blk_size=1M timeout=150 silence=40

# What the guest has: a name, a program, its arguments.
devices=(
    "rng anyhv-rng-kvm-ioregionfd --source=/tmp/records"
    "disk anyhv-blk-kvm-ioregionfd --image=/tmp/disk.image --serial=disk"
    "readonly anyhv-blk-kvm-ioregionfd --image=/tmp/readonly.image --serial=readonly --read-only"
    "i2c anyhv-i2c-kvm-ioregionfd --simulate=/guest/first.ini --simulate=/guest/second.ini"
)
# What is on a simulated bus ends with its process: chips are used before the first is killed.
scenarios=i2c.detect,i2c.eeprom,i2c.sensor,rng.features,blk.features,blk.sum,rng.read,blk.churn,blk.readonly,blk.sum,rng.reboot

# device_programs: each once.
device_programs() { printf '%s\n' "${devices[@]}" | awk '{ print $2 }' | sort -u; }

# The machine with KVM: programs and what they link, a kernel's modules, and the guest's kernel and image.
build_outer() {
    local kernel root=$work/root module library linked
    mapfile -t linked < <(device_programs | sed "s|^|$programs/|")
    linked+=("$programs/test/vmm/anyhv-test-vmm")
    kernel=$(kernel_folder x86_64)
    mkdir -p "$root"/{bin,dev,proc,tmp,modules,guest}
    cp "$kernel/bin/busybox" "${linked[@]}" "$root/bin/"
    ln -s busybox "$root/bin/sh"
    compile cc "$here_guest/rng/rng_stream.c" "$root/bin/rng_stream"
    compile cc "$here_guest/blk/blk_check.c" "$root/bin/blk_check"
    install -m 755 "$here/nested_init" "$root/init"
    cp "$here_guest"/i2c/*.ini "$root/guest/"
    printf '%s\n' "${devices[@]}" >"$root/devices"
    for module in irqbypass kvm ccp kvm-amd; do
        cp "$(find "$kernel/lib/modules" -name "$module.ko")" "$root/modules/"
    done
    ldd "${linked[@]}" | grep -o '/[^ ]*\.so[^ ]*' | sort -u | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
    cp "$(kernel_image x86_64)" "$root/guest/vmlinuz"
    build_initramfs x86_64 "$root/guest/initrd"
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >"$work/outer.cpio"
}

# run_outer RING: the guest has the command line of the machine around it.
run_outer() {
    local qemu
    qemu=$(qemu_folder)
    QEMU_MODULE_DIR=$(echo "$qemu"/usr/lib/*/qemu) \
        "${leash[@]}" timeout -k 2 "$timeout" "$qemu/usr/bin/qemu-system-x86_64" \
        -L "$qemu/usr/share/qemu" -L "$qemu/usr/share/seabios" \
        -accel tcg -machine q35 -cpu max -smp 1 -m 640M \
        -nodefaults -display none -serial stdio -no-reboot \
        -kernel "$(kernel_image x86_64)" -initrd "$work/outer.cpio" \
        -append "console=ttyS0 quiet panic=-1 anyhv.ring=$1 anyhv.test=$scenarios anyhv.blk.rounds=3 \
anyhv.rng.seed=$rng_seed anyhv.rng.bytes=$rng_bytes anyhv.rng.options=-o anyhv.blk.seed=$blk_seed \
anyhv.blk.disk=disk anyhv.blk.size=$blk_size" </dev/null >"$log" 2>&1
}

# boot_once RING: fails if the machine with KVM stands still. It says every two seconds that it goes on, so
# that is none of its processes' doing, but the emulation's (seen once in thirty boots).
boot_once() {
    local qemu status=0
    : >"$log"
    run_outer "$1" &
    qemu=$!
    while kill -0 "$qemu" 2>/dev/null; do
        sleep 1
        ((EPOCHSECONDS - $(stat -c %Y "$log") < silence)) && continue
        status=1
        kill "$qemu" 2>/dev/null || true
    done
    wait "$qemu" || tap_note "QEMU ended with $?"
    return "$status"
}

boot() { # RING
    boot_once "$1" || {
        tap_note "$case_name: the emulated machine stood still for $silence s; it is booted again"
        boot_once "$1" || true
    }
    tap_note "$case_name: took $((($(now_us) - began) / 1000000)) s; $(tr -d '\r' <"$log" |
        sed -n 's/.*rng-check: ok.* \(took_ms\)/rng \1/p; s/.*blk-check: ok/blk/p' | tr '\n' ' ')"
}

# --- what the log must say --------------------------------------------------------------------------

outer() { tr -d '\r' <"$log" | grep -c "^ANYHV-OUTER $1" || true; }

# Each at least thrice; and each time another one went on where it was, or was killed before it could:
# a device process says so only of a state that it could go on with.
killed_often() {
    local device kills
    kills=$(outer kill)
    for device in "${devices[@]}"; do
        (($(outer "kill ${device%% *}") >= 3)) || return 1
    done
    (($(grep -c 'serving, where a predecessor was' "$log") * 10 >= kills * 8))
}

# What the kernel takes for itself, and of each killed process at most the one record that it had read and
# not answered. (one_stream sees to what is between the reads.)
few_missing() {
    local kills
    kills=$(outer "kill rng")
    tr -d '\r' <"$log" | awk -v kills="$kills" '
        /^rng-check: ok / {
            for (i = 1; i < NF; i++)
                value[$i] = $(i + 1)
            if (value["missing"] > kills + 2 + value["took_ms"] / 990)
                wrong = 1
        }
        END { exit wrong }'
}

numbers_right() { rng_restarted 2 && few_missing; }

# An empty disk, what the boot before left, and what the device process then had in its file.
disk_kept() {
    local last
    last=$(tr -d '\r' <"$log" | sed -n 's/^ANYHV-OUTER disk sha256=//p')
    has_marks blk.churn blk.readonly && blk_sums 2 "$last" && ! grep -q 'I/O error' "$log"
}

# In the first life of the guest, and, where each process has had successors, in the second.
chips_twice() {
    i2c_negotiated "$1" && (($(grep -c '^ANYHV-MARK i2c.eeprom' "$log") == 2)) &&
        (($(grep -c '^ANYHV-MARK i2c.sensor' "$log") == 2))
}

reset_once() { (($(grep -c '^vmm: the machine is reset' "$log") == 1)); }

# shellcheck disable=SC2034 # image.sh's
guest_flavour=full # the one for clouds has no buses
GUEST_MODULES+=(i2c-dev i2c-virtio at24 lm75)
fetch_guest x86_64 >&2
guests kvm
build_outer
for ring in split packed; do
    guest_case "$ring"
    boot "${ring/split/-packed}"
    tap_check "$ring: a machine with KVM, and devices that the guest's kernel finds by ACPI" \
        says has_marks boot rng.features blk.features
    tap_check "$ring: the rings are those that were offered" says ring_is rng.features "$ring"
    tap_check "$ring: the guest reads a mebibyte, every record right, over a reset" says numbers_right
    tap_check "$ring: its disks have what was written" says disk_kept
    tap_check "$ring: an EEPROM and thermometers are written and read, in both its lives" \
        says chips_twice "$ring"
    tap_check "$ring: meanwhile device processes are killed, $(outer kill) times" says killed_often
    tap_check "$ring: the guest resets its machine" says reset_once
    tap_check "$ring: the guest powers off" says grep -q '^ANYHV-OUTER done' "$log"
done
tap_end
