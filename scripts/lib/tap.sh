# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# How the suites that are shell scripts report: TAP on standard output, one line per check, then the
# plan. Source it, call these, and end with tap_end.

tap_count=0
tap_failed=0

tap_ok() { printf 'ok %d - %s\n' $((++tap_count)) "$1"; }

# tap_not_ok NAME [TEXT]: the text explains, as comment lines.
tap_not_ok() {
    printf 'not ok %d - %s\n' $((++tap_count)) "$1"
    tap_failed=$((tap_failed + 1))
    tap_note "${2:-}"
}

tap_skip() { printf 'ok %d - %s # SKIP %s\n' $((++tap_count)) "$1" "$2"; }

# tap_note TEXT: lines that are not results; none for an empty text.
tap_note() { [[ -z $1 ]] || printf '%s\n' "$1" | sed 's/^/# /'; }

# tap_check NAME COMMAND...: ok if the command succeeds; its output is shown if it does not.
tap_check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        tap_ok "$name"
    else
        tap_not_ok "$name" "$output"
    fi
}

# tap_empty NAME COMMAND...: ok if the command succeeds and prints nothing: it lists what is wrong.
tap_empty() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1) && [[ -z $output ]]; then
        tap_ok "$name"
    else
        tap_not_ok "$name" "${output:-failed and said nothing: $*}"
    fi
}

# refuses TEXT... -- COMMAND...: for tap_check; the command fails and its output, line breaks aside, has each TEXT.
refuses() {
    local texts=() text output
    while [[ $1 != -- ]]; do
        texts+=("$1")
        shift
    done
    shift
    if output=$("$@" 2>&1); then
        printf 'succeeded: %s\n%s\n' "$*" "$output"
        return 1
    fi
    for text in "${texts[@]}"; do
        grep -qF -- "$text" <<<"$(tr -s ' \n' ' ' <<<"$output")" || {
            printf 'does not say "%s":\n%s\n' "$text" "$output"
            return 1
        }
    done
}

# The plan, and the script's exit status.
tap_end() {
    printf '1..%d\n' "$tap_count"
    ((tap_failed == 0))
}
