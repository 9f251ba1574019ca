# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Debian's Linux sources, and drivers that its kernels leave out: built from there, once, against the
# headers that belong to the kernel. image.sh sources it.

LINUX_SOURCE=linux-source-6.1
LINUX_BUILD=linux-kbuild-6.1 # make's helpers, which run on this machine
LEFT_OUT=(drivers/i2c/busses/i2c-virtio) # files of the source tree

# shellcheck disable=SC2034 # image.sh's
guest_flavour="" # of the guest's kernel: "" is Debian's for clouds, "full" the one for real machines

source_folder() { printf '%s/uml-packages\n' "$(anyhv_cache)"; }
fetch_source() { unpack_packages "$(source_folder)" "$KERNEL_SUITE" amd64 "$LINUX_SOURCE" busybox-static; }
build_folder() { printf '%s/kbuild\n' "$(anyhv_cache)"; }

# headers_of FOLDER ARCH: makes them usable where they have been unpacked.
headers_of() {
    local headers name
    headers=$(echo "$1"/usr/src/linux-headers-*-"$(debian_arch "$2")")
    sed -i "s|^include /usr/src/|include $1/usr/src/|" "$headers/Makefile"
    for name in scripts tools; do
        ln -sfn "$(build_folder)/usr/lib/$LINUX_BUILD/$name" "$headers/$name"
    done
    printf '%s\n' "$headers"
}

# compile_drivers FOLDER ARCH DEST: of the kernel that is unpacked in FOLDER.
compile_drivers() {
    local folder=$1 arch=$2 dest=$3 work=$3.new headers cross=""
    headers=$(headers_of "$folder" "$arch")
    [[ $arch == "$(uname -m)" ]] || cross=$arch-linux-gnu-
    rm -rf "$work"
    mkdir -p "$work"
    printf '%s.c\n' "${LEFT_OUT[@]/#/$LINUX_SOURCE/}" |
        tar -x -C "$work" --strip-components=1 -T - -f "$(source_folder)/usr/src/$LINUX_SOURCE.tar.xz"
    printf 'obj-m += %s\n' "${LEFT_OUT[@]/%/.o}" >"$work/Makefile"
    make -C "$headers" M="$work" CC="${cross}gcc" CROSS_COMPILE="$cross" modules
    mkdir "$work/done"
    find "$work" -name '*.ko' -exec mv -t "$work/done" {} +
    mv "$work/done" "$dest"
    rm -rf "$work"
}

# build_drivers ARCH: puts them beside the modules that the guest's kernel has.
build_drivers() {
    local arch=$1 folder dest libraries
    folder=$(kernel_folder "$arch")
    dest=$(echo "$folder"/lib/modules/*)/updates
    [[ ! -d $dest ]] || return 0
    fetch_source
    unpack_packages "$(build_folder)" "$KERNEL_SUITE" "$(dpkg --print-architecture)" "$LINUX_BUILD"
    mapfile -t libraries <"$(build_folder)/.libraries"
    need_packages make xz-utils "${libraries[@]}"
    (
        flock 9 # two test runs may start together
        [[ -d $dest ]] || step "building drivers for $arch: ${LEFT_OUT[*]##*/}" \
            compile_drivers "$folder" "$arch" "$dest"
    ) 9>"$folder.lock"
}
