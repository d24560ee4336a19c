#!/usr/bin/env bash
# upgrade.sh SOURCE_DIR WORK: an installation with instances is upgraded from the package in build/landed/build/package, the
# version before, to the one in build/package, and back.
set -euo pipefail
# shellcheck source=tests/packaging/machine.sh
. "$(dirname "$0")/machine.sh"
become_root "$0" "$@"
machine=$2/upgrade

rm -rf "$machine"
cp -a "$2/machine" "$machine"
install -d "$machine/root/old" "$machine/root/new"
cp "$(package_in "$1/build/landed/build/package")" "$machine/root/old/"
cp "$(package_in "$1/build/package")" "$machine/root/new/"
docker save --output "$machine/root/instance.tar" "${MATRIXOS_DEMO_IMAGE:-matrixos-demo:latest}"
cp "$(dirname "$0")/inside/upgrade.sh" "$machine/usr/local/bin/upgrade"
if in_machine "$machine" upgrade >"$2/upgrade.log" 2>&1; then
  grep '^== ' "$2/upgrade.log"
  rm -rf "$machine"
  exit 0
fi
cat "$2/upgrade.log"
tail -n 30 "$machine/var/log/matrixosd.log" 2>/dev/null || true
fail "the last \"== \" above"
