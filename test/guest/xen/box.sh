#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Boots a real Xen for Arm64 in QEMU (TCG), with a dom0 that runs our back ends and starts guests
# whose own drivers use them.
#
#   box.sh fetch             gets what is needed and compiles the hypervisor, once; needs network, and
#                            root or sudo
#   box.sh build             our programs for the box, into build/xen-arm64/bin
#   box.sh boot OPTION...
#
#   --scenario A,B,...   what happens in the box (see dom0_init)
#   --set NAME=VALUE     a setting of the box: verbosity, of the guests' kernels (loglevel=7), or what
#                        their scenarios know, as rng.seed and rng.bytes
#   --log FILE           the console of the box: Xen, dom0, back ends and guests
#   --timeout SECONDS
#
# Succeeds if the box went through all its scenarios and powered off.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/apt.sh
. "$here/../../../scripts/lib/apt.sh"
# shellcheck source=test/guest/image.sh
. "$here/../image.sh"
# shellcheck source=test/guest/options.sh
. "$here/../options.sh"
# shellcheck source=test/guest/xen/parts.sh
. "$here/parts.sh"
# shellcheck source=test/guest/xen/devices.sh
. "$here/devices.sh"

build=${ANYHV_BUILD:-$(anyhv_root)/build}
# --- our programs -----------------------------------------------------------------------------------

programs() { printf '%s/xen-arm64/bin\n' "$(anyhv_root)/build"; }

mapfile -t backends < <(box_devices | sed 's/\([a-z0-9]*\).*/anyhv-\1-xen/')
guest_programs=(hostile conformance)

build_programs() {
    ANYHV_AARCH64_SYSROOT=$(link_folder)
    export ANYHV_AARCH64_SYSROOT
    cd "$(anyhv_root)"
    cmake --preset xen-arm64
    cmake --build --preset xen-arm64 --target "${backends[@]}" "${guest_programs[@]/#/xen_guest_}"
}

# --- the box ----------------------------------------------------------------------------------------

# Guest and dom0 run the same kernel; the guest's initramfs is the one of the other guests.
kernel_folder() { tools_folder; }

# copy_programs ROOT NAME...: programs of the tools' packages, with the libraries that they need.
copy_programs() {
    local root=$1 tools name file
    tools=$(tools_folder)
    shift
    for name in "$@"; do
        # What is in sbin are scripts that look for the real ones.
        file=$(find "$tools"/usr/lib/xen-*/bin "$tools"/usr/bin -name "$name" | sed -n 1p)
        [[ $file ]] || die "$tools has no program $name"
        install -D "$file" "$root/${file#"$tools/"}"
    done
    copy_libraries "$root"
}

# copy_libraries ROOT: into its lib, until nothing in there asks for one that is not there. The loader is
# asked for by its path, libgcc_s when a thread ends.
copy_libraries() {
    local root=$1 tools name file missing=(ld-linux-aarch64.so.1 libc.so.6 libgcc_s.so.1)
    tools=$(tools_folder)
    while ((${#missing[@]})); do
        for name in "${missing[@]}"; do
            file=$(find "$tools/usr/lib" "$(link_folder)/usr/lib" -name "$name" | sed -n 1p)
            [[ $file ]] || die "neither $tools nor $(link_folder) has a library $name"
            cp -L "$file" "$root/lib/"
        done
        mapfile -t missing < <(comm -23 <(needed_libraries "$root") \
            <(find "$root" -name '*.so*' -printf '%f\n' | LC_ALL=C sort))
    done
}

# Scripts and modules are among the files, which readelf does not like.
needed_libraries() {
    { find "$1" -type f -exec readelf -d {} + 2>/dev/null || true; } |
        sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | LC_ALL=C sort -u
}

make_dom0() {
    local out=$1 root name
    root=$(mktemp -d "$out.XXXXXX")
    mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,dev,proc,sys,run,tmp,var,etc/xen,modules,guest}
    for name in bin sbin lib; do
        ln -s "usr/$name" "$root/$name"
    done
    install -m 755 "$here/dom0_init" "$root/init"
    : >"$root/etc/xen/xl.conf"
    cp "$here/devices.sh" "$root/"
    (cd "$(programs)" && install -m 755 "${backends[@]}" "$root/usr/bin/")
    copy_programs "$root" busybox xl xenstored xenconsoled xen-init-dom0 xenstore-read libxl-save-helper
    ln -s busybox "$root/usr/bin/sh"
    GUEST_MODULES=(xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs)
    copy_modules "$(tools_folder)" "$root/modules"
    cp "$(kernel_image aarch64)" "$root/guest/vmlinuz"
    cp "$2/guest.cpio" "$root/guest/initramfs"
    cp "$(grants_kernel)/Image" "$root/guest/vmlinuz-grants"
    cp "$2/grants.cpio" "$root/guest/initramfs-grants"
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >"$out"
    rm -rf "$root"
}

# What is in an archive behind another is added to what is in the first.
make_guest() {
    local root=$1.more name
    GUEST_MODULES=(virtio_mmio virtio-rng virtio_blk)
    build_initramfs aarch64 "$1"
    mkdir -p "$root"/{bin,lib}
    for name in "${guest_programs[@]}"; do
        install -m 755 "$(programs)/xen_guest_$name" "$root/bin/$name"
    done
    copy_libraries "$root"
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >>"$1"
}

# The kernel with grants has everything built in.
make_guest_without_modules() {
    local root=$1.none
    cp "$2" "$1"
    mkdir -p "$root/modules"
    : >"$root/modules/order"
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >>"$1"
}

make_images() {
    make_guest "$1/guest.cpio"
    make_guest_without_modules "$1/grants.cpio" "$1/guest.cpio"
    make_dom0 "$1/dom0.cpio" "$1"
}

# guest-loader tells Xen where dom0's kernel and initramfs are. A comma inside a property is written
# twice. One processor: with two the box stood still now and then, the one asleep and the other busy.
run_qemu() {
    local qemu
    qemu=$(qemu_folder)
    QEMU_MODULE_DIR=$(echo "$qemu"/usr/lib/*/qemu) \
        "${leash[@]}" timeout -k 2 "$timeout" "$qemu/usr/bin/qemu-system-aarch64" \
        -L "$qemu/usr/share/qemu" -accel tcg \
        -machine virt,virtualization=on,gic-version=3 -cpu cortex-a57 -smp 1 -m 2560 \
        -nodefaults -display none -serial stdio -no-reboot \
        -kernel "$(hypervisor_folder)/xen" \
        -append "dom0_mem=1024M dom0_max_vcpus=1 bootscrub=0 console=dtuart dtuart=/pl011@9000000" \
        -device "guest-loader,addr=0x50000000,kernel=$(kernel_image aarch64),bootargs=console=hvc0 quiet \
panic=-1 $(init_arguments | sed 's/,/,,/g' | tr '\n' ' ')" \
        -device "guest-loader,addr=0x60000000,initrd=$1/dom0.cpio" </dev/null >"$log" 2>&1
}

boot() {
    local status=0 work
    check_options
    fetch_box
    [[ -x $(programs)/anyhv-rng-xen ]] || die "no back end: run box.sh build"
    mkdir -p "$build/guest" "$(dirname "$log")"
    work=$(mktemp -d "$build/guest/xen.XXXXXX")
    make_images "$work"
    run_qemu "$work" || status=$?
    rm -rf "$work"
    judge "$status" QEMU
    grep -q '^dom0| ANYHV-MARK done' "$log" || die "the box did not get through, see $log"
}

no_other_option() { false; }

command=${1:-}
shift || usage
parse_options no_other_option "$@"
case $command in
fetch) fetch_box ;;
build)
    fetch_box
    step "building our programs for Arm64" build_programs
    ;;
boot) boot ;;
*) usage ;;
esac
