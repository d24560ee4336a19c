#!/usr/bin/env bash
# prepare.sh SOURCE_DIR WORK: makes WORK/machine, an empty Debian 12 that can install the package in build/package without a
# network, with what the walkthrough installs along with it.
set -euo pipefail
# shellcheck source=tests/packaging/machine.sh
. "$(dirname "$0")/machine.sh"
become_root "$0" "$@"
machine=$2/machine
package=$(package_in "$1/build/package")
# What is installed beside it there, and in the test of upgrades.
mapfile -t others < <(sed -n 's/^.* --no-install-recommends .*matrixos_\*\.deb //p' "$1/packaging/walkthrough.md" \
  "$(dirname "$0")/inside/upgrade.sh" | tr ' ' '\n' | sort -u)
[ ${#others[@]} -gt 0 ] || fail "the walkthrough does not install the package"

make_machine "$machine"
cp "$package" "$machine/root/package.deb"
fetch_packages "$machine" ./package.deb "${others[@]}"
rm "$machine/root/package.deb"
