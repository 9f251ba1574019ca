#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Can the suites fail? Copies the tree to build/mutation/src, plants one bug at a time there, and runs
# the suite that has to notice it, with the copy's own scripts/check. Each file of mutants/ is one bug:
#
#   # SPDX-License-Identifier: Apache-2.0
#   what: the bug in a few words
#   suite: the suite that must turn red
#   program: the test program or script of that suite that has to notice
#   limit: seconds, optional: when that program counts as hanging, which is noticed too
#   file: where it is planted
#   replace:
#   whole lines of that file, which stand there exactly once
#   with:
#   whole lines, or none
#
# A mutant whose lines are gone fails: the code has moved on, and the mutant must follow.
#
# mutation_test.sh [NAME...]: only these mutants (names of files, without folder and ending).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
# shellcheck source=scripts/lib/tap.sh
. scripts/lib/tap.sh

work=$PWD/build/mutation
tree=$work/src
log=$work/log

copy_tree() {
    rm -rf "$work"
    mkdir -p "$tree"
    tar -c --exclude=./build --exclude=./.git . | tar -x -C "$tree"
}

# --- mutants --------------------------------------------------------------------------------------------

# field MUTANT NAME: one of the lines before `replace:`.
field() { sed -n "/^replace:$/q; s/^$2: *//p" "$1"; }

old_lines() { sed -n '1,/^replace:$/d; /^with:$/q; p' "$1"; }
new_lines() { sed '1,/^with:$/d' "$1"; }

# plant MUTANT FILE: replaces the lines, or says why it cannot.
plant() {
    local text old new before
    # The dot keeps the newlines at the end, which $() would drop.
    text=$(cat "$2" && printf .) old=$(old_lines "$1" && printf .) new=$(new_lines "$1" && printf .)
    text=$'\n'${text%.} old=$'\n'${old%.} new=$'\n'${new%.}
    before=${text%%"$old"*}
    if [[ $before == "$text" ]]; then
        printf 'these lines are not in %s:%s' "$2" "$old"
    elif [[ ${text#*"$old"} == *"$old"* ]]; then
        printf 'these lines are in %s more than once:%s' "$2" "$old"
    else
        text=$before$new${text#*"$old"}
        printf '%s' "${text#$'\n'}" >"$2"
        return 0
    fi
    return 1
}

# --- suites ---------------------------------------------------------------------------------------------

# check MUTANT [SECONDS]: runs its suite, as far as it matters.
check() {
    ANYHV_COMMAND_LIMIT=${2:-} "$tree/scripts/check" --stop --only "$(field "$1" program)" \
        "$(field "$1" suite)" >"$log" 2>&1
}

# where MUTANT: what has to notice it.
where() { echo "$(field "$1" suite)/$(field "$1" program)"; }

failures() { grep '^FAILED ' "$log" || true; }

# Whatever was skipped, nothing passed or failed: there is no /dev/kvm, say.
cannot_run() { tail -n 1 "$log" | grep -q '^0 passed, 0 failed, [1-9][0-9]* skipped$'; }

# is_noticed MUTANT: plants it, runs its suite, takes it out again. The suite has to fail by a test: a
# mutant that does not build says nothing about the tests.
is_noticed() {
    local file limit saved=$work/saved result=0
    file=$tree/$(field "$1" file)
    cp "$file" "$saved"
    plant "$1" "$file" || return 1
    limit=$(field "$1" limit)
    check "$1" "${limit:-60}" && result=1
    cp "$saved" "$file"
    if ((result)); then
        printf '%s stays green\n' "$(where "$1")"
    elif ! failures | grep -qv ": build:"; then
        printf 'it does not build:\n'
        tail -n 25 "$log"
        result=1
    else
        failures
    fi
    return "$result"
}

report() {
    local mutant=$1 name output begin=$SECONDS
    name="$(where "$mutant"): $(field "$mutant" what) ($(basename "$mutant" .mutant))"
    if [[ ! ${green[$(where "$mutant")]:-} ]]; then
        tap_not_ok "$name" "not tried: it is red without it"
    elif output=$(is_noticed "$mutant"); then
        tap_ok "$name"
        tap_note "$output ($((SECONDS - begin)) s)"
    elif cannot_run; then
        tap_skip "$name" "its suite cannot run here"
    else
        tap_not_ok "$name" "$output"
    fi
}

has_mutant() {
    local mutant
    for mutant in "$here"/mutants/*.mutant; do
        [[ $(field "$mutant" suite) != "$1" ]] || return 0
    done
    printf 'no file of test/mutation/mutants says "suite: %s"\n' "$1"
    return 1
}

if (($#)); then
    mutants=("${@/#/$here/mutants/}")
    mutants=("${mutants[@]/%/.mutant}")
else
    mutants=("$here"/mutants/*.mutant)
    for suite in $(scripts/check --list | awk '{ print $1 }'); do
        [[ $suite == mutation ]] || tap_check "$suite has a mutant" has_mutant "$suite"
    done
fi

copy_tree
# What passes without a mutant, by suite and program: what has just passed in the tree is not run again in
# its copy.
declare -A green=()
for mutant in "${mutants[@]}"; do
    place=$(where "$mutant")
    [[ ! ${green[$place]+known} ]] || continue
    green[$place]=""
    if [[ " ${ANYHV_PASSED:-} " == *" ${place%%/*} "* ]]; then
        green[$place]=yes
    elif check "$mutant"; then
        green[$place]=yes
        tap_ok "$place is green without a mutant"
    else
        tap_not_ok "$place is green without a mutant" "$(failures)"
    fi
done
for mutant in "${mutants[@]}"; do
    report "$mutant"
done
tap_end
