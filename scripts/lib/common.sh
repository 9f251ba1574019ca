# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What every script of the project shares. Source it, do not run it:
#
#   set -euo pipefail
#   . "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/common.sh"
#
# Words for people go to standard error: standard output belongs to the caller (TAP, paths).

# No script ends without a word because `set -e` met a command that failed.
set -o errtrace
trap 'say "${BASH_SOURCE[0]##*/}:$LINENO: failed: $BASH_COMMAND"' ERR

say() { printf '%s\n' "$*" >&2; }

# die WHAT...: ends the script and says which line of which file gave up.
die() {
    say "${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}: $*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# The root of the source tree.
anyhv_root() { (cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd); }

# Where fetched things stay: outside the build folder, which may be deleted at will.
anyhv_cache() { printf '%s\n' "${ANYHV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/anyhv}"; }

# step TEXT COMMAND...: runs a command or function that takes a while. Shows the text at once and
# the seconds when it is through; of its output nothing, or the end of it when it fails.
#
# The command runs in the background because bash ignores `set -e` inside a function whose status
# is tested. For the same reason do not test the status of step itself when it runs a function.
step() {
    local text=$1 log status=0 begin=$SECONDS
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/anyhv-step.XXXXXX")
    printf '%s ... ' "$text" >&2
    "$@" >"$log" 2>&1 </dev/null &
    wait $! || status=$?
    if ((status == 0)); then
        say "$((SECONDS - begin)) s"
    else
        say "FAILED after $((SECONDS - begin)) s (status $status): $*"
        tail -n 20 "$log" | sed 's/^/    /' >&2
    fi
    rm -f "$log"
    return "$status"
}

# Before a program's name: the program ends when the script does, even if that is killed.
# shellcheck disable=SC2034
leash=(setpriv --pdeathsig TERM --)
