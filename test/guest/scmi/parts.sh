# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the arm64 guest with SCMI is made of: a stock Debian kernel of the suite below, and what of SCMI
# Debian leaves out, compiled from its own source: the transport over virtio and the driver for hwmon; besides,
# our modules. Fetched and built once. Source it after common.sh, apt.sh and lib.sh.
# shellcheck disable=SC2154 # which assigns here_guest

SCMI_SUITE=bookworm-backports # the first whose kernel has a transport apart
SCMI_SOURCE=linux-source-6.12

scmi_kernel() { printf '%s/scmi-aarch64\n' "$(anyhv_cache)"; }
scmi_headers() { printf '%s/scmi-aarch64-headers\n' "$(anyhv_cache)"; }
scmi_kbuild() { printf '%s/scmi-aarch64-kbuild\n' "$(anyhv_cache)"; }

# 6.12.95+deb12-arm64
scmi_version() { (cd "$(scmi_kernel)/boot" && echo vmlinuz-*) | sed 's/^vmlinuz-//'; }

scmi_modules() {
    local key
    key=$({ scmi_version && cat "$here_guest"/*/modules/*.c "$here_guest/scmi/parts.sh"; } | sha256sum)
    printf '%s/scmi-aarch64-modules-%s\n' "$(anyhv_cache)" "${key:0:16}"
}

# collect_sources FOLDER: the modules, in the order in which they are loaded; scenarios load the others.
collect_sources() {
    local file
    mkdir -p "$1"
    tar -x -C "$1" --strip-components=3 --wildcards -f "$(scmi_kbuild)/usr/src/$SCMI_SOURCE.tar.xz" \
        '*/drivers/firmware/arm_scmi/*.h' '*/drivers/firmware/arm_scmi/transports/virtio.c' \
        '*/drivers/hwmon/scmi-hwmon.c'
    mv "$1"/arm_scmi/* "$1/"
    cp "$here_guest"/*/modules/*.c "$1/"
    printf '%s.ko\n' scmi_transport_virtio scmi-hwmon >"$1/order"
    {
        echo "obj-m := scmi_transport_virtio.o scmi-hwmon.o"
        echo "scmi_transport_virtio-y := transports/virtio.o"
        for file in "$here_guest"/*/modules/*.c; do
            echo "obj-m += $(basename "$file" .c).o"
        done
    } >"$1/Makefile"
}

# build_modules DEST: the headers are those of the guest's architecture, the programs in them of this one.
# Without vmlinux there, nobody asks for pahole.
build_modules() {
    local dest=$1 box=$1.box headers version
    version=$(scmi_version)
    rm -rf "$box" "$dest.new"
    mkdir -p "$box" "$dest.new"
    cp -a "$(scmi_headers)/usr" "$box/"
    cp -a "$(scmi_kbuild)/usr/lib" "$box/usr/"
    headers=$box/usr/src/linux-headers-$version
    rm "$headers/vmlinux"
    echo "include ${headers%-*}-common/Makefile" >"$headers/Makefile"
    collect_sources "$box/modules"
    make -C "$headers" M="$box/modules" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- modules
    cp "$box"/modules/*.ko "$box/modules/order" "$dest.new/"
    mv "$dest.new" "$dest"
    rm -rf "$box"
}

fetch_scmi() {
    local version
    unpack_packages "$(scmi_kernel)" "$SCMI_SUITE" arm64 meta:linux-image-arm64
    version=$(scmi_version)
    unpack_packages "$(scmi_headers)" "$SCMI_SUITE" arm64 "linux-headers-$version" \
        "linux-headers-${version%-*}-common"
    unpack_packages "$(scmi_kbuild)" "$SCMI_SUITE" "$(dpkg --print-architecture)" \
        "linux-kbuild-${version%-*}" "$SCMI_SOURCE"
    need_packages make gcc-12 gcc-aarch64-linux-gnu xz-utils device-tree-compiler
    exec 8>"$(scmi_kernel).lock"
    flock 8
    [[ -d $(scmi_modules) ]] || step "building modules for $version" build_modules "$(scmi_modules)"
    exec 8>&-
}
