#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Boots Linux as a plain process: in User-Mode Linux the guest kernel itself is the vhost-user front
# end (virtio_uml). No hypervisor and nothing emulated, so it is up in a fraction of a second.
#
#   uml.sh build           compiles the kernel, once: from Debian's source package, uml.frag and the
#                          modules of devices, some minutes; it stays in the cache, and network and
#                          root are not needed again
#   uml.sh boot OPTION...
#
#   --device TYPE:SOCKET   a device (rng, blk, scmi, i2c or gpio): the back end that listens on SOCKET;
#                          once per device
#   --scenario A,B,...     what the guest does (see init)
#   --set NAME=VALUE       a setting of a scenario
#   --dtb FILE             the guest's device tree
#   --init FILE            it runs this instead of our init
#   --log FILE             its console
#   --timeout SECONDS
#   --console              its console is this terminal: no log, no time-out, and a shell unless there is
#                          a scenario
#
# Succeeds if the guest went through all its scenarios (with --init: if it came to its end) and powered
# off. No process of it stays behind.
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

fragment=$here/uml.frag kernel="" job="" work=""

# --- the kernel -----------------------------------------------------------------------------------

fetch_uml() {
    [[ $(uname -m) == x86_64 ]] || die "the User-Mode Linux guest needs an x86_64 machine"
    fetch_source
    need_packages cpio gcc libc6-dev
}

source_version() {
    zcat "$(source_folder)/usr/share/doc/$LINUX_SOURCE/changelog.Debian.gz" |
        sed -n '1s/.*(\(.*\)).*/\1/p'
}

# A kernel for each thing that it is made of. What is in the folder: linux, and *.ko.
uml_folder() {
    local key
    key=$({ cat "$fragment" "$here"/*/modules/*.c && source_version; } | sha256sum)
    printf '%s/uml-%s\n' "$(anyhv_cache)" "${key:0:16}"
}

# add_modules TREE: NAME.ko from modules/NAME.c of a device: what its scenarios need and Linux does not have.
add_modules() {
    local file
    mkdir -p "$1/anyhv"
    cp "$here"/*/modules/*.c "$1/anyhv/"
    for file in "$1"/anyhv/*.c; do
        echo "obj-m += $(basename "$file" .c).o"
    done >"$1/anyhv/Makefile"
}

# compile_kernel DEST: goes on where an earlier one was interrupted. What graphics and network cards have,
# half of the tree, is left out.
compile_kernel() {
    local tree=$1.tree make refused
    if [[ ! -d $tree ]]; then
        rm -rf "$tree.new"
        mkdir "$tree.new"
        "${leash[@]}" tar -x -C "$tree.new" --strip-components=1 --exclude='*/drivers/gpu/*.[ch]' \
            --exclude='*/drivers/net/ethernet/*.[ch]' --exclude='*/drivers/net/wireless/*.[ch]' \
            -f "$(source_folder)/usr/src/$LINUX_SOURCE.tar.xz"
        mv "$tree.new" "$tree"
    fi
    make=("${leash[@]}" make -C "$tree" -j "${ANYHV_JOBS:-$(nproc)}" ARCH=um SUBARCH=x86_64
        KBUILD_BUILD_USER=anyhv KBUILD_BUILD_HOST=anyhv)
    "${make[@]}" KCONFIG_ALLCONFIG="$fragment" allnoconfig
    refused=$(grep '^CONFIG_' "$fragment" | grep -vxFf "$tree/.config" || true)
    [[ -z $refused ]] || die "Kconfig does not honour these lines of uml.frag: ${refused//$'\n'/ }"
    "${make[@]}" linux modules
    add_modules "$tree"
    "${make[@]}" M="$tree/anyhv" modules
    rm -rf "$1.new"
    mkdir "$1.new"
    strip -o "$1.new/linux" "$tree/linux"
    find "$tree" -name '*.ko' -exec cp -t "$1.new" {} +
}

# build_kernel DEST: shows a dot for every 25 files. In the background, because see step in common.sh.
build_kernel() {
    local dest=$1 begin=$SECONDS status=0
    need_packages make gcc libc6-dev flex bison bc xz-utils
    printf 'building User-Mode Linux %s, this once ' "$(source_version)" >&2
    compile_kernel "$dest" </dev/null \
        > >(tee "$dest.log" | awk 'NR % 25 == 0 { printf "."; fflush() }' >&2) 2>&1 &
    job=$!
    trap 'kill "$job"' EXIT
    wait "$job" || status=$?
    trap - EXIT
    rm -rf "$dest.tree"
    if ((status)); then
        say " FAILED after $((SECONDS - begin)) s; $dest.log ends:"
        tail -n 20 "$dest.log" >&2
        return 1
    fi
    say " $((SECONDS - begin)) s"
    mv "$dest.new" "$dest"
    rm "$dest.log"
}

build() {
    fetch_uml
    kernel=$(uml_folder)
    exec 9>"$kernel.lock"
    flock 9 # two test runs may start together
    [[ -d $kernel ]] || build_kernel "$kernel"
    exec 9>&-
}

# --- the initramfs --------------------------------------------------------------------------------

# image.sh puts together the same initramfs as for other guests: for this kernel, without modules.
kernel_folder() { source_folder; }
GUEST_MODULES=()

# make_initramfs OUT: what is in an archive behind another replaces or adds to what is in the first.
make_initramfs() {
    local root=$work/more
    mkdir -p "$root/modules"
    : >"$root/modules/order"
    cp "$kernel"/*.ko "$root/modules/"
    build_initramfs "$(uname -m)" "$1" "$init"
    (cd "$root" && find . | cpio --quiet -o -H newc --owner=0:0) >>"$1"
}

# --- the guest ------------------------------------------------------------------------------------

# Where the guest's memory is a file. On a tmpfs nothing of it is written to disk; some containers
# forbid to execute what is there, which this kernel has to.
memory_folder() {
    local folder=/dev/shm
    if findmnt -n -o OPTIONS -T "$folder" | tail -n 1 | grep -qw noexec; then
        folder=${TMPDIR:-/tmp}
    fi
    printf '%s\n' "$folder"
}

kernel_arguments() {
    local device
    printf '%s\n' mem=96M "initrd=$work/initramfs" "uml_dir=$work" umid=guest quiet panic=-1 con=null
    init_arguments
    for device in "${devices[@]}"; do
        printf '%s\n' "virtio_uml.device=${device#*:}:${virtio_ids[${device%%:*}]}"
    done
    [[ -z $dtb ]] || printf '%s\n' "dtb=$dtb"
    # A kernel that panics restarts, and would so forever.
    [[ ,$scenario, == *.reboot,* ]] || printf '%s\n' noreboot
    if [[ $console ]]; then echo con0=fd:0,fd:1; else echo con0=null,fd:1; fi
}

# The kernel makes itself the leader of a session, and runs each process of the guest in one of ours.
# It ends them when it ends, unless it is killed; then its file with its own number stays.
end_guest() {
    local file=$work/guest/pid
    [[ ! -s $file ]] || kill -KILL -- "-$(<"$file")" 2>/dev/null || true
}

# The console of a guest that may read it. The end of a pipe would be the end of the terminal, and the
# guest would hang with that; so it gets what comes out of the pipe and sees no end.
open_input() {
    if [[ ! -t 0 ]]; then
        mkfifo "$work/input"
        exec 3<&0 <>"$work/input"
        "${leash[@]}" cat <&3 >"$work/input" &
        exec 3<&-
    fi
}

run_uml() {
    local arguments program=$kernel/linux
    mapfile -t arguments < <(kernel_arguments)
    TMPDIR=$(memory_folder)
    export TMPDIR
    if [[ $console ]]; then
        open_input
        "${leash[@]}" "$program" "${arguments[@]}"
    else
        # Asked to end, a kernel whose driver is stuck would write tens of megabytes instead.
        "${leash[@]}" timeout -s KILL "$timeout" "$program" "${arguments[@]}" </dev/null >"$log" 2>&1
    fi
}

boot() {
    local status=0
    check_options
    build
    work=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-uml.XXXXXX")
    trap 'end_guest; rm -rf "$work"' EXIT
    mkdir -p "$(dirname "$log")"
    make_initramfs "$work/initramfs"
    run_uml || status=$?
    judge "$status" "User-Mode Linux"
}

command=${1:-}
shift || usage
parse_options false "$@"
case $command in
build) build ;;
boot) boot ;;
*) usage ;;
esac
