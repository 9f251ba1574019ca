#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target of build/fuzz: over its seeds, then for a while over what libFuzzer makes of them.
# ANYHV_FUZZ_SECONDS: how long, all together (default 20). What is worth keeping stays in
# build/fuzz/corpus/TARGET for the next time; an input that ends badly is in build/fuzz/crashes, and is
# tried again with `build/fuzz/bin/fuzz/TARGET FILE`. Reports TAP.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/common.sh
. scripts/lib/common.sh
# shellcheck source=scripts/lib/tap.sh
. scripts/lib/tap.sh

seeds=test/fuzz/seeds work=build/fuzz
# write_seeds TARGET FOLDER: a file for each line of its seeds.
write_seeds() {
    local name bytes
    rm -rf "$2"
    mkdir -p "$2"
    while IFS=: read -r name bytes; do
        printf '%b' "${bytes// /\\x}" >"$2/$name"
    done < <(grep -v '^\(#\|$\)' "$seeds/$1")
}

targets() { find "$work/bin/fuzz" -maxdepth 1 -type f -perm -u+x -printf '%f\n' | sort; }

# run NAME TARGET OPTION...: one check. libFuzzer counts what it tried.
run() {
    local name=$1 target=$2 output
    if output=$("${leash[@]}" "$work/bin/fuzz/$target" -artifact_prefix="$work/crashes/$target-" \
        -timeout=10 -print_final_stats=1 "${@:3}" 2>&1); then
        tap_ok "$name"
        tap_note "$(sed -n 's/^stat::number_of_executed_units: */inputs: /p' <<<"$output")"
    else
        tap_not_ok "$name" "$(grep -vE '^#[0-9]+\s' <<<"$output" | tail -n 40)"
    fi
}

mapfile -t all < <(targets)
tap_check "there are fuzz targets" test "${#all[@]}" -ge 1
mkdir -p "$work/crashes"
seconds=$((${ANYHV_FUZZ_SECONDS:-20} / ${#all[@]}))
for target in "${all[@]}"; do
    mkdir -p "$work/corpus/$target"
    write_seeds "$target" "$work/seeds/$target"
    run "$target: its seeds" "$target" -runs=0 "$work/seeds/$target"
    run "$target: what is made of them" "$target" -max_total_time="$seconds" \
        "$work/corpus/$target" "$work/seeds/$target"
done
tap_end
