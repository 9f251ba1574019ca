#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   uml_test.sh PROGRAMS     (the folder of the back-end programs)
#
# Linux as a plain process (see uml.sh) uses our devices, half a second each time. Reports TAP.
#
#   packed    all devices, and their drivers taken away and given back
#   split     the same, then the kernel restarts, and all of it again
#   broken    rng with a stream that has one wrong bit: proves that the guest would have noticed
#   hanging   a guest that does not end: it is ended, and no process of it stays
#   shell     scripts/guest
#
# The logs are in $ANYHV_BUILD/guest-logs/uml.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
. "$here/../../scripts/lib/common.sh"
# shellcheck source=scripts/lib/tap.sh
. "$here/../../scripts/lib/tap.sh"
# shellcheck source=test/guest/lib.sh
. "$here/lib.sh"
# shellcheck source=test/guest/rng/judge.sh
. "$here/rng/judge.sh"
# shellcheck source=test/guest/blk/judge.sh
. "$here/blk/judge.sh"

(($# == 1)) || die "usage: uml_test.sh PROGRAMS"
programs=$1
rng=$programs/anyhv-rng-vhost-user blk=$programs/anyhv-blk-vhost-user

guest_processes() { pgrep -af "virtio_uml.device=$sockets/" || true; }

shell_answers() {
    echo "echo sum=\$((6 * 7)); exit" |
        timeout 30 "$here/../../scripts/guest" uml "$rng" --simulate=1 >"$log" 2>&1
    grep -q '^sum=42' "$log" && grep -q 'driver virtio_rng' "$log"
}

if [[ $(uname -m) != x86_64 ]]; then
    echo "1..0 # SKIP User-Mode Linux needs an x86_64 machine"
    exit 0
fi
if ! have apt-get && [[ -z $(find "$(anyhv_cache)" -path '*/uml-*/linux' 2>/dev/null) ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get a kernel's sources"
    exit 0
fi
guests uml "$here/uml.sh" boot --timeout 60
"${leash[@]}" "$here/uml.sh" build

guest_case packed
backend rng "$rng" --simulate="$rng_seed" --features=packed
disk_backends packed "$blk"
boot --scenario "rng.features,rng.read,rng.rebind,$blk_scenarios"
end_backends
rng_timings
# Proves INIT-SEQUENCE, RNG-BYTES.
tap_check "rng, packed" says rng_read_on packed
# Proves FEATURES-AGAIN.
tap_check "rng, packed: rebind while reading" says rng_rebound
# Proves BLK-READ, BLK-WRITE, BLK-NAME, BLK-ZEROES.
tap_check "blk, packed" says blk_went_through packed 1

guest_case split
backend rng "$rng" --simulate="$rng_seed" --features=-packed
disk_backends -packed "$blk"
boot --scenario "rng.features,rng.read,rng.rebind,$blk_scenarios,rng.reboot"
end_backends
rng_timings
# Proves INIT-SEQUENCE, RNG-BYTES.
tap_check "rng, split" says rng_read_on split
# Proves FEATURES-AGAIN.
tap_check "rng, split: rebind while reading, restart" says rng_restarted 6
# Proves BLK-READ, BLK-WRITE, BLK-NAME, BLK-ZEROES.
tap_check "blk, split, restart" says blk_went_through split 2

guest_case broken
stream=$(broken_stream)
backend rng "$rng" --source="$stream"
boot --scenario rng.read
end_backends
tap_check "rng: a guest notices a corrupted record" says rng_noticed

guest_case hanging
backend rng "$rng" --simulate="$rng_seed"
boot --scenario guest.hang --timeout 1
tap_check "a guest that hangs is ended" grep -q 'no end after 1 s' "$logs/hanging.boot.log"
tap_empty "nothing of it stays" guest_processes
end_backends

guest_case shell
tap_check "scripts/guest gives a shell" says shell_answers

tap_empty "the back ends end cleanly" echo -n "$backend_trouble"
tap_end || exit
