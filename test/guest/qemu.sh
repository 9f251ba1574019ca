#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Boots a stock Debian kernel in QEMU (TCG), whose virtio drivers use back ends of ours. One that Debian
# leaves out is built from its source (see drivers.sh).
#
#   qemu.sh fetch --arch ARCH        gets QEMU, kernel and compiler; needs network and root or sudo. With
#                                    --device, what that needs, too
#   qemu.sh tree --arch aarch64      prints the device tree of its machine, as source
#   qemu.sh boot --arch ARCH OPTION...
#
#   --arch ARCH            x86_64 (machine q35, devices on PCI) or aarch64 (machine virt, virtio-mmio)
#   --device TYPE:SOCKET   a device (rng, blk, i2c, gpio or, with aarch64, scmi): the back end that
#                          listens on SOCKET; once per device
#   --kernel FOLDER        another kernel, unpacked from its package there; and modules for it: a folder of
#   --modules FOLDER       them, and a file `order` in which it names those that init is to load
#   --reconnect-ms N       QEMU connects anew, each N milliseconds, when a back end has gone
#   --scenario A,B,...     what the guest does (see init)
#   --set NAME=VALUE       a setting of a scenario
#   --dtb FILE             the guest's device tree (aarch64)
#   --init FILE            it runs this instead of our init
#   --log FILE             serial console and QEMU's messages
#   --timeout SECONDS
#   --console              its console is this terminal: no log, no time-out, and a shell unless there is
#                          a scenario; Ctrl-A X ends it
#
# Succeeds if the guest went through all its scenarios (with --init: if it came to its end) and powered
# off. Whether the guest is offered a packed ring is the back end's choice alone.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/apt.sh
. "$here/../../scripts/lib/apt.sh"
# shellcheck source=test/guest/image.sh
. "$here/image.sh"
# shellcheck source=test/guest/backends.sh
. "$here/backends.sh"
# shellcheck source=test/guest/options.sh
. "$here/options.sh"

build=${ANYHV_BUILD:-$(anyhv_root)/build}
arch=$(uname -m) reconnect="" limit=()

own_option() {
    case $1 in
    --arch) arch=$2 ;;
    --kernel) guest_kernel=$2 ;;
    --modules) guest_modules=$2 ;;
    --reconnect-ms) reconnect=,reconnect-ms=$2 ;;
    *) return 1 ;;
    esac
}

check_own_options() {
    local device
    debian_arch "$arch" >/dev/null
    [[ -z $dtb || $arch == aarch64 ]] || die "an $arch guest has no device tree (--dtb)"
    for device in "${devices[@]}"; do
        [[ $device != scmi:* || $arch == aarch64 ]] ||
            die "QEMU for $arch has no vhost-user front end for scmi, the one for aarch64 has"
    done
}

# Debian's kernel for clouds has no buses: the other one, with these modules besides.
declare -A bus_modules=([i2c]="i2c-dev i2c-virtio at24 lm75")

choose_kernel() {
    local device more
    for device in "${devices[@]}"; do
        read -ra more <<<"${bus_modules[${device%%:*}]:-}"
        ((${#more[@]})) || continue
        guest_flavour=full
        GUEST_MODULES+=("${more[@]}")
    done
}

# The machine itself, and the name of its console.
machine_arguments() {
    case $arch in
    x86_64) echo -machine q35 -cpu qemu64 ;;
    # Without the property, virtio-mmio of QEMU speaks the protocol from before virtio 1.0.
    aarch64) echo -machine virt -cpu cortex-a57 -global virtio-mmio.force-legacy=false ;;
    esac
}

console_name() { if [[ $arch == x86_64 ]]; then echo ttyS0; else echo ttyAMA0; fi; }

# -device goes to the PCI bus or to the first free virtio-mmio slot, depending on its name. QEMU offers a
# packed ring for some devices when told to, for others when the back end does. Its scmi is on PCI
# everywhere, and must not be told to: it would not tell the back end what the guest took.
device_arguments() {
    local device name count=0
    for device in "${devices[@]}"; do
        name=vhost-user-${device%%:*}
        case $arch-$device in
        *-scmi:*) name+=-pci ;;
        x86_64-*) name+=-pci,packed=on ;;
        *-i2c:* | *-gpio:*) name+=-device,packed=on ;;
        *) name+=,packed=on ;;
        esac
        count=$((count + 1))
        printf '%s\n' -chardev "socket,id=backend$count,path=${device#*:}$reconnect" \
            -device "$name,chardev=backend$count"
    done
    [[ -z $dtb ]] || printf '%s\n' -dtb "$dtb"
}

kernel_arguments() {
    echo "console=$(console_name)" quiet panic=-1
    init_arguments
}

# qemu ARGUMENT...: our machine. The module folder is that of the unpacked packages: an installed QEMU of
# another version may have modules, too.
qemu() {
    local folder machine
    folder=$(qemu_folder)
    read -ra machine <<<"$(machine_arguments)"
    QEMU_MODULE_DIR=$(echo "$folder"/usr/lib/*/qemu) \
        "${leash[@]}" "${limit[@]}" "$folder/usr/bin/qemu-system-$arch" \
        -L "$folder/usr/share/qemu" -L "$folder/usr/share/seabios" \
        -accel tcg "${machine[@]}" -smp 1 -m 256M -nodefaults -display none "$@"
}

# run_qemu INITRAMFS: the guest's memory is a shared memfd, which the back end maps.
run_qemu() {
    local device_words serial=mon:stdio restart=(-no-reboot)
    mapfile -t device_words < <(device_arguments)
    # A QEMU in trouble may ignore SIGTERM, hence -k.
    [[ $console ]] || limit=(timeout -k 2 "$timeout") serial=stdio
    [[ ,$scenario, == *.reboot,* ]] && restart=()
    qemu -object memory-backend-memfd,id=memory,size=256M,share=on -machine memory-backend=memory \
        -serial "$serial" "${restart[@]}" -kernel "$(kernel_image "$arch")" -initrd "$1" \
        -append "$(kernel_arguments | tr '\n' ' ')" "${device_words[@]}"
}

# What QEMU dumps is padded to a mebibyte, with which no kernel starts; as source it is not.
tree() {
    local dump
    [[ $arch == aarch64 ]] || die "an $arch guest has no device tree"
    fetch_guest "$arch"
    need_packages device-tree-compiler
    dump=$(mktemp "${TMPDIR:-/tmp}/anyhv-tree.XXXXXX")
    qemu -machine "dumpdtb=$dump" >&2
    dtc -q -I dtb -O dts "$dump"
    rm "$dump"
}

boot() {
    local initramfs status=0
    check_options
    check_own_options
    choose_kernel
    initramfs=$build/guest/$arch$guest_flavour.cpio
    fetch_guest "$arch"
    mkdir -p "$build/guest" "$(dirname "$log")"
    build_initramfs "$arch" "$initramfs" "$init"
    if [[ $console ]]; then
        run_qemu "$initramfs" || status=$?
    else
        run_qemu "$initramfs" </dev/null >"$log" 2>&1 || status=$?
    fi
    judge "$status" QEMU
}

command=${1:-}
shift || usage
parse_options own_option "$@"
case $command in
fetch)
    choose_kernel
    fetch_guest "$arch"
    ;;
tree) tree ;;
boot) boot ;;
*) usage ;;
esac
