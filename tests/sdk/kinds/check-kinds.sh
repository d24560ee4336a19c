#!/usr/bin/env bash
# check-kinds.sh SOURCE_DIR BUILD_DIR WORK_DIR
#
# Makes a plugin of each kind with `matrixosctl plugins new`, in a sandbox that has the installed files and neither this
# tree nor its build, and does what the command says comes next: build, test, doctor. Exit: as check-install.sh.
set -euo pipefail
# shellcheck disable=SC2034 # of sandbox.sh
source_dir=$1
build_dir=$2
work=$3
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/sdk/install/sandbox.sh
. "$here/../install/sandbox.sh"

install_sdk "$work/staged"
cp "$build_dir/bin/matrixosctl" "$build_dir/bin/matrixos-plugin-host" "$work/staged/bin/"
if found=$(grep -rlF -e "$source_dir/" -e "$work" "$work/staged" --exclude=matrixosctl --exclude=matrixos-plugin-host); then
  fail "these installed files name the place they were built in: $found"
fi
mv "$work/staged" "$work/sdk"
need_sandbox

for kind in runtime service policy routes; do
  id=fire-fly-$kind
  [ "$kind" != runtime ] || id=runtime-fire-fly
  sandbox matrixosctl plugins new "$id" --kind "$kind" >"$work/said" || fail "plugins new --kind $kind"
  # The steps that need no daemon and no root, as they are written there.
  sed -n '/^Next:/,/^Then/p' "$work/said" | sed -n 's/ *#.*//; s/^  //p' | grep -v '^sudo ' >"$work/home/steps"
  grep -q '^cmake -B build -DCMAKE_PREFIX_PATH=/opt/matrixos$' "$work/home/steps" || fail "it does not say how to build: $(cat "$work/said")"
  expect "$kind: what plugins new says is next" sh -eux steps
  # No test would be no failure of ctest.
  expect "$kind: it has a test" sh -c "ctest --test-dir $id/build -N | grep -q 'Total Tests: [1-9]'"
  if grep -rniE '(^|[^a-z])(service|policy|routes|runtime)[-_]template' "$work/home/$id" --exclude-dir=build; then
    fail "$kind: names of the template are left"
  fi
  "$here/../plugins/check-exports.sh" "$work/home/$id/build/plugins/$id.so" || fail "$kind: it exports more than its entry"
  status=0
  sandbox matrixosctl plugins new "$id" --kind "$kind" >"$work/said" 2>&1 || status=$?
  [ $status = 73 ] || fail "$kind: a second time ends with $status: $(cat "$work/said")"
done

cp "$here/author.c" "$work/home/"
# shellcheck disable=SC2016 # expanded inside
expect "a test without CMake, and one in C" sh -ec '
  pkg=$(pkg-config --cflags --libs matrixos-sdk-testing)
  id=fire-fly-routes
  g++ -std=c++17 -DPLUGIN="\"$id/build/plugins/$id.so\"" $id/test.cpp $pkg -o tested && ./tested
  gcc -std=c11 -Wall -Wextra -pedantic -Werror author.c $pkg -o author && ./author $id/build/plugins/$id.so'

rm -rf "$work/sdk/share/matrixos/sdk/templates"
status=0
sandbox matrixosctl plugins new other >"$work/said" 2>&1 || status=$?
if [ $status != 69 ] || ! grep -q 'apt install matrixos-dev' "$work/said"; then
  fail "without the SDK it ends with $status: $(cat "$work/said")"
fi
echo "ok: without the SDK it says what to install"
