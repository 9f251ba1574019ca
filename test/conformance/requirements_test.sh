#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Does docs/conformance.md say which test proves what? Then the same question is put to copies of the
# tree in which something is wrong: what cannot say no proves nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
# shellcheck source=scripts/lib/tap.sh
. scripts/lib/tap.sh

document=docs/conformance.md
requirements=test/conformance/requirements.txt
a_test=test/conformance/conf_split.c
scratch=$(mktemp -d "${TMPDIR:-/tmp}/anyhv-requirements.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
copy=$scratch/tree
mkdir "$copy"
tar -c docs test | tar -x -C "$copy"

# edit FILE SED-EXPRESSION: changes a file of the copy; that nothing changes is an error.
edit() {
    cp "$copy/$1" "$scratch/before"
    sed -i "$2" "$copy/$1"
    ! cmp -s "$copy/$1" "$scratch/before"
}

# refused FILE SED-EXPRESSION REASON: with the file changed the check fails, and says so.
refused() {
    local output status=0
    edit "$1" "$2" || return 1
    output=$(scripts/conformance --root "$copy" --check 2>&1) || status=$?
    cp "$scratch/before" "$copy/$1"
    printf '%s\n' "$output"
    ((status == 1)) && grep -qF "$3" <<<"$output"
}

# untested ID: a requirement that nobody cites is written down as such, and counted.
untested() {
    printf '\n%s  MUST  have a test.\n' "$1" >>"$copy/$requirements"
    scripts/conformance --root "$copy" | grep -qx "untested: $1"
    grep -q "^| $1 | must | have a test\. | \*\*untested\*\* |" "$copy/$document"
    grep -q '^| must .* \*\*1\*\* |$' "$copy/$document"
    cp "$requirements" "$copy/$requirements"
    cp "$document" "$copy/$document"
}

tap_check "$document and docs/scmi.md say what the tests prove" scripts/conformance --check
tap_check "notices an edited docs/scmi.md" refused docs/scmi.md 's/SCMI-CLOCK-RATES/SCMI-CLOCK/' \
    'docs/scmi.md: is not what the tests say'
tap_check "notices an edited document" refused "$document" 's/SPLIT-USED-ID/SPLIT-USED/' \
    'is not what the tests say'
tap_check "notices a citation that is gone" refused "$a_test" 's/SPLIT-USED-ID, //' 'is not what the tests say'
tap_check "notices an unknown id" refused "$a_test" 's/SPLIT-USED-ID, /SPLIT-USED-ID, SPLIT-NO-SUCH, /' \
    'used.element proves SPLIT-NO-SUCH, which'
tap_check "notices a requirement that is gone" refused "$requirements" '/^SPLIT-USED-ID /d' \
    'proves SPLIT-USED-ID, which'
tap_check "notices a citation of what does not apply" refused "$a_test" 's/SPLIT-USED-ID, /CCW, /' \
    'proves CCW, which does not apply'
tap_check "notices a test that was not built" refused "$a_test" 's/{"split.used.element"/{"split.used.x"/' \
    'split.used.x: no suite runs such a test'
tap_check "notices a citation above no test" refused "$a_test" \
    's/^static struct drv_ring \*ring_a/\/* Proves SPLIT-USED-ID. *\/\n&/' 'stands above no test'
tap_check "notices a citation without its end" refused "$a_test" 's/SPLIT-USED-ID, .*\./SPLIT-USED-ID, too/' \
    'does not end with'
tap_check "notices an id that is there twice" refused "$requirements" 's/^SPLIT-USED-ID .*/&\n&/' \
    'SPLIT-USED-ID stands there twice'
tap_check "notices a line that makes no sense" refused "$requirements" 's/^SPLIT-USED-ID  TEXT/SPLIT-USED-ID/' \
    'neither a section, nor'
tap_check "shows what is untested" untested TEST-PLANTED
tap_end
