# An empty Debian 12 in a folder, in which packages are installed as an operator does. For the scripts of this folder.
#
# What runs in a machine has processes, mounts and a network of its own, and nothing of it is left when it has ended or the
# script was killed: the first process goes, and with it all others, the mounts and the interfaces. There is no network but
# loopback and what an engine makes inside, so ports and addresses are those that the documentation names.
# shellcheck shell=bash

# Exit code 77, or 1 when CI=true: then what cannot be had is a failure.
skip() {
  echo "skipped: $*"
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 77
}

fail() {
  echo "FAILED: $*"
  exit 1
}

# become_root SCRIPT ARGUMENTS…
become_root() {
  [ "$(id -u)" != 0 ] || return 0
  sudo -n true 2>/dev/null || skip "only root can make a machine, and sudo asks for a password"
  exec sudo -n --preserve-env=CI,MATRIXOS_DEMO_IMAGE,MATRIXOS_DEBIAN_MIRROR,http_proxy "$@"
}

# What programs in a machine see of the environment.
clean=(env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)

make_machine() { # FOLDER
  rm -rf "$1"
  mkdir -p "$1"
  debootstrap --variant=minbase bookworm "$1" ${MATRIXOS_DEBIAN_MIRROR:+"$MATRIXOS_DEBIAN_MIRROR"} >"$1.log" 2>&1 ||
    { tail -n 5 "$1.log"; skip "debootstrap failed; see $1.log"; }
  # Progress as lines, without bars that move.
  echo 'quiet "1"; Dpkg::Use-Pty "0";' >"$1/etc/apt/apt.conf.d/quiet"
  # It need not outlive a loss of power.
  echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/unsafe-io"
}

# Lets a machine have packages, and what they depend on, for installations without a network.
fetch_packages() { # FOLDER PACKAGE…
  cp /etc/resolv.conf "$1/etc/resolv.conf"
  "${clean[@]}" ${http_proxy:+http_proxy="$http_proxy"} chroot "$1" sh -ec 'apt-get update
    cd && apt-get -y --no-install-recommends --download-only install "$@"' sh "${@:2}" >"$1.log" 2>&1 ||
    { tail -n 5 "$1.log"; fail "packages cannot be had: ${*:2}"; }
}

cgroup=matrixos-machine-$$
runner=''
end_machine() {
  # Its only child is killed with it: the first process inside.
  [ -z "$runner" ] || { kill -KILL "$runner" && wait "$runner"; } 2>/dev/null || true
  # What is left of containers that were running.
  find "/sys/fs/cgroup/$cgroup" /sys/fs/cgroup/*/"$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap end_machine EXIT
trap 'exit 143' INT TERM HUP

in_machine() { # FOLDER COMMAND…
  # An engine inside puts its containers where they can be told from others.
  mkdir -p "$1/etc/docker"
  echo "{\"cgroup-parent\": \"/$cgroup\"}" >"$1/etc/docker/daemon.json"
  # shellcheck disable=SC2016 # for the inner shell
  setpriv --pdeathsig KILL unshare --fork --kill-child --pid --mount --net --uts --ipc bash -euc '
    root=$1
    shift
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    ip link set lo up
    hostname debian
    echo "127.0.0.1 localhost debian" >"$root/etc/hosts"
    exec "$@"' sh "$1" "${clean[@]}" chroot "$1" "${@:2}" </dev/null &
  runner=$!
  local status=0
  wait $runner || status=$?
  runner=''
  return $status
}

# The one package of the platform in a folder.
package_in() { # FOLDER
  local files=("$1"/matrixos_*.deb)
  if [ ${#files[@]} != 1 ] || [ ! -f "${files[0]}" ]; then fail "there is not one package in $1; ./dev package makes it"; fi
  echo "${files[0]}"
}
