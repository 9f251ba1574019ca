# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# How the guest suites work. Source it after common.sh and tap.sh, and begin with `guests`. Then for each
# boot, called a case:
#
#   guest_case packed                         names the logs
#   backend rng PROGRAM ARGUMENT...           once per device
#   boot --scenario rng.features,rng.read     returns when the guest has ended
#   end_backends
#   tap_check "rng" says rng_read_on packed   the function finds in the log what it wants
#
# The logs of a case are CASE.log, the guest's console, and beside it what else had something to say.

here_guest=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/guest/image.sh
. "$here_guest/image.sh"
# shellcheck source=test/guest/backends.sh
. "$here_guest/backends.sh"

guest_settings=() # options of all boots, which the judges of devices add to

# guests FOLDER COMMAND...: where the logs go, and what boots a guest.
guests() {
    logs=${ANYHV_BUILD:-$(anyhv_root)/build}/guest-logs/$1
    boot_command=("${@:2}")
    work=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-guest.XXXXXX")
    sockets=$work
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$logs"
    rm -f "$logs"/*.log
}

guest_case() {
    case_name=$1
    log=$logs/$1.log
    began=$(now_us)
}

now_us() { echo "${EPOCHREALTIME//[.,]/}"; }

backend() { start_backend "$1" "$logs/$case_name.$1.log" "${@:2}"; }

# boot OPTION...: whether it went well is read from the log.
boot() {
    local devices
    mapfile -t devices < <(backend_devices)
    "${leash[@]}" "${boot_command[@]}" "${devices[@]}" "${guest_settings[@]}" --log "$log" "$@" \
        2>"$logs/$case_name.boot.log" || true
}

end_backends() {
    stop_backends
    tap_note "$case_name: took $(awk -v us=$(($(now_us) - began)) 'BEGIN { printf "%.2f s", us / 1e6 }')"
}

# --- what the log of a guest says -----------------------------------------------------------------

# mark NAME: the words with which the guest said that it first got to NAME; fails if it did not.
mark() {
    awk -v name="$1" '
        { sub(/\r+$/, "") } # a machine in a machine ends its lines with two
        !found && $1 == "ANYHV-MARK" && $2 == name { print; found = 1 }
        END { exit !found }' "$log"
}

# value NAME KEY: the value of one of these words.
value() { mark "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"; }

has_marks() {
    local name
    for name in "$@"; do
        mark "$name" >/dev/null || return 1
    done
}

# ring_is NAME RING: feature bit 32 is VIRTIO_F_VERSION_1, bit 34 VIRTIO_F_RING_PACKED.
ring_is() {
    local bits packed=0
    [[ $2 == packed ]] && packed=1
    bits=$(value "$1" bits)
    [[ ${bits:32:1} == 1 && ${bits:34:1} == "$packed" ]]
}

# says TEST [ARGUMENT...]: the function TEST holds; otherwise shows how the logs end.
says() {
    local file
    "$@" && return
    for file in "$logs/$case_name".*log; do
        echo "--- $file" && tail -n 20 "$file" | tr -cd '\n\t -~'
    done
    return 1
}
