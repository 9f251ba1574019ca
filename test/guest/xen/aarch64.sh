# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The Arm64 box, for box.sh: Debian's Xen tools, kernel and libraries of the suite below, the hypervisor
# compiled from Debian's source of the same version, and what our own program is linked with. Fetched or
# built once and kept in the cache.
# shellcheck disable=SC2154 # box.sh assigns what is said not to be

# The tools and the hypervisor have to be of one version. The guest and dom0 run the same kernel.
XEN_SUITE=trixie
XEN_VERSION=4.20
# Nothing newer than what the cross compiler's C library has; the libraries' interfaces are stable.
LINK_SUITE=bookworm

XEN_PACKAGES=("xen-utils-$XEN_VERSION" xen-utils-common xenstore-utils libxencall1 libxendevicemodel1
    libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenhypfs1 "libxenmisc$XEN_VERSION"
    libxenstore4 libxentoolcore1 libxentoollog1 libc6 libgcc-s1 libfdt1 libyajl2 libuuid1 zlib1g
    libbz2-1.0 liblzma5 liblzo2-2 libzstd1 libnl-3-200 libnl-route-3-200 libncurses6 libtinfo6
    meta:linux-image-arm64 busybox-static)
LINK_PACKAGES=(libxen-dev libxencall1 libxendevicemodel1 libxenevtchn1 libxenforeignmemory1
    libxengnttab1 libxenstore4 libxentoolcore1 libxentoollog1 libcmocka-dev libcmocka0
    libinih-dev libinih1)

# shellcheck disable=SC2034 # box.sh uses them
PRESET=xen-arm64 LOADER=ld-linux-aarch64.so.1 BOX_DEVICES=(rng blk test i2c scmi)

tools_folder() { printf '%s/xen-arm64\n' "$(anyhv_cache)"; }
library_folders() { tools_folder && link_folder; }
link_folder() { printf '%s/xen-arm64-sysroot\n' "$(anyhv_cache)"; }
source_folder() { printf '%s/xen-arm64-source\n' "$(anyhv_cache)"; }

# --- the hypervisor ---------------------------------------------------------------------------------

# Debian's own build for Arm has no ioreq servers.
hypervisor_config() {
    cat <<'CONFIG'
CONFIG_EXPERT=y
CONFIG_UNSUPPORTED=y
CONFIG_DEBUG=y
CONFIG_IOREQ_SERVER=y
CONFIG_GICV3=y
CONFIG
}

fetch_source() {
    local dest=$1 home
    home=$(anyhv_cache)/apt/$XEN_SUITE-source
    private_apt_config "$home" "$XEN_SUITE" arm64
    sed -i 's/^deb /deb-src /' "$home/sources.list"
    export APT_CONFIG=$home/apt.conf
    apt-get -q update
    rm -rf "$dest.new"
    mkdir -p "$dest.new"
    (cd "$dest.new" && apt-get -q source --download-only --tar-only xen)
    mv "$dest.new" "$dest"
}

xen_source_version() { (cd "$(source_folder)" && echo xen_*.orig.tar.xz) | sed "s/^xen_//; s/\.orig.*//"; }

hypervisor_folder() {
    local key
    key=$({ hypervisor_config && xen_source_version; } | sha256sum)
    printf '%s/xen-arm64-hypervisor-%s\n' "$(anyhv_cache)" "${key:0:16}"
}

# Debian's patches are to the packaging and the tools.
build_hypervisor() {
    local dest=$1 tree=$1.tree make
    rm -rf "$tree" "$dest.new"
    mkdir -p "$tree" "$dest.new"
    tar -x -C "$tree" --strip-components=1 -f "$(source_folder)"/xen_*.orig.tar.xz
    hypervisor_config >"$tree/xen/arch/arm/configs/anyhv_defconfig"
    make=(nice make -C "$tree/xen" -j "${ANYHV_JOBS:-$(nproc)}" XEN_TARGET_ARCH=arm64
        CROSS_COMPILE=aarch64-linux-gnu-)
    "${make[@]}" anyhv_defconfig
    grep -qx CONFIG_IOREQ_SERVER=y "$tree/xen/.config"
    "${make[@]}"
    cp "$tree/xen/xen" "$dest.new/"
    mv "$dest.new" "$dest"
    rm -rf "$tree"
}

# --- the guests' kernel with grants ------------------------------------------------------------------

KERNEL_SOURCE=linux-source-6.12

kernel_source_folder() { printf '%s/xen-arm64-linux\n' "$(anyhv_cache)"; }

grants_kernel() {
    local key
    key=$({ cat "$(anyhv_root)/test/guest/xen/grants.frag" &&
        cat "$(kernel_source_folder)/.wanted"; } | sha256sum)
    printf '%s/xen-arm64-kernel-%s\n' "$(anyhv_cache)" "${key:0:16}"
}

# build_grants_kernel DEST: the headers of graphics and network cards, half of the tree, are left out.
build_grants_kernel() {
    local dest=$1 tree=$1.tree fragment make refused
    fragment=$(anyhv_root)/test/guest/xen/grants.frag
    rm -rf "$tree" "$dest.new"
    mkdir -p "$tree" "$dest.new"
    tar -x -C "$tree" --strip-components=1 --exclude='*/drivers/gpu/*.[ch]' \
        --exclude='*/drivers/net/*.[ch]' -f "$(kernel_source_folder)/usr/src/$KERNEL_SOURCE.tar.xz"
    make=(nice make -C "$tree" -j "${ANYHV_JOBS:-$(nproc)}" ARCH=arm64
        CROSS_COMPILE=aarch64-linux-gnu- KBUILD_BUILD_USER=anyhv KBUILD_BUILD_HOST=anyhv)
    "${make[@]}" KCONFIG_ALLCONFIG="$fragment" allnoconfig
    refused=$(grep '^CONFIG_' "$fragment" | grep -vxFf "$tree/.config" || true)
    [[ -z $refused ]] || die "Kconfig does not honour these lines of grants.frag: $refused"
    "${make[@]}" Image
    cp "$tree/arch/arm64/boot/Image" "$dest.new/"
    mv "$dest.new" "$dest"
    rm -rf "$tree"
}

# --- kernels with drivers for chips -----------------------------------------------------------------

# Stock ones of Debian, and the drivers that these lack: of the guests under QEMU.

# shellcheck source=test/guest/scmi/parts.sh
. "$here_guest/scmi/parts.sh"

i2c_kernel() { printf '%s/guest-aarch64-full\n' "$(anyhv_cache)"; }

fetch_chips() {
    "$here_guest/qemu.sh" fetch --arch aarch64 --device i2c:none
    fetch_scmi
}

# add_guest ROOT KIND KERNEL_FOLDER MODULE...
# shellcheck disable=SC2034 # image.sh's
add_guest() {
    local guest_kernel=$3 GUEST_MODULES=(virtio virtio_ring virtio_mmio "${@:4}")
    cp "$(kernel_image "$arch")" "$1/guest/vmlinuz-$2"
    build_initramfs "$arch" "$1/guest/initramfs-$2"
}

# The firmware's node in the place of which xl copies what is there to a guest.
make_scmi_tree() {
    {
        echo '/dts-v1/;'
        sed 's/firmware {/passthrough { compatible = "simple-bus"; ranges;/' "$here_guest/scmi/agent.dtsi"
    } | dtc -q -I dts -O dtb -o "$1" -
}

# --------------------------------------------------------------------------------------------------

ANYHV_AARCH64_SYSROOT=$(link_folder) # for the preset
export ANYHV_AARCH64_SYSROOT

fetch_box() {
    local libraries
    unpack_packages "$(qemu_folder)" "$QEMU_SUITE" "$(dpkg --print-architecture)" \
        qemu-system-x86 qemu-system-arm qemu-system-common qemu-system-data seabios
    unpack_packages "$(tools_folder)" "$XEN_SUITE" arm64 "${XEN_PACKAGES[@]}"
    unpack_packages "$(link_folder)" "$LINK_SUITE" arm64 "${LINK_PACKAGES[@]}"
    mapfile -t libraries <"$(qemu_folder)/.libraries"
    unpack_packages "$(kernel_source_folder)" "$XEN_SUITE" arm64 "$KERNEL_SOURCE"
    need_packages cpio gcc libc6-dev make flex bison bc xz-utils python3 gcc-aarch64-linux-gnu \
        libc6-dev-arm64-cross "${libraries[@]}"
    exec 8>"$(source_folder).lock"
    flock 8
    [[ -d $(source_folder) ]] ||
        step "fetching the source of Xen from $XEN_SUITE" fetch_source "$(source_folder)"
    [[ -d $(hypervisor_folder) ]] ||
        step "building Xen $(xen_source_version)" build_hypervisor "$(hypervisor_folder)"
    [[ -d $(grants_kernel) ]] ||
        step "building a kernel with grants, some minutes" build_grants_kernel "$(grants_kernel)"
    exec 8>&-
    fetch_chips
}

# --- the box ----------------------------------------------------------------------------------------

# The kernel with grants has everything built in. What is in an archive behind another is added to what
# is in the first.
make_guest_without_modules() {
    local root=$1.none
    cp "$2" "$1"
    mkdir -p "$root/modules"
    : >"$root/modules/order"
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >>"$1"
}

# add_to_dom0 ROOT: what only this machine's dom0 has.
add_to_dom0() {
    cp "$(grants_kernel)/Image" "$1/guest/vmlinuz-grants"
    make_guest_without_modules "$1/guest/initramfs-grants" "$1/guest/initramfs"
    add_guest "$1" i2c "$(i2c_kernel)" i2c-dev i2c-virtio at24 lm75
    guest_modules=$(scmi_modules) add_guest "$1" scmi "$(scmi_kernel)"
    make_scmi_tree "$1/devices/scmi.dtb"
}

# run_qemu WORK: guest-loader tells Xen where dom0's kernel and initramfs are. A comma inside a property
# is written twice. One processor: with two the box stood still now and then, the one asleep and the
# other busy.
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
        -device "guest-loader,addr=0x50000000,kernel=$(kernel_image "$arch"),bootargs=$(dom0_arguments)" \
        -device "guest-loader,addr=0x60000000,initrd=$1/dom0.cpio"
}
