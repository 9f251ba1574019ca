#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Boots a stock Debian kernel in QEMU (TCG), whose virtio-rng driver reads from a back end of ours.
#
#   qemu.sh fetch --arch ARCH        gets QEMU, kernel and compiler; needs network and root or sudo
#   qemu.sh boot --arch ARCH SOURCE [OPTION...]
#
#   ARCH                 x86_64 (machine q35, device on PCI) or aarch64 (machine virt, virtio-mmio)
#   SOURCE: --socket S       the back end that listens on S, over vhost-user
#           --source-file F  no back end: QEMU's own virtio-rng hands out the bytes of file F
#                            (more than the guest reads: QEMU spins at the end of the file)
#   --scenario A,B,...   what the guest does (see init); default features,read
#   --seed N --bytes N   what it expects, and how much it reads at a time
#   --log FILE           serial console and QEMU's messages
#   --timeout SECONDS
#
# Succeeds if the guest went through all its scenarios and powered off. Whether the guest is offered
# a packed ring is the back end's choice alone: QEMU hands the features of a vhost-user-rng back end
# through as they are, its device property "packed" has no effect there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/apt.sh
. "$here/../../scripts/lib/apt.sh"
# shellcheck source=test/guest/image.sh
. "$here/image.sh"

build=${ANYHV_BUILD:-$(anyhv_root)/build}
arch="" socket="" source_file="" scenario=features,read seed=1 bytes=1048576 timeout=60
log=$build/guest-logs/boot.log

usage() {
    sed -n '/^# Boots/,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

parse_options() {
    while (($#)); do
        (($# >= 2)) || usage
        case $1 in
        --arch) arch=$2 ;;
        --socket) socket=$2 ;;
        --source-file) source_file=$2 ;;
        --scenario) scenario=$2 ;;
        --seed) seed=$2 ;;
        --bytes) bytes=$2 ;;
        --log) log=$2 ;;
        --timeout) timeout=$2 ;;
        *) usage ;;
        esac
        shift 2
    done
    debian_arch "$arch" >/dev/null
}

# The machine itself, and the name of its console.
machine_arguments() {
    case $arch in
    x86_64) echo -machine q35 -cpu qemu64 ;;
    # Without the property, virtio-mmio of QEMU speaks the protocol from before virtio 1.0.
    aarch64) echo -machine virt -cpu cortex-a57 -global virtio-mmio.force-legacy=false ;;
    esac
}

console() { if [[ $arch == x86_64 ]]; then echo ttyS0; else echo ttyAMA0; fi; }

# -device goes to the PCI bus or to the first free virtio-mmio slot, depending on its name.
rng_arguments() {
    local suffix=""
    if [[ $socket ]]; then
        [[ $arch == x86_64 ]] && suffix=-pci
        echo -chardev "socket,id=backend,path=$socket" \
            -device "vhost-user-rng$suffix,chardev=backend"
    else
        [[ $arch == x86_64 ]] && suffix=-pci || suffix=-device
        echo -object "rng-random,id=source,filename=$source_file" \
            -device "virtio-rng$suffix,rng=source"
    fi
}

# run_qemu INITRAMFS: the guest's memory is a shared memfd, which the back end maps.
run_qemu() {
    local qemu machine rng restart=(-no-reboot)
    qemu=$(qemu_folder)
    read -ra machine <<<"$(machine_arguments)"
    read -ra rng <<<"$(rng_arguments)"
    [[ ,$scenario, == *,reboot,* ]] && restart=()
    # A QEMU in trouble may ignore SIGTERM, hence -k. The module folder is that of the unpacked
    # packages: an installed QEMU of another version may have modules, too.
    QEMU_MODULE_DIR=$(echo "$qemu"/usr/lib/*/qemu) \
        "${leash[@]}" timeout -k 2 "$timeout" "$qemu/usr/bin/qemu-system-$arch" \
        -L "$qemu/usr/share/qemu" -L "$qemu/usr/share/seabios" \
        -accel tcg "${machine[@]}" -smp 1 -m 256M \
        -object memory-backend-memfd,id=memory,size=256M,share=on -machine memory-backend=memory \
        -nodefaults -display none -serial stdio "${restart[@]}" \
        -kernel "$(kernel_image "$arch")" -initrd "$1" \
        -append "console=$(console) quiet panic=-1 anyhv.test=$scenario anyhv.seed=$seed \
anyhv.bytes=$bytes" "${rng[@]}" </dev/null >"$log" 2>&1
}

boot() {
    local initramfs=$build/guest/$arch.cpio status=0
    [[ $socket || $source_file ]] || usage
    fetch_guest "$arch"
    mkdir -p "$build/guest" "$(dirname "$log")"
    build_initramfs "$arch" "$initramfs"
    run_qemu "$initramfs" || status=$?
    ((status != 124 && status != 137)) || die "no end after $timeout s, see $log"
    ((status == 0)) || die "QEMU ended with status $status, see $log"
    grep -q 'ANYHV-MARK done' "$log" || die "the guest did not get through, see $log"
}

command=${1:-}
shift || usage
parse_options "$@"
case $command in
fetch) fetch_guest "$arch" ;;
boot) boot ;;
*) usage ;;
esac
