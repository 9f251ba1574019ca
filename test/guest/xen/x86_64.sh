# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The x86 box, for box.sh: Debian's hypervisor, tools, device model and kernel of the suite below, as
# they are. What our own programs are linked with is this machine's libxen-dev.
# shellcheck disable=SC2154 # box.sh assigns what is said not to be

# QEMU of the same suite is the machine, too: under QEMU 10 an HVM guest restarts before its kernel has
# said a word, for want of something in the emulation of SVM.
XEN_SUITE=bookworm
XEN_VERSION=4.17

XEN_PACKAGES=("xen-hypervisor-$XEN_VERSION-amd64" "xen-utils-$XEN_VERSION" xenstore-utils libxencall1
    libxendevicemodel1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenhypfs1
    "libxenmisc$XEN_VERSION" libxenstore4 libxentoolcore1 libxentoollog1 libc6 libgcc-s1 libfdt1
    libyajl2 libuuid1 zlib1g libbz2-1.0 liblzma5 libzstd1 libncurses6 libtinfo6
    meta:linux-image-amd64 busybox-static acpica-tools
    qemu-system-xen qemu-system-data seabios libglib2.0-0 libjpeg62-turbo libpixman-1-0
    libusb-1.0-0 libspice-server1 libgstreamer1.0-0 libgstreamer-plugins-base1.0-0 libopus0
    liborc-0.4-0 libssl3 libsasl2-2 libdw1 libelf1 libunwind8 libudev1 libpcre2-8-0 liblz4-1
    libstdc++6 libffi8 libcmocka0)

# shellcheck disable=SC2034 # box.sh uses them
PRESET=xen LOADER=ld-linux-x86-64.so.2 BOX_DEVICES=(rng blk test)

tools_folder() { printf '%s/xen-x86_64\n' "$(anyhv_cache)"; }
library_folders() { tools_folder; }
machine_folder() { printf '%s/xen-x86_64-qemu\n' "$(anyhv_cache)"; }

fetch_box() {
    local libraries
    unpack_packages "$(machine_folder)" "$XEN_SUITE" amd64 \
        qemu-system-x86 qemu-system-common qemu-system-data seabios
    unpack_packages "$(tools_folder)" "$XEN_SUITE" amd64 "${XEN_PACKAGES[@]}"
    mapfile -t libraries <"$(machine_folder)/.libraries"
    need_packages cpio gcc libc6-dev libcmocka-dev libxen-dev xz-utils "${libraries[@]}"
}

# --- the box ----------------------------------------------------------------------------------------

# add_to_dom0 ROOT: what only this machine's dom0 has: the device model of HVM guests with its firmware,
# and the table that tells the guests of our device.
add_to_dom0() {
    local root=$1 tools file
    tools=$(tools_folder)
    for file in "usr/lib/xen-$XEN_VERSION/boot/hvmloader" usr/share/seabios/bios-256k.bin \
        usr/share/qemu/{linuxboot,linuxboot_dma,kvmvapic}.bin; do
        install -D "$tools/$file" "$root/$file"
    done
    cp -r "$tools/usr/share/qemu/keymaps" "$root/usr/share/qemu/"
    "$tools/usr/bin/iasl" -p "$root/guest/ssdt" "$here/ssdt.asl" >&2
    copy_programs "$root" xen-qemu-system-i386 xenstore-write xenstore-rm
}

# With SMAP dom0 would die in IRET, MWAIT would fault, RDTSCP be decoded wrongly. The second line is what
# TCG lacks, and warns of.
PROCESSOR=EPYC,+svm,+npt,-smap,-monitor,-rdtscp
PROCESSOR+=,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec

# run_qemu WORK: with two processors, one for dom0 and one for its guests. Where they took turns on one,
# programs of a guest crashed.
run_qemu() {
    local qemu
    qemu=$(machine_folder)
    zcat "$(tools_folder)/boot/xen-$XEN_VERSION-amd64.gz" >"$1/xen"
    QEMU_MODULE_DIR=$(echo "$qemu"/usr/lib/*/qemu) \
        "${leash[@]}" timeout -k 2 "$timeout" "$qemu/usr/bin/qemu-system-x86_64" \
        -L "$qemu/usr/share/qemu" -L "$qemu/usr/share/seabios" -accel tcg,thread=multi -machine q35 \
        -cpu "$PROCESSOR" -smp 2 -m 2560 -nodefaults -display none -serial stdio -no-reboot \
        -kernel "$1/xen" -append "dom0_mem=1024M,max:1024M dom0_max_vcpus=1 dom0_vcpus_pin bootscrub=0 \
console=com1 com1=115200,8n1 guest_loglvl=error" \
        -initrd "$(kernel_image "$arch") $(dom0_arguments),$1/dom0.cpio"
}
