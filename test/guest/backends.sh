# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Back ends that guests are to use: what device a program is, how it is started and ended. Source it
# after common.sh.
# shellcheck disable=SC2154 # which assigns leash
#
#   start_backend NAME LOG PROGRAM ARGUMENT...   listens at $sockets/NAME when this returns
#   stop_backend NAME                            as an operator would
#   kill_backend NAME                            as if it had crashed
#   backend_devices                              for boots: --device TYPE:SOCKET of each that runs

# --- devices --------------------------------------------------------------------------------------

# By the word that a program has for itself: VIRTIO's number, and what QEMU calls the device.
declare -A virtio_ids=([rng]=4 [blk]=2 [scmi]=32 [i2c]=34 [gpio]=41)

# device_type PROGRAM [ARGUMENT...]: the program's word for what it is, if guests know such a device. Of
# those that QEMU has no word for, it is in the complaint.
device_type() {
    local output type status=0
    output=$("$@" --print-capabilities 2>&1 </dev/null) || status=$?
    type=$(sed -n 's/^ *"type": "\(.*\)".*/\1/p; s/.* have no type for the \(.*\) device$/\1/p' <<<"$output")
    [[ $status == 0 || $type ]] ||
        die "$1 is no vhost-user back end, or its arguments are wrong; it says: ${output:-nothing}"
    [[ $type != block ]] || type=blk
    [[ ${virtio_ids[${type:-none}]:-} ]] ||
        die "$1 is a device of type '$type': guests have drivers for ${!virtio_ids[*]}"
    printf '%s\n' "$type"
}

# --- programs -------------------------------------------------------------------------------------

declare -A backend_pid=() backend_type=() # of those that run, by name
backend_trouble=""                        # how those ended that should have ended well
sockets=""                                # the folder of the sockets

# listens SOCKET: flag 00010000 is the kernel's for a socket that accepts connections. (The file alone may
# be the rest of a program that was killed.)
listens() {
    awk -v path="$1" '$4 == "00010000" && $8 == path { found = 1 } END { exit !found }' /proc/net/unix
}

start_backend() {
    local name=$1 log=$2 socket=$sockets/$1 tries=100
    shift 2
    backend_type[$name]=$(device_type "$@") || exit
    "${leash[@]}" "$@" --socket-path="$socket" </dev/null >>"$log" 2>&1 &
    backend_pid[$name]=$!
    until listens "$socket"; do
        if ((tries-- == 0)) || ! kill -0 "${backend_pid[$name]}" 2>/dev/null; then
            tail -n 20 "$log" >&2
            die "$1 does not listen; that is the end of what it said"
        fi
        sleep 0.05
    done
}

# It is given time to end, and force then; either is noted if it should not be.
stop_backend() {
    local pid=${backend_pid[$1]} status=0 tries=100
    kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        ((tries-- > 0)) || kill -KILL "$pid"
        sleep 0.05
    done
    wait "$pid" || status=$?
    ((status == 0 || status == 143)) || backend_trouble+="$1 ended with status $status. "
    unset "backend_pid[$1]"
}

kill_backend() {
    kill -KILL "${backend_pid[$1]}"
    wait "${backend_pid[$1]}" 2>/dev/null || true
    unset "backend_pid[$1]"
}

stop_backends() {
    local name
    for name in "${!backend_pid[@]}"; do
        stop_backend "$name"
    done
}

# Two words per line of output, in the order of the names: a guest's first disk is the first of them.
backend_devices() {
    local name
    for name in $(printf '%s\n' "${!backend_pid[@]}" | sort); do
        printf '%s\n' --device "${backend_type[$name]}:$sockets/$name"
    done
}
