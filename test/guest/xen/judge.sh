# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the log of a box with Xen says. Each line of it has the name of who said it before it: dom0, xen,
# a back end or a guest. Source it after lib.sh.
# shellcheck disable=SC2154 # which assigns what is said not to be

# box NAME SCENARIOS: boots it; then there is a log, CASE.WHO.log, of each that had something to say.
box() {
    guest_case "$1"
    boot --scenario "$2"
    [[ -f $log ]] && tr -d '\r' <"$log" | awk -v to="$logs/$1" '
        match($0, /^[a-zA-Z0-9-]+\| /) {
            print substr($0, RLENGTH + 1) >(to "." substr($0, 1, RLENGTH - 2) ".log")
        }'
    end_backends # there are none here: says how long it took
}

# of WHO TEST [ARGUMENT...]: the test, of what WHO said.
of() {
    local log=$logs/$case_name.$1.log
    "${@:2}"
}

said() { grep -q -- "$1" "$log"; } # TEXT, a pattern

reads() { rng_read_on "$1" && has_marks "done"; } # RING
both_read() { of "$1" reads "$3" && of "$2" reads "$3"; } # GUEST GUEST RING
misused() { has_marks xen.hostile && said '^hostile: ok' && reads split; }
destroyed() { # GUEST
    of "$1" has_marks rng.features && ! of "$1" has_marks rng.read &&
        [[ $(of dom0 value destroyed domains) == 1 ]]
}

# replaced SIGNAL STATUS [KIND]: the second back end's stream has the next seed, which the guest's checker
# wants to have seen as well as the first one's.
replaced() {
    of dom0 said "^ANYHV-MARK ended-by signal=$1 status=$2\$" && of "replaced-$1${3:-}" reads split &&
        of rng said 'xen.adopted' && [[ $(of dom0 value left-behind files) == 0 ]]
}

# Feature bit 33 is VIRTIO_F_ACCESS_PLATFORM.
granting() {
    local bits
    bits=$(of granting value rng.features bits)
    of granting reads split && [[ ${bits:33:1} == 1 ]] && of rng said 'memory by grants' &&
        of granting has_marks xen.hostile && of granting said '^hostile: ok'
}

by_hand() { of by-hand reads split && of dom0 has_marks scenario-by_hand; }
alone() { of "$1" reads split && of dom0 has_marks "ended-with-$1"; } # GUEST

# What dom0 finds in the image is what the guest read from its disk.
filled() {
    of disk reads split && of disk has_marks blk.features blk.fill blk.unbound blk.rebound &&
        [[ $(of disk value blk.sum sha256) == "$(of dom0 value disk sha256)" ]] &&
        ! of disk said 'I/O error'
}

# Every test of the plan passed, and both rings' are among them.
conforms() {
    local log=$logs/$case_name.conformance.log passed
    passed=$(value xen.conformance passed)
    grep '^not ok' "$log" || true
    said '^ok .* devmem-split/' && said '^ok .* devmem-packed/' && has_marks "done" &&
        [[ $(value xen.conformance failed) == 0 && $passed == "$(value xen.conformance planned)" ]]
}

left_out() {
    local line
    while IFS= read -r line; do tap_note "${line#\# }"; done < <(grep '^# .* leaves out' "$log")
}

complaints() {
    local log=$logs/$case_name.dom0.log
    has_marks "done" || echo "the box did not get through"
    grep '^ANYHV-MARK backend-ended' "$log" | grep -v 'status=0$' || true
    grep -E 'device model set bad|BUG|Assertion' "$logs/$case_name.xen.log" || true
}
