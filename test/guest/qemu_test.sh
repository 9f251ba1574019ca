#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   qemu_test.sh ARCH PROGRAMS     (x86_64 or aarch64, the folder of the back-end programs)
#
# An unmodified Debian kernel in QEMU uses our devices. Reports TAP. There are few boots, because they
# are what costs time:
#
#   packed   all devices, and their drivers taken away and given back
#   split    the same devices; then the machine restarts, and all of it again
#   broken   rng with a stream that has one wrong bit: proves that the guest would have noticed
#
# The logs are in $ANYHV_BUILD/guest-logs/ARCH.
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

(($# == 2)) || die "usage: qemu_test.sh ARCH PROGRAMS"
arch=$1 rng=$2/anyhv-rng-vhost-user blk=$2/anyhv-blk-vhost-user

if ! have apt-get && [[ ! -d $(kernel_folder "$arch") ]]; then
    echo "1..0 # SKIP not a Debian system: no way to get QEMU and a kernel"
    exit 0
fi
guests "$arch" "$here/qemu.sh" boot --arch "$arch" --timeout 60
"${leash[@]}" "$here/qemu.sh" fetch --arch "$arch"

# Guests are offered both rings or the split one alone, and Linux takes the packed one if it can.
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
boot --scenario "rng.features,rng.read,$blk_scenarios,rng.reboot"
end_backends
rng_timings
# Proves INIT-SEQUENCE, RNG-BYTES.
tap_check "rng, split" says rng_read_on split
tap_check "rng, split: reboot" says rng_restarted 2
# Proves BLK-READ, BLK-WRITE, BLK-NAME, BLK-ZEROES.
tap_check "blk, split, reboot" says blk_went_through split 2

guest_case broken
stream=$(broken_stream)
backend rng "$rng" --source="$stream"
boot --scenario rng.read
end_backends
tap_check "rng: a guest notices a corrupted record" says rng_noticed

tap_empty "the back ends end cleanly" echo -n "$backend_trouble"
tap_end || exit
