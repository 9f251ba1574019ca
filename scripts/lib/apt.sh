# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Debian packages, in two ways. Source it after common.sh.
#
#   need_packages PKG...                    installs on this machine what is missing
#   unpack_packages DEST SUITE ARCH PKG...  unpacks packages of any suite and architecture into a
#                                           folder; the machine itself stays as it is

# --- installing --------------------------------------------------------------------------------

apt_as_root() {
    local sudo=()
    if ((EUID != 0)); then
        have sudo || die "needs root or sudo: apt-get $*"
        sudo=(sudo)
    fi
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null
}

apt_install() { apt_as_root install -y --no-install-recommends "$@"; }

# Only a machine whose package lists are missing or stale fails the first attempt: refresh them.
apt_install_or_update() {
    apt_install "$@" && return
    apt_as_root update
    apt_install "$@"
}

# Of the packages given, those that are installed. dpkg-query fails if it knows not all of them.
installed_packages() {
    { dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true; } |
        sed -n 's/ installed$//p'
}

need_packages() {
    local package installed missing=()
    installed=$(installed_packages "$@")
    for package in "$@"; do
        grep -qxF -- "${package%%:*}" <<<"$installed" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    have apt-get || die "not a Debian system (no apt-get); please install: ${missing[*]}"
    ((EUID == 0)) || have sudo || die "needs root or sudo to install: ${missing[*]}"
    step "installing with apt: ${missing[*]}" apt_install_or_update "${missing[@]}"
}

# --- unpacking ---------------------------------------------------------------------------------

# The archive this machine itself installs from. Asking apt covers every way to write that down.
debian_mirror() {
    local codename mirror
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    mirror=$(apt-get -o Debug::NoLocking=1 update --print-uris |
        sed -nE "s#^'(.*)/dists/($codename|stable|oldstable)/InRelease' .*#\1#p" | sed -n 1p)
    [[ $mirror ]] || die "apt's sources name no Debian archive for '$codename'"
    printf '%s\n' "$mirror"
}

# private_apt_config FOLDER SUITE ARCH: an apt of its own; lists, status and cache are in FOLDER.
private_apt_config() {
    local home=$1 suite=$2 arch=$3 options="" mirror
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ -f $keyring ]] && options="[signed-by=$keyring]"
    mirror=$(debian_mirror)
    mkdir -p "$home"/{lists,cache}/partial
    : >"$home/status"
    printf 'deb %s %s %s main\n' "$options" "$mirror" "$suite" >"$home/sources.list"
    # The machine's own apt.conf.d stays in force (it may name a proxy), but for its hooks and pins.
    cat >"$home/apt.conf" <<CONF
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::Etc { sourcelist "$home/sources.list"; sourceparts "-"; };
Dir::Etc { preferences "-"; preferencesparts "-"; };
Dir::State "$home";
Dir::State::status "$home/status";
Dir::Cache "$home/cache";
CONF
}

# Turns meta:PKG into what that package depends on: "the newest kernel" is such a package in Debian. What
# that depends on in turn is meta:meta:PKG.
resolve_packages() {
    local package
    for package in "$@"; do
        if [[ $package == meta:* ]]; then
            resolve_packages "${package#meta:}" | xargs apt-cache depends --no-recommends --no-suggests |
                sed -nE 's/^ +Depends: //p'
        else
            printf '%s\n' "$package"
        fi
    done
}

fetch_and_unpack() {
    local dest=$1 suite=$2 arch=$3 home packages debs=$1.debs deb
    shift 3
    home=$(anyhv_cache)/apt/$suite-$arch
    private_apt_config "$home" "$suite" "$arch"
    export APT_CONFIG=$home/apt.conf
    apt-get -q update
    packages=$(resolve_packages "$@")
    mapfile -t packages <<<"$packages"
    mkdir -p "$dest" "$debs"
    (cd "$debs" && apt-get -q download "${packages[@]}")
    for deb in "$debs"/*.deb; do
        dpkg -x "$deb" "$dest"
        dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed -nE 's/^ *(lib[^ |]*).*/\1/p'
    done | sort -u >"$dest/.libraries"
    rm -rf "$debs"
}

# The folder appears whole or not at all, and a second call needs neither network nor time. Its
# .libraries names the libraries that the packages need from the machine (see need_packages).
unpack_packages() {
    local dest=$1 wanted="${*:2}" fresh=$1.new
    mkdir -p "$(dirname "$dest")"
    (
        flock 9 # two test runs may start together
        [[ -f $dest/.wanted && $(<"$dest/.wanted") == "$wanted" ]] && exit 0
        have apt-get || die "not a Debian system (no apt-get): cannot fetch ${*:4}"
        rm -rf "$fresh" "$fresh.debs"
        step "fetching from $2 for $3: ${*:4}" fetch_and_unpack "$fresh" "${@:2}"
        printf '%s\n' "$wanted" >"$fresh/.wanted"
        rm -rf "$dest"
        mv "$fresh" "$dest"
    ) 9>"$dest.lock"
}
