#!/usr/bin/env bash
# check-dev.sh [BUILD_DIR]: what ./dev says when the machine is not as it should be, what it installs for the tests of
# that build, and that its scripts are clean.
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$root"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# expect STATUS PATTERN COMMAND…: the command ends with that status and its output matches.
expect() {
  local status=0 output
  output=$("${@:3}" 2>&1) || status=$?
  if [ $status != "$1" ] || ! grep -qE "$2" <<<"$output"; then
    echo "'${*:3}' ended with $status instead of $1, or said nothing like '$2':"
    echo "$output"
    failed=1
  fi
}

# A package database that knows exactly the packages in $INSTALLED.
cat >"$work/dpkg-query" <<'SH'
#!/bin/sh
for package in $INSTALLED; do
  case " $* " in *" $package "*) echo "$package installed" ;; esac
done
echo "dpkg-query: no packages found matching others" >&2
exit 1
SH
chmod +x "$work/dpkg-query"
export MATRIXOS_NO_INSTALL=1

expect 0 'docs|test' ./dev
expect 0 '^  run ' ./dev help
expect 1 "no command 'frob'" ./dev frob
expect 1 "no preset 'frob'" ./dev build frob
expect 1 "no benchmark 'frob'" ./dev bench frob
expect 0 '^  api +the API ' ./dev bench
expect 1 'packages are missing: build-essential' env PATH="$work:$PATH" INSTALLED='g++ cmake' ./dev build release
expect 1 'cannot be installed beside libboost1.74-dev' \
  env PATH="$work:$PATH" INSTALLED='g++ libboost1.74-dev' ./dev build release
expect 0 '^run stop' bash -c 'source <(./dev completion bash); COMP_WORDS=(./dev ""); COMP_CWORD=1; _matrixos_dev
  echo "${COMPREPLY[*]}"'
expect 0 '^release release-tests$' bash -c 'source <(./dev completion bash); COMP_WORDS=(./dev build r); COMP_CWORD=2; _matrixos_dev
  echo "${COMPREPLY[*]}"'
# Which runtime carries the demo: sourced, the tool gives its functions.
choose='source ./dev help >/dev/null; choose_runtime; echo "took $runtime"'
for tool in docker dockerd; do
  printf '#!/bin/sh\nexit 1\n' >"$work/$tool"
  chmod +x "$work/$tool"
done
expect 0 'took process' env MATRIXOS_RUNTIME=process bash -c "$choose"
expect 0 'because MATRIXOS_RUNTIME=process' env MATRIXOS_RUNTIME=process bash -c "$choose"
expect 1 "no runtime 'lxc'" env MATRIXOS_RUNTIME=lxc bash -c "$choose"
refused='start_engine() { note "There is none."; return 1; }'
expect 0 'took process' env PATH="$work:$PATH" bash -c "${choose/choose_runtime;/$refused; choose_runtime;}"
expect 0 'because no container engine can be had' \
  env PATH="$work:$PATH" bash -c "${choose/choose_runtime;/$refused; choose_runtime;}"
expect 1 'MATRIXOS_RUNTIME=docker, but no' \
  env PATH="$work:$PATH" MATRIXOS_RUNTIME=docker bash -c "${choose/choose_runtime;/$refused; choose_runtime;}"
# Nor one that is not installed and cannot be.
expect 0 'took process' env PATH="$work:$PATH" INSTALLED='curl' \
  bash -c "${choose/choose_runtime;/instead_of=(); choose_runtime;}"
printf '#!/bin/sh\necho 24.0\n' >"$work/docker"
expect 0 'took docker' env PATH="$work:$PATH" bash -c "$choose"
expect 0 'an engine answers \(24.0\)' env PATH="$work:$PATH" bash -c "$choose"

# An engine from elsewhere is kept, and a package is missing where nothing stands in for it.
expect 0 '' env PATH="$work:$PATH" INSTALLED='' bash -c 'source ./dev help >/dev/null; need docker.io iptables'
expect 1 'packages are missing: podman$' \
  env PATH="$work:$PATH" INSTALLED='' bash -c 'source ./dev help >/dev/null; need docker.io podman'
# What is installed is what the chosen tests say that they need.
if [ -n "${1:-}" ]; then
  packages="source ./dev help >/dev/null; packages_of_tests '$1'"
  for package in chromium docker.io podman varnish; do expect 0 "^$package\$" bash -c "$packages"; done
  expect 0 '^bubblewrap$' bash -c "$packages -L unit"
  expect 1 '' bash -c "$packages -L unit | grep -E 'chromium|docker|podman|varnish|nginx|haproxy|rustc'"
  # What tries the Debian package is not among all tests.
  expect 1 '' bash -c "$packages | grep -x debootstrap"
  expect 0 '^debootstrap$' bash -c "$packages -C Package -L package"
  expect 0 '^chromium$' bash -c "$packages -R edge-waitingpage"
  expect 1 '' bash -c "$packages -R edge-waitingpage | grep -vxE 'chromium|nodejs|npm'"
fi
# A benchmark installs what its script names, on top of what builds it.
built=$(bash -c 'source ./dev help >/dev/null; echo "${packages_build[*]}"')
expect 1 'packages are missing: libbenchmark-dev curl nginx haproxy caddy$' \
  env PATH="$work:$PATH" INSTALLED="$built nodejs npm" ./dev bench edge
expect 1 'packages are missing: curl sqlite3 wrk nginx$' env PATH="$work:$PATH" INSTALLED="$built" ./dev bench api

# An include that LAYOUT.md forbids is named.
mkdir -p "$work/core/common" "$work/core/daemon" "$work/plugins/a" "$work/plugins/b" "$work/sdk/include/matrixos"
cp LAYOUT.md "$work/"
touch "$work/core/daemon/Daemon.h" "$work/core/common/Timers.h" "$work/plugins/b/B.h" "$work/sdk/include/matrixos/call.hpp"
printf '#include <matrixos/call.hpp>\n#include "common/Timers.h"\n#include <vector>\n' >"$work/core/daemon/Daemon.cpp"
expect 0 '' tests/unit/dev/check-includes.sh "$work"
echo '#include "daemon/Daemon.h"' >"$work/core/common/Timers.cpp"
expect 1 '^core/common/Timers.cpp:1: core/common may not include core/daemon/Daemon.h$' \
  tests/unit/dev/check-includes.sh "$work"
rm "$work/core/common/Timers.cpp"
printf '#include <matrixos/call.hpp>\n#include "b/B.h"\n' >"$work/plugins/a/A.cpp"
expect 1 '^plugins/a/A.cpp:2: plugins/a may not include plugins/b/B.h$' tests/unit/dev/check-includes.sh "$work"

if command -v shellcheck >/dev/null; then
  expect 0 '' shellcheck -xa dev .ci/run packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm \
    packaging/check.sh packaging/systemd/check.sh tests/packaging/*.sh tests/packaging/inside/*.sh \
    tests/fixtures/demo-instance/build-image.sh tests/unit/docs/check-docs.sh tests/integration/docs/*.sh \
    tests/bench/*.sh tests/unit/dev/*.sh
fi
exit $failed
