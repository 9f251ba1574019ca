#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Boots a real Xen in QEMU (TCG), with a dom0 that runs our back ends and starts guests whose own drivers
# use them.
#
#   box.sh fetch --arch ARCH      gets what is needed and compiles what there is to compile, once; needs
#                                 network, and root or sudo
#   box.sh build --arch ARCH      our programs for the box
#   box.sh boot --arch ARCH OPTION...
#
#   --arch ARCH          aarch64 (hypervisor from source) or x86_64 (Debian's, HVM guests)
#   --scenario A,B,...   what happens in the box (see dom0_init)
#   --set NAME=VALUE     a setting of the box: verbosity, of the guests' kernels (loglevel=7), or what
#                        their scenarios know, as rng.seed and rng.bytes
#   --log FILE           the console of the box: Xen, dom0, back ends and guests
#   --timeout SECONDS
#
# Succeeds if the box went through all its scenarios and powered off. What differs between the machines
# is in ARCH.sh, and for dom0 in dom0_ARCH.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
here_guest=$(dirname "$here")
# shellcheck source=scripts/lib/common.sh
. "$here/../../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/apt.sh
. "$here/../../../scripts/lib/apt.sh"
# shellcheck source=test/guest/image.sh
. "$here/../image.sh"
# shellcheck source=test/guest/options.sh
. "$here/../options.sh"
# shellcheck source=test/guest/xen/devices.sh
. "$here/devices.sh"

build=${ANYHV_BUILD:-$(anyhv_root)/build}
arch=$(uname -m)

# --- our programs -----------------------------------------------------------------------------------

programs() { printf '%s/build/%s/bin\n' "$(anyhv_root)" "$PRESET"; }

guest_programs=(hostile conformance)

build_programs() {
    cd "$(anyhv_root)"
    cmake --preset "$PRESET"
    cmake --build --preset "$PRESET" --target "${backends[@]}" "${guest_programs[@]/#/xen_guest_}"
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
        file=$(find "$tools" -path "*/bin/$name" -o -path "*/libexec/$name" | sed -n 1p)
        [[ $file ]] || die "$tools has no program $name"
        install -D "$file" "$root/${file#"$tools/"}"
    done
    copy_libraries "$root"
}

# copy_libraries ROOT: into its lib, until nothing in there asks for one that is not there. The loader is
# asked for by its path, libgcc_s when a thread ends.
copy_libraries() {
    local root=$1 folders name file missing=("$LOADER" libc.so.6 libgcc_s.so.1)
    mapfile -t folders < <(library_folders)
    while ((${#missing[@]})); do
        for name in "${missing[@]}"; do
            file=$(find "${folders[@]}" -path "*/lib/*" -name "$name" | sed -n 1p)
            [[ $file ]] || die "no library $name in ${folders[*]}"
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
    local out=$1 root=$2/dom0 name
    mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,dev,proc,sys,run,tmp,var,etc/xen,modules,guest}
    for name in bin sbin lib; do
        ln -s "usr/$name" "$root/$name"
    done
    ln -s lib "$root/lib64"
    install -m 755 "$here/dom0_init" "$root/init"
    cp "$here/dom0_$arch" "$root/machine"
    : >"$root/etc/xen/xl.conf"
    cp "$here/devices.sh" "$root/"
    mkdir "$root/devices"
    cp "$here_guest"/i2c/*.ini "$here_guest/scmi/board.conf" "$root/devices/"
    (cd "$(programs)" && install -m 755 "${backends[@]}" "$root/usr/bin/")
    cp "$(kernel_image "$arch")" "$root/guest/vmlinuz"
    cp "$2/guest.cpio" "$root/guest/initramfs"
    add_to_dom0 "$root"
    copy_programs "$root" busybox xl xenstored xenconsoled xen-init-dom0 xenstore-read libxl-save-helper
    ln -s busybox "$root/usr/bin/sh"
    GUEST_MODULES=(xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs)
    copy_modules "$(tools_folder)" "$root/modules"
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >"$out"
}

# What is in an archive behind another is added to what is in the first.
make_guest() {
    local root=$1.more name
    GUEST_MODULES=(virtio virtio_ring virtio_mmio virtio-rng virtio_blk)
    build_initramfs "$arch" "$1"
    mkdir -p "$root"/{bin,lib}
    ln -s lib "$root/lib64"
    for name in "${guest_programs[@]}"; do
        install -m 755 "$(programs)/xen_guest_$name" "$root/bin/$name"
    done
    copy_libraries "$root"
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >>"$1"
}

# dom0's command line, for where a comma separates and is written twice if it does not.
dom0_arguments() {
    local words
    mapfile -t words < <(init_arguments)
    echo "console=hvc0 quiet panic=-1 ${words[*]//,/,,}"
}

boot() {
    local status=0 work
    check_options
    fetch_box
    [[ -x $(programs)/anyhv-rng-xen ]] || die "no back end: run box.sh build"
    mkdir -p "$build/guest" "$(dirname "$log")"
    work=$(mktemp -d "$build/guest/xen.XXXXXX")
    make_guest "$work/guest.cpio"
    make_dom0 "$work/dom0.cpio" "$work"
    run_qemu "$work" </dev/null >"$log" 2>&1 || status=$?
    rm -rf "$work"
    judge "$status" QEMU
    grep -q '^dom0| ANYHV-MARK done' "$log" || die "the box did not get through, see $log"
}

own_option() {
    [[ $1 == --arch ]] && arch=$2
}

command=${1:-}
shift || usage
parse_options own_option "$@"
[[ -f $here/$arch.sh ]] || die "there is no box for '$arch' (--arch), but for aarch64 and x86_64"
# shellcheck source=test/guest/xen/aarch64.sh
. "$here/$arch.sh"
mapfile -t backends < <(printf 'anyhv-%s-xen\n' "${BOX_DEVICES[@]}")
case $command in
fetch) fetch_box ;;
build)
    fetch_box
    step "building our programs for the box" build_programs
    ;;
boot) boot ;;
*) usage ;;
esac
