#!/usr/bin/env bash
# walkthrough.sh SOURCE_DIR WORK: does packaging/walkthrough.md in an empty Debian, line by line, with the package in
# build/package and a real engine.
set -euo pipefail
# shellcheck source=tests/packaging/machine.sh
. "$(dirname "$0")/machine.sh"
become_root "$0" "$@"
machine=$2/walkthrough
page=$1/packaging/walkthrough.md

rm -rf "$machine"
cp -a "$2/machine" "$machine"
cp "$(package_in "$1/build/package")" "$machine/root/"
docker save --output "$machine/root/instance.tar" "${MATRIXOS_DEMO_IMAGE:-matrixos-demo:latest}"

# The package that comes after this one: the same, with a higher number.
dpkg-deb --raw-extract "$machine"/root/matrixos_*.deb "$machine/tmp/next"
sed -i 's/^Version: .*/&+next/' "$machine/tmp/next/DEBIAN/control"
mkdir "$machine/root/next"
dpkg-deb --build "$machine/tmp/next" "$machine/root/next" >/dev/null

"$1/tests/integration/docs/steps.sh" "$page" >"$machine/usr/local/bin/steps"
if in_machine "$machine" bash -c 'cd && bash /usr/local/bin/steps' >"$2/walkthrough.log" 2>&1; then
  grep -c '^== ' "$2/walkthrough.log" | sed 's/$/ steps of the walkthrough work as they are written/'
  rm -rf "$machine"
  exit 0
fi
cat "$2/walkthrough.log"
tail -n 30 "$machine/var/log/matrixosd.log" 2>/dev/null || true
fail "$page, at the last \"== line\" above"
