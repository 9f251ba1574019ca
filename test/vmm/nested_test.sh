#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   nested_test.sh BIN_FOLDER
#
# A stock Debian kernel under real KVM reads from anyhv-rng-kvm-ioregionfd. It finds the device by ACPI
# (LNRO0005) and has its own virtio_mmio and virtio-rng drivers. KVM is the kernel's own too: in a
# machine that QEMU emulates with AMD's extensions, so it always runs. Reports TAP. In the one boot, with
# packed rings, the device process is killed five times while the guest reads half a mebibyte; then the
# guest resets its machine and reads a whole one, in halves: /init gives a read 20 seconds, and an
# emulated processor that runs a hypervisor needs up to eight for a half.
#
# The log is $ANYHV_BUILD/guest-logs/kvm.log.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=scripts/lib/apt.sh
. "$here/../../scripts/lib/apt.sh"
# shellcheck source=test/guest/image.sh
. "$here/../guest/image.sh"

(($# == 1)) || die "usage: nested_test.sh BIN_FOLDER"
bin=$1 seed=6385273 bytes=524288 timeout=150
build=${ANYHV_BUILD:-$(anyhv_root)/build}
log=$build/guest-logs/kvm.log
work=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-nested.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The machine with KVM: programs and what they link, a kernel's modules, and the guest's kernel and image.
build_outer() {
    local kernel root=$work/root module library
    local programs=("$bin/anyhv-rng-kvm-ioregionfd" "$bin/test/vmm/anyhv-test-vmm")
    kernel=$(kernel_folder x86_64)
    mkdir -p "$root"/{bin,dev,proc,tmp,modules,guest}
    cp "$kernel/bin/busybox" "${programs[@]}" "$root/bin/"
    ln -s busybox "$root/bin/sh"
    compile cc "$here/../guest/rng/rng_stream.c" "$root/bin/rng_stream"
    install -m 755 "$here/nested_init" "$root/init"
    for module in irqbypass kvm kvm-amd; do
        cp "$(find "$kernel/lib/modules" -name "$module.ko")" "$root/modules/"
    done
    ldd "${programs[@]}" | grep -o '/[^ ]*\.so[^ ]*' | sort -u | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
    cp "$(kernel_image x86_64)" "$root/guest/vmlinuz"
    build_initramfs x86_64 "$root/guest/initrd"
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >"$work/outer.cpio"
}

run_qemu() {
    local qemu
    qemu=$(qemu_folder)
    QEMU_MODULE_DIR=$(echo "$qemu"/usr/lib/*/qemu) \
        "${leash[@]}" timeout -k 2 "$timeout" "$qemu/usr/bin/qemu-system-x86_64" \
        -L "$qemu/usr/share/qemu" -L "$qemu/usr/share/seabios" \
        -accel tcg -machine q35 -cpu max -smp 1 -m 640M \
        -nodefaults -display none -serial stdio -no-reboot \
        -kernel "$(kernel_image x86_64)" -initrd "$work/outer.cpio" \
        -append "console=ttyS0 quiet panic=-1 anyhv.ring=packed anyhv.guest: console=ttyS0 quiet panic=-1 \
anyhv.test=rng.features,rng.read,rng.reboot,rng.read anyhv.rng.seed=$seed anyhv.rng.bytes=$bytes" </dev/null >"$log" 2>&1
}

# --- what the log must say --------------------------------------------------------------------------

lines() { tr -d '\r' <"$log" | grep -c "$1" || true; }
shows() { (($(lines "$1") >= ${2:-1})) || { tail -n 40 "$log" | tr -cd '\n\t -~' && return 1; }; }

# Bit 34 is VIRTIO_F_RING_PACKED.
packed() {
    local bits
    bits=$(tr -d '\r' <"$log" | sed -n 's/^ANYHV-MARK rng.features bits=//p' | sed -n 1p)
    [[ ${bits:32:1} == 1 && ${bits:34:1} == 1 ]]
}

# All reads were right, and each goes on behind the one before.
one_stream() {
    tr -d '\r' <"$log" | awk '
        BEGIN { last = -1 }
        /^rng-check: ok / {
            for (i = 1; i < NF; i++)
                value[$i] = $(i + 1)
            if (value["first"] <= last)
                exit wrong = 1
            last = value["last"]
            reads++
        }
        END { exit wrong || reads != 3 }' || { shows nothing && return 1; }
}

fetch_guest x86_64 >&2
mkdir -p "$(dirname "$log")"
build_outer
begin=$SECONDS
run_qemu || tap_note "QEMU ended with $?"
tap_check "a machine with KVM" shows '^ANYHV-OUTER boot'
tap_check "the guest's kernel finds the device by ACPI, with a packed ring" packed
tap_check "the guest reads $bytes bytes, every record right" shows '^ANYHV-MARK rng.read '
tap_check "meanwhile the device process is killed five times" shows '^ANYHV-OUTER kill' 5
tap_check "and each time another one goes on where it was" shows 'serving, where a predecessor was' 5
tap_check "the guest resets its machine" shows '^vmm: the machine is reset'
tap_check "and reads again, in the same stream" one_stream
tap_check "the guest powers off" shows '^ANYHV-OUTER done'
tap_note "s=$((SECONDS - begin)) $(tr -d '\r' <"$log" | grep '^rng-check' | tr '\n' ' ')"
tap_end
