#!/usr/bin/env bash
# check-install.sh SOURCE_DIR BUILD_DIR WORK_DIR
#
# Installs the SDK, moves it elsewhere, and builds plugins from it in a sandbox (bubblewrap) that has the system's
# compilers, the moved SDK and the plugin's own folder, but neither this source tree nor its build:
#   a project in C, C++ and C++ with the json component, through find_package;
#   the template as it was copied, through find_package, and its test run;
#   both once more with pkg-config and a compiler alone.
# Exit: 0 all well, 1 not, 77 the sandbox is not to be had here (1 when CI=true).
set -euo pipefail
source_dir=$1
build_dir=$2
work=$3
here=$(cd "$(dirname "$0")" && pwd)

# shellcheck source=tests/sdk/install/sandbox.sh
. "$here/sandbox.sh"

install_sdk "$work/staged"

# ---- what is there ---------------------------------------------------------------------------------------------------
for file in include/matrixos/abi/base.h include/matrixos/plugin.hpp share/cmake/matrixos-sdk/matrixos-sdk-config.cmake \
  share/cmake/matrixos-sdk/matrixos-sdk-config-version.cmake share/cmake/matrixos-sdk/plugin.map \
  share/pkgconfig/matrixos-sdk.pc share/pkgconfig/matrixos-sdk-testing.pc lib/matrixos/sdk/libmatrixos-testhost.so \
  share/matrixos/sdk/schemas/description.json share/matrixos/sdk/README.md; do
  [ -s "$work/staged/$file" ] || fail "$file is not installed"
done
if found=$(grep -rlF -e "$source_dir" -e "$build_dir" -e "$work" "$work/staged"); then
  fail "these installed files name the place they were built in: $found"
fi
# From here on it lies where nobody said it would.
mv "$work/staged" "$work/sdk"

# ---- the sandbox -----------------------------------------------------------------------------------------------------
need_sandbox

# shellcheck disable=SC2016 # expanded inside
expect "neither source nor build can be seen, and one copy of the headers alone" sh -c '
  ! [ -e "$1" ] && ! [ -e "$2" ] && [ "$(find / -path "*/matrixos/abi/base.h" 2>/dev/null)" = /opt/matrixos/include/matrixos/abi/base.h ]
  ' sh "$source_dir" "$build_dir"

# ---- a project of somebody else --------------------------------------------------------------------------------------
cp -r "$here/consumer" "$work/home/consumer"
# By another name in the tree, where every CMakeLists.txt below tests/ takes part in its own build.
mv "$work/home/consumer/project.cmake" "$work/home/consumer/CMakeLists.txt"
cp "$here"/../plugins/minimal-c.c "$here"/../plugins/minimal-cpp.cpp "$work/home/consumer/"
expect "find_package(matrixos-sdk COMPONENTS json)" cmake -S consumer -B consumer/build -G Ninja
expect "plugins in C, C++ and C++ with json" cmake --build consumer/build
# shellcheck disable=SC2016
expect "the same without CMake" sh -ec '
  cd consumer
  gcc -std=c11 $(pkg-config --cflags matrixos-sdk) minimal-c.c $(pkg-config --libs matrixos-sdk) -o plain-c.so
  g++ -std=c++17 $(pkg-config --cflags matrixos-sdk) minimal-cpp.cpp $(pkg-config --libs matrixos-sdk) -o plain-cpp.so
  g++ -std=c++17 $(pkg-config --cflags matrixos-sdk-json) with-json.cpp $(pkg-config --libs matrixos-sdk-json) -o plain-json.so'
"$here/../plugins/check-exports.sh" "$work"/home/consumer/build/plugins/*.so "$work"/home/consumer/plain-*.so ||
  fail "what was built exports more than its entry"

# refused WHAT PATTERN FIND_PACKAGE_ARGUMENTS: says why.
refused() {
  mkdir -p "$work/home/refused"
  printf 'cmake_minimum_required(VERSION 3.16)\nproject(refused C CXX)\nfind_package(matrixos-sdk %s)\n' "$3" \
    >"$work/home/refused/CMakeLists.txt"
  if sandbox cmake -S refused -B refused/build >"$work/log" 2>&1; then fail "$1: was accepted"; fi
  tr -s ' \n' ' ' <"$work/log" | grep -qE "$2" || { cat "$work/log"; fail "$1: does not say $2"; }
  echo "ok: $1"
}
refused "another major is refused" 'compatible with requested version "2.0"' '2.0 REQUIRED'
refused "a component that there is none of is refused" 'component nonsense cannot be used: .* has json, conformance and testing' 'REQUIRED COMPONENTS nonsense'
version=$(sandbox pkg-config --modversion matrixos-sdk)
grep -q "^#define MOS_ABI_MAJOR ${version%%.*}$" "$work/sdk/include/matrixos/abi/base.h" || fail "pkg-config says version $version"

# ---- the template ----------------------------------------------------------------------------------------------------
cp -r "$work/sdk/share/matrixos/sdk/templates/runtime" "$work/home/template"
expect "the template is configured" cmake -S template -B template/build -G Ninja
expect "the template builds" cmake --build template/build
expect "the template passes its test" ctest --test-dir template/build --output-on-failure --no-tests=error
# shellcheck disable=SC2016
expect "the template builds without CMake" sh -ec '
  g++ -std=c++17 $(pkg-config --cflags matrixos-sdk) template/*.cpp $(pkg-config --libs matrixos-sdk) -o template/runtime-template.so'
expect "and is the same runtime" matrixos-runtime-conformance template/runtime-template.so --case 'lifecycle.*'
"$here/../plugins/check-exports.sh" "$work"/home/template/build/plugins/*.so "$work/home/template/runtime-template.so" ||
  fail "the template exports more than its entry"
