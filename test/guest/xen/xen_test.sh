#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An unmodified Debian kernel in a guest of a real Xen, on an emulated Arm64 machine, reads its
# /dev/hwrng from the Xen module; the guest and the back end meet what life has. Reports TAP. There are
# two boots of the box, because one with everything would be long:
#
#   life    serve, restart of the guest, two guests at once, one that breaks the rules
#   death   destroy, pause, and the back end killed, ended, restricted
#   grants  a guest, with a kernel of ours, that shows its memory by grants
#
# The logs are in $ANYHV_BUILD/guest-logs/xen.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../../scripts/lib/tap.sh"

seed=0x616e79 timeout=600
logs=${ANYHV_BUILD:-$(anyhv_root)/build}/guest-logs/xen

# --- what the log must say --------------------------------------------------------------------------

# said WHO LOG: what WHO said, without the name before it.
said() { tr -d '\r' <"$2" | sed -n "s/^$1| //p"; }

# marks WHO LOG MARK...: WHO got to each of them.
marks() {
    local who=$1 log=$2 mark
    shift 2
    for mark in "$@"; do
        said "$who" "$log" | grep -q "^ANYHV-MARK $mark" && continue
        printf '%s did not get to "%s"; %s ends:\n' "$who" "$mark" "$log"
        tail -n 15 "$log" | tr -cd '\n\t -~'
        return 1
    done
}

# checked GUEST LOG TEXT [TIMES]: its checker found the stream right, and its report says TEXT.
checked() {
    local found
    found=$(said "$1" "$2" | grep '^rng-check: ' || true)
    [[ $(grep -c "^rng-check: ok .* $3" <<<"$found") == "${4:-1}" ]] && return
    printf 'not "%s" %s times: %s\n' "$3" "${4:-1}" "$found"
    return 1
}

hex() { printf '0x%x' "$1"; }
served() { marks one "$log" features read "done" && checked one "$log" "seed $(hex $seed)"; }
restarted() { marks again "$log" rebooting "done" && checked again "$log" "seed $(hex $seed)" 2; }
both() {
    marks left "$log" read "done" && checked left "$log" "seed $(hex $seed)" &&
        marks right "$log" read "done" && checked right "$log" "seed $(hex $seed)"
}
misused() {
    marks bad "$log" hostile read "done" && checked bad "$log" "seed $(hex $seed)" &&
        said bad "$log" | grep -q '^hostile: ok' &&
        marks bystander "$log" read "done" && checked bystander "$log" "seed $(hex $seed)"
}
destroyed() {
    marks lost "$log" features && marks dom0 "$log" "destroyed domains=1" &&
        marks next "$log" read "done" && checked next "$log" "seed $(hex $seed)"
}
paused() { marks paused "$log" read "done" && checked paused "$log" "seed $(hex $seed)"; }
# The second back end's stream has the next seed; the checker has seen both.
replaced() { # SIGNAL STATUS [KIND]
    local guest=replaced-$1${3:-}
    marks dom0 "$log" "ended-by signal=$1 status=$2" "left-behind files=0" &&
        marks "$guest" "$log" read "done" &&
        checked "$guest" "$log" "seed $(hex $((seed + 1)))" &&
        said rng "$log" | grep -q 'xen.adopted'
}
# Feature bit 33 is VIRTIO_F_ACCESS_PLATFORM.
granting() {
    local bits
    marks granting "$log" features read "done" && checked granting "$log" "seed $(hex $seed)" &&
        said rng "$log" | grep -q 'by grants'
    bits=$(said granting "$log" | sed -n 's/^ANYHV-MARK features bits=//p')
    [[ ${bits:33:1} == 1 ]]
}
alone() { marks alone "$log" read "done" && marks dom0 "$log" "scenario-alone"; }
ends_cleanly() {
    said dom0 "$log" | grep '^ANYHV-MARK backend-ended' | grep -v 'status=0$'
    said xen "$log" | grep -E 'device model set bad|BUG|Assertion' || true
}

# --- the boots --------------------------------------------------------------------------------------

# boot NAME SCENARIOS: whether it went well is read from the log.
boot() {
    local status=0
    log=$logs/$1.log
    "${leash[@]}" "$here/box.sh" boot --scenario "$2" --seed $((seed)) --timeout "$timeout" \
        --log "$log" 2>"$logs/$1.err" || status=$?
    ((status <= 1)) || die "box.sh ended with status $status"
}

if ! have apt-get || [[ $(uname -m) != x86_64 ]]; then
    echo "1..0 # SKIP the box is put together from Debian's packages on an x86_64 machine"
    exit 0
fi
mkdir -p "$logs"
rm -f "$logs"/*
"${leash[@]}" "$here/box.sh" build >&2

boot life serve,reboot,two,hostile
tap_check "a guest reads 64 KiB of records" served
tap_check "a guest that restarts finds its device again" restarted
tap_check "one process serves two guests at once" both
tap_check "a guest that breaks every rule gets its device back, another reads on" misused
tap_empty "the back ends end cleanly, Xen has nothing to complain of" ends_cleanly

boot death destroy,pause,kill,term,alone
tap_check "a guest destroyed in mid-read leaves no zombie, and the next is served" destroyed
tap_check "a guest paused in mid-read reads on" paused
tap_check "back end killed in mid-read: its successor goes on, each request is answered once" replaced KILL 137
tap_check "back end ended in mid-read: the same" replaced TERM 0
tap_check "a restricted process serves its guest, and ends with it" alone
tap_empty "the back ends end cleanly there, too" ends_cleanly

boot grants grants
tap_check "a guest shows its memory by grants" granting
tap_check "and reads on when the back end is killed" replaced KILL 137 -grants
tap_empty "the back end ends cleanly, with grants" ends_cleanly
tap_end || exit
