#!/usr/bin/env bash
# build.sh SOURCE_DIR BUILD_DIR WORK_DIR
#
# Builds plugins of every kind as a third party would: from the installed SDK, where nothing of this tree can be seen.
# They lie in WORK_DIR/plugins/VERSION then. Exit: as check-install.sh.
set -euo pipefail
# shellcheck disable=SC2034 # of sandbox.sh
source_dir=$1
build_dir=$2
work=$3
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/sdk/install/sandbox.sh
. "$here/../install/sandbox.sh"

install_sdk "$work/sdk"
need_sandbox
mkdir "$work/home/guests"
cp "$here"/*.c "$here"/*.cpp "$here"/*.h "$here/../../fakes/services/greeter.h" "$work/home/guests/"
rm -f "$work/home/guests/GuestsTest.cpp"
cp "$here/project.cmake" "$work/home/guests/CMakeLists.txt"
# Adding a service touches nothing of core: one gets a name that is made up now, when the daemon has been built, and the
# very same daemon carries its calls.
name=example.abacus$RANDOM$RANDOM
sed -i "s|\"example.abacus/1\"|\"$name/1\"|" "$work/home/guests/abacus.h"
grep -q "$name" "$work/home/guests/abacus.h" || fail "the service has not got its name"
if grep -rqE 'example\.(abacus|greeter)' "$source_dir/core" "$source_dir/plugins"; then fail "core knows a guest's service"; fi
sha256sum "$build_dir"/bin/matrixosd "$build_dir"/bin/matrixos-plugin-host >"$work/host.sha256"
expect "find_package(matrixos-sdk)" cmake -S guests -B guests/build -G Ninja
expect "plugins of every kind" cmake --build guests/build
expect "a newer version of one" cmake -S guests -B guests/next -G Ninja -DGREETING_VERSION=2.0.0
expect "which builds" cmake --build guests/next --target greeting
"$here/../plugins/check-exports.sh" "$work"/home/guests/build/plugins/*.so || fail "a plugin exports more than its entry"
mkdir "$work/plugins"
cp -r "$work/home/guests/build/plugins" "$work/plugins/1"
cp -r "$work/home/guests/next/plugins" "$work/plugins/2"
