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

reads() { rng_read_on packed && has_marks "done"; }
both_read() { of "$1" reads && of "$2" reads; }
misused() { has_marks xen.hostile && grep -q '^hostile: ok' "$log" && reads; }
destroyed() { # GUEST
    of "$1" has_marks rng.features && ! of "$1" has_marks rng.read &&
        [[ $(of dom0 value destroyed domains) == 1 ]]
}

# replaced SIGNAL STATUS [KIND]: the second back end's stream has the next seed, which the guest's checker
# wants to have seen as well as the first one's.
replaced() {
    of dom0 grep -q "^ANYHV-MARK ended-by signal=$1 status=$2\$" "$logs/$case_name.dom0.log" &&
        of "replaced-$1${3:-}" reads && of rng grep -q 'xen.adopted' "$logs/$case_name.rng.log" &&
        [[ $(of dom0 value left-behind files) == 0 ]]
}

# Feature bit 33 is VIRTIO_F_ACCESS_PLATFORM.
granting() {
    local bits
    bits=$(of granting value rng.features bits)
    of granting reads && [[ ${bits:33:1} == 1 ]] && grep -q 'by grants' "$logs/$case_name.rng.log"
}

alone() { of alone reads && of dom0 has_marks scenario-alone; }

complaints() {
    local log=$logs/$case_name.dom0.log
    has_marks "done" || echo "the box did not get through"
    grep '^ANYHV-MARK backend-ended' "$log" | grep -v 'status=0$' || true
    grep -E 'device model set bad|BUG|Assertion' "$logs/$case_name.xen.log" || true
}
