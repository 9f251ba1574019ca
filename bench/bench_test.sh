#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Does every peer of anyhv-bench answer rightly, and does the library cost no more than it may?
# Instructions decide; times are shown, and have to stay within wide bounds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
build/bench/bin/anyhv-bench --self-check || status=1
build/bench/bin/anyhv-bench-ways --self-check || status=1
bench/measure --check || status=1
exit "$status"
