# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The rules of the tree. Each rule is a function that looks at the tree in the current folder and
# prints one line per violation, beginning with the file; silence means that the rule is kept.
#
# What counts as code: C sources and headers without their comments, and CMake files without theirs.
# A comment may name a hypervisor or a device, to give a reason; code may not: neither as identifier,
# nor in a string, nor in an #include, nor as a file's name.

# Names are found wherever no letter stands before them: vhost_user, "xen", XENSTORE, not "foxen".
hypervisors='xen|kvm|vhost|vduse|qemu|ioregionfd|loopback|jailhouse|bhyve|acrn|gunyah'
devices='rng|i2c|scmi|gpio|entropy'

# A header that needs an OS is under anyhv/linux/, or has an underscore in its name (rng_host.h).
include='^\s*#\s*include\s*+'
freestanding_header='<(stdint|stddef|stdbool|stdarg)\.h>|<anyhv/(version|types|port|mem|request|device|control)\.h>'
freestanding_header+='|<anyhv/(transport|devices)/[a-z0-9]+\.h>|"[a-z0-9_]+\.h"'

# --- looking at files -----------------------------------------------------------------------------------

# c_files FOLDER..., build_files FOLDER...
c_files() { find "$@" -name '*.[ch]' | sort; }
build_files() { find "$@" -name CMakeLists.txt -o -name '*.cmake' | sort; }

# files [FILE...]: these, or else all that people write; what a build or git makes is left out.
files() {
    if (($#)); then
        printf '%s\n' "$@"
    else
        find . \( -path ./build -o -path ./.git \) -prune -o -type f -printf '%P\n' | sort
    fi
}

# search PATTERN FILE...: see there.
search() { "${BASH_SOURCE[0]%/*}/search.pl" "$@"; }

# names WORDS FOLDER...: code and file names that contain one of WORDS.
names() {
    local pattern="(^|[^a-z])($1)" files
    shift
    mapfile -t files < <(c_files "$@" && build_files "$@")
    search "$pattern" "${files[@]}"
    printf '%s\n' "${files[@]}" | grep -iE "$pattern" | sed 's/$/: the name of the file/' || true
}

# --- names ----------------------------------------------------------------------------------------------

rule_hypervisor_names() { names "$hypervisors" lib devices; }

# devices/ is searched for what is a device's name beyond the known ones.
rule_device_names() { names "$devices|$(find devices -mindepth 1 -maxdepth 1 -printf '%f|')entropy" hv; }

# --- threads and headers --------------------------------------------------------------------------------

# One place creates threads, so that everything else can rely on having none.
rule_threads() {
    local files
    mapfile -t files < <(c_files lib devices hv | grep -vx lib/linux/worker.c)
    search '\b(pthread_create|thrd_create|clone3?|SYS_clone3?)\b' "${files[@]}"
}

# Device models: devices/x/x.c. The rest of such a folder may know an OS, unless a model includes it.
model_files() {
    local folder model
    for folder in devices/*/; do
        model=$folder$(basename "$folder").c
        [[ -f $model ]] || continue
        printf '%s\n' "$model"
        search "$include"'"' "$model" | sed -nE "s|.*\"(.*)\".*|$folder\1|p"
    done
}

# What must compile without OS and C library.
freestanding_files() {
    c_files lib/core lib/transport include/anyhv/transport
    printf 'include/anyhv/%s.h\n' version types port mem request device control
    c_files include/anyhv/devices | grep -v _
    model_files
}

rule_freestanding_headers() {
    local files
    mapfile -t files < <(freestanding_files)
    search "$include(?!($freestanding_header)\\s*\$)" "${files[@]}"
}

# --- symbols --------------------------------------------------------------------------------------------

# global_symbols ARCHIVE: what it defines for others.
global_symbols() { nm -g --defined-only "$1" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u; }

# archives FOLDER PATTERN: those of a build; that there are none must not look like a clean result.
archives() {
    local found
    found=$(find "$1" -name "$2" ! -path '*/test/*' | sort)
    printf '%s\n' "${found:-$1: no archive $2}"
}

# rule_module_symbols FOLDER: the build's folder; so below.
rule_module_symbols() {
    local archive name
    while read -r archive; do
        [[ -f $archive ]] || { printf '%s\n' "$archive" && continue; }
        name=$(basename "$archive" .a)
        name=anyhv_hv_$(tr - _ <<<"${name#libanyhv-hv-}")
        global_symbols "$archive" | grep -vx "$name" | sed "s|^|$archive: exports |" || true
        global_symbols "$archive" | grep -qx "$name" || printf '%s: does not export %s\n' "$archive" "$name"
    done < <(archives "$1" 'libanyhv-hv-*.a')
}

rule_library_symbols() {
    local archive
    while read -r archive; do
        [[ -f $archive ]] || { printf '%s\n' "$archive" && continue; }
        global_symbols "$archive" | grep -v '^anyhv_' | sed "s|^|$archive: exports |" || true
    done < <(archives "$1" 'libanyhv*.a')
}

# Tags, macros and constants that a program gets with a header of ours. X() is a table's, and undefined again.
rule_public_names() {
    local files tag macro constant
    tag='(struct|enum|union)\s+(?!anyhv_)\w+\s*[;{]'
    macro='\s*#\s*define\s+(?!ANYHV_|X\()\w'
    constant='\s+(?!ANYHV_)(?-i:[A-Z][A-Z0-9_]*)\s*(=[^=].*)?,\s*$'
    mapfile -t files < <(c_files include)
    search "^($tag|$macro|$constant)" "${files[@]}"
}

# --- every file -----------------------------------------------------------------------------------------
# These rules look at one file at a time; given names of files, they look at no others.

# JSON has no comments; prose and the settings of tools go under LICENSE without saying so.
rule_license_lines() {
    local file
    while read -r file; do
        case $file in
        LICENSE | *.json | *.md | .gitignore | .clang-format | .editorconfig) continue ;;
        esac
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2\.0' || printf '%s: has no SPDX line\n' "$file"
    done < <(files "$@")
}

# A tree that knows the machine it was written on does not build on another.
rule_machine_paths() {
    local file
    while read -r file; do
        grep -nE '(^|[^A-Za-z0-9_.~)}])/(work|root|home)(/|$|[^A-Za-z0-9_])' "$file" | sed "s|^|$file:|" || true
    done < <(files "$@")
}

# `clang-format -i FILE` mends it.
rule_format() {
    local sources
    mapfile -t sources < <(files "$@" | grep '\.[ch]$')
    clang-format --dry-run -Werror "${sources[@]}" 2>&1 |
        sed -nE 's/^([^: ]+):.*error: .*/\1: is not formatted/p' | sort -u
}

# Scripts are known by their first line, or by their ending where they are only sourced.
rule_scripts() {
    local scripts
    mapfile -t scripts < <(files "$@" | while read -r file; do
        if [[ $file == *.sh ]] || head -n 1 "$file" | grep -qaE '^#!.*[ /](ba)?sh'; then
            printf '%s\n' "$file"
        fi
    done)
    shellcheck -x -f gcc "${scripts[@]}" || true
}
