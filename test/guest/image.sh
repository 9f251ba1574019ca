# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a guest is made of: QEMU, a stock Debian kernel, and an initramfs with our /init, scenarios and
# checkers.
# Source it after common.sh and apt.sh. Everything fetched lands in the cache, once; delete the
# folder there to fetch anew.

# shellcheck source=test/guest/drivers.sh
. "$(dirname "${BASH_SOURCE[0]}")/drivers.sh"

# QEMU 7.2, the one in bookworm itself, loses kicks in its vhost-user-rng front end.
QEMU_SUITE=bookworm-backports
KERNEL_SUITE=bookworm

# In the order in which they need each other; which of them are built in differs between kernels.
GUEST_MODULES=(virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
    virtio_mmio virtio-rng virtio_blk)

debian_arch() {
    case $1 in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) die "unknown guest architecture '$1' (known: x86_64, aarch64)" ;;
    esac
}

qemu_folder() { printf '%s/qemu\n' "$(anyhv_cache)"; }
kernel_folder() { printf '%s/guest-%s%s\n' "$(anyhv_cache)" "$1" "${guest_flavour:+-$guest_flavour}"; }

# Another kernel than the one of kernel_folder, and what is to be loaded into it behind GUEST_MODULES: a
# folder of modules, and their file names in a file `order`.
guest_kernel="" guest_modules=""
booted_folder() { printf '%s\n' "${guest_kernel:-$(kernel_folder "$1")}"; }
kernel_image() { echo "$(booted_folder "$1")"/boot/vmlinuz-*; }

# Programs for a guest are compiled here; for another architecture with Debian's cross compiler.
guest_compiler() {
    if [[ $1 == "$(uname -m)" ]]; then
        echo cc
    else
        echo "$1-linux-gnu-gcc"
    fi
}

guest_compiler_packages() {
    if [[ $1 == "$(uname -m)" ]]; then
        echo gcc
    else
        echo "gcc-${1//_/-}-linux-gnu" "libc6-dev-$(debian_arch "$1")-cross"
    fi
}

# fetch_guest ARCH: all that a boot needs and a clean machine does not have.
fetch_guest() {
    local arch=$1 debian compiler libraries
    debian=$(debian_arch "$arch")
    unpack_packages "$(qemu_folder)" "$QEMU_SUITE" "$(dpkg --print-architecture)" \
        qemu-system-x86 qemu-system-arm qemu-system-common qemu-system-data seabios
    if [[ $guest_flavour ]]; then
        unpack_packages "$(kernel_folder "$arch")" "$KERNEL_SUITE" "$debian" "meta:linux-image-$debian" \
            "meta:linux-headers-$debian" "meta:meta:linux-headers-$debian" busybox-static
    else
        unpack_packages "$(kernel_folder "$arch")" "$KERNEL_SUITE" "$debian" \
            "meta:linux-image-cloud-$debian" busybox-static
    fi
    read -ra compiler <<<"$(guest_compiler_packages "$arch")"
    mapfile -t libraries <"$(qemu_folder)/.libraries"
    need_packages cpio gcc libc6-dev "${compiler[@]}" "${libraries[@]}"
    [[ -z $guest_flavour ]] || build_drivers "$arch"
}

# compile COMPILER SOURCE PROGRAM
compile() {
    "$1" -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Wextra -Werror -static \
        -I "$(anyhv_root)" "$2" -o "$3"
}

# copy_modules KERNEL_FOLDER DEST: copies the modules this kernel does not have built in.
copy_modules() {
    local kernel=$1 dest=$2 name file
    for name in "${GUEST_MODULES[@]}"; do
        file=$(find "$kernel" -path '*/lib/modules/*' \( -name "$name.ko" -o -name "$name.ko.xz" \))
        if [[ $file ]]; then
            if [[ $file == *.xz ]]; then xz -dc "$file"; else cat "$file"; fi >"$dest/$name.ko"
            echo "$name.ko" >>"$dest/order"
        else
            grep -q "/$name.ko$" "$(find "$kernel" -name modules.builtin)" ||
                die "$kernel has no module $name"
        fi
    done
}

# build_initramfs ARCH OUT [INIT]. Uncompressed: unpacking costs the emulated processor more than loading.
build_initramfs() {
    local arch=$1 out=$2 init=${3:-} here kernel root file
    here=$(anyhv_root)/test/guest
    kernel=$(kernel_folder "$arch")
    root=$(mktemp -d "$out.XXXXXX")
    mkdir "$root"/{bin,dev,proc,sys,tmp,modules,scenarios}
    cp "$(find "$kernel" -path '*/bin/busybox')" "$root/bin/"
    ln -s busybox "$root/bin/sh"
    install -m 755 "${init:-$here/init}" "$root/init"
    for file in "$here"/*/scenarios.sh; do
        cp "$file" "$root/scenarios/$(basename "${file%/*}").sh"
    done
    for file in "$here"/*/*_check.c; do
        compile "$(guest_compiler "$arch")" "$file" "$root/bin/$(basename "$file" .c)"
    done
    copy_modules "$(booted_folder "$arch")" "$root/modules"
    if [[ $guest_modules ]]; then
        cp "$guest_modules"/*.ko "$root/modules/"
        cat "$guest_modules/order" >>"$root/modules/order"
    fi
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >"$root.cpio"
    mv "$root.cpio" "$out"
    rm -rf "$root"
}
