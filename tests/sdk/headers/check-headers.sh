#!/usr/bin/env bash
# check-headers.sh INCLUDE_DIR WORK_DIR
#
# Compiles every header of the SDK on its own, as a plugin author would include it: the ABI as C11, C17, C++17 and
# C++20, the C++ layer as C++17 and C++20, with gcc and clang, pedantically and with warnings as errors.
# Exit: 0 all compile, 1 some do not, 77 a compiler is missing (1 when CI=true).
set -uo pipefail

include=$1
work=$2
flags=(-fsyntax-only -Wall -Wextra -pedantic -Werror -I "$include")

for compiler in gcc g++ clang clang++; do
  if ! command -v "$compiler" >/dev/null; then
    echo "$compiler is not installed"
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 77
  fi
done

mkdir -p "$work"
jobs=$work/jobs
: >"$jobs"
# job COMPILER LANGUAGE STANDARD HEADER: the header is included twice, so that a missing guard shows.
job() {
  local name unit
  name=${4//\//_}
  unit=$work/$name.$2
  printf '#include <%s>\n#include <%s>\n' "$4" "$4" >"$unit"
  printf '%s\0' "$1 ${flags[*]} -x $2 -std=$3 $unit" >>"$jobs"
}

cd "$include" || exit 1
shopt -s nullglob
abi=(matrixos/abi/*.h matrixos/testing/*.h)
layer=(matrixos/*.hpp matrixos/host/*.hpp matrixos/testing/*.hpp matrixos/text/*.hpp)
if [ ${#abi[@]} -eq 0 ] || [ ${#layer[@]} -eq 0 ]; then
  echo "no headers below $include"
  exit 1
fi
for header in "${abi[@]}"; do
  for standard in c11 c17; do
    job gcc c $standard "$header"
    job clang c $standard "$header"
  done
  for standard in c++17 c++20; do
    job g++ c++ $standard "$header"
    job clang++ c++ $standard "$header"
  done
done
for header in "${layer[@]}"; do
  for standard in c++17 c++20; do
    job g++ c++ $standard "$header"
    job clang++ c++ $standard "$header"
  done
done

count=$(tr -cd '\0' <"$jobs" | wc -c)
if ! xargs -0 -P "$(nproc)" -I{} sh -c '{} || { echo "FAILED: {}"; exit 1; }' <"$jobs"; then
  echo "some of $count compilations failed"
  exit 1
fi
echo "$count compilations of ${#abi[@]} ABI headers and ${#layer[@]} C++ headers"
