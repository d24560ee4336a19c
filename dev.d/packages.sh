# Debian packages: what each command needs, and how it gets here.
# shellcheck shell=bash

packages_build=(build-essential g++ cmake ninja-build ccache git pkg-config libpoco-dev libboost1.81-dev
  prometheus-cpp-dev libsystemd-dev libcurl4-openssl-dev libssl-dev libc-ares-dev libsqlite3-dev zlib1g-dev nlohmann-json3-dev libre2-dev)
packages_tests=(doctest-dev librapidcheck-dev libvalijson-dev)
packages_benches=(libbenchmark-dev)
packages_run=(curl)
packages_engine=(docker.io iptables)
packages_fuzz=(clang libclang-rt-14-dev)
packages_lint=(clang clang-format clang-tidy shellcheck)

# Where this command is there already, from wherever, the package is not wanted: Debian's would conflict with an engine
# or a Node.js from elsewhere, which bring iptables and npm along, and any rustc will do.
declare -A instead_of=([docker.io]=dockerd [iptables]=dockerd [rustc]=rustc [nodejs]=npm [npm]=npm)

# packages_of_preset PRESET: what its configuration and build need; fails when there is no such preset.
packages_of_preset() {
  case $1 in
  release) echo "${packages_build[*]}" ;;
  release-tests | asan | tsan) echo "${packages_build[*]} ${packages_tests[*]}" ;;
  dev | coverage) echo "${packages_build[*]} ${packages_tests[*]} ${packages_benches[*]}" ;;
  fuzz) echo "${packages_build[*]} ${packages_fuzz[*]}" ;;
  *) return 1 ;;
  esac
}

# packages_of_tests FOLDER [ctest options]: what the chosen tests of a configured build say that they need, by labels
# needs-PACKAGE (tests/CMakeLists.txt).
packages_of_tests() {
  ctest --test-dir "$1" --show-only=json-v1 "${@:2}" | sed -n 's/.*"needs-\([^"]*\)".*/\1/p' | sort -u
}

# need PACKAGE…: installs what is missing, and nothing when nothing is.
need() {
  [ $# -gt 0 ] || return 0
  local missing=() package state
  # One dpkg-query for all of them; packages it has never heard of are simply not in its answer.
  state=$(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
    sed -n 's/^\([^: ]*\)[^ ]* installed$/\1/p') || true
  for package in "$@"; do
    ! command -v "${instead_of[$package]:-:none}" >/dev/null || continue
    case $'\n'$state$'\n' in *$'\n'$package$'\n'*) ;; *) missing+=("$package") ;; esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  explain_conflicts "${missing[@]}"
  [ -z "${MATRIXOS_NO_INSTALL:-}" ] || die "these packages are missing: ${missing[*]}"
  command -v apt-get >/dev/null || die "apt-get is missing; this project is built on Debian 12." "Install: ${missing[*]}"
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "packages are missing and there is no sudo; as root run:" \
    "apt-get install --no-install-recommends ${missing[*]}"
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  install_packages "${missing[@]}"
}

explain_conflicts() {
  case " $* " in *' libboost1.81-dev '*) ;; *) return 0 ;; esac
  local old
  old=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 'libboost1.74-dev' 'libboost-dev' 2>/dev/null |
    awk '$2 == "installed" { print $1 }' | xargs) || true
  [ -z "$old" ] || die "libboost1.81-dev cannot be installed beside $old, and nothing is removed behind your back." \
    "If you can do without the older headers:  apt-get remove $old" "Then run this command again."
}

install_packages() {
  mkdir -p "$root/build"
  local log=$root/build/apt.log policy=/usr/sbin/policy-rc.d kept=yes failed=''
  # Servers that only tests use must not start as services of this machine.
  if ! as_root test -e $policy; then
    kept=no
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
  fi
  local options=(-q -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300)
  {
    as_root apt-get -q update || echo "apt-get update failed; trying with the lists at hand"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install "$@"
  } </dev/null 2>&1 | tee "$log" | progress || failed=yes
  [ $kept = yes ] || as_root rm -f $policy
  if [ -n "$failed" ]; then
    tail -n 15 "$log" >&2
    die "apt could not install them; the whole log is $log"
  fi
}

# One line that moves, on a terminal; silence elsewhere.
progress() {
  if [ -t 1 ]; then
    awk '/^(Get:|Unpacking|Setting up)/ { printf "\r\033[K    %s", substr($0, 1, 100); fflush() } END { printf "\r\033[K" }'
  else
    cat >/dev/null
  fi
}

need_debian() {
  # shellcheck source=/dev/null
  [ "$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")" = bookworm ] ||
    note "This is not Debian 12: package names and versions may differ."
}
