# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What uml.sh and qemu.sh have in common: most of their options, and how a boot is judged. Source it
# after common.sh.

devices=() settings=() scenario="" dtb="" init="" console="" timeout=60
log=${ANYHV_BUILD:-$(anyhv_root)/build}/guest-logs/boot.log

# usage: the comment at the script's beginning.
usage() {
    sed -n '/^# Boots/,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
}

# parse_option OPTION VALUE: fails if it is none of these.
parse_option() {
    case $1 in
    --device) devices+=("$2") ;;
    --scenario) scenario=$2 ;;
    --set) settings+=("$2") ;;
    --dtb) dtb=$2 ;;
    --init) init=$2 ;;
    --log) log=$2 ;;
    --timeout) timeout=$2 ;;
    *) return 1 ;;
    esac
}

# parse_options OWN WORD...: OWN is a function like parse_option, for the options that differ.
parse_options() {
    local own=$1
    shift
    while (($#)); do
        [[ $1 == --console ]] && console=1 && shift && continue
        (($# >= 2)) || usage
        parse_option "$1" "$2" || "$own" "$1" "$2" || usage
        shift 2
    done
}

check_options() {
    local word
    for word in "$dtb" "$init"; do
        [[ -z $word || -f $word ]] || die "no such file: $word"
    done
    for word in "${devices[@]}"; do # neither a kernel's command line nor QEMU's options can quote
        [[ $word =~ ^[a-z0-9]+:[^[:space:],:]+$ ]] ||
            die "not TYPE:SOCKET, or a space, comma or colon in it: $word"
        [[ ${virtio_ids[${word%%:*}]:-} ]] ||
            die "no guest knows a device '${word%%:*}', but: ${!virtio_ids[*]}"
    done
    for word in "$scenario" "${settings[@]}"; do
        [[ $word != *[[:space:]]* ]] || die "a space in '$word': a kernel's command line cannot quote"
    done
    [[ $scenario || $init || $console ]] || die "what is the guest to do? (--scenario, --init or --console)"
}

# What the kernel's command line says to our init.
init_arguments() {
    printf '%s\n' "anyhv.test=${scenario:-guest.shell}" "${settings[@]/#/anyhv.}"
}

# judge STATUS NAME: whether the guest, a program NAME that ended so, came to its end, and got through.
judge() {
    local status=$1
    [[ -z $console ]] || return "$status"
    ((status != 124 && status != 137)) || die "no end after $timeout s, see $log"
    ((status == 0)) || die "$2 ended with status $status, see $log"
    [[ $init ]] || grep -q 'ANYHV-MARK done' "$log" || die "the guest did not get through, see $log"
}
