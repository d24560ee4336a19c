#!/usr/bin/env bash
# check-defines.sh [--update] INCLUDE_DIR BASELINE
#
# Shows that no #define of the ABI headers changed, which abidiff cannot see: lists them as the preprocessor does and
# compares the list with the committed one.
# Exit: 0 equal, 1 different, 77 gcc is missing (1 when CI=true).
set -euo pipefail

update=
if [ "${1:-}" = --update ]; then
  update=yes
  shift
fi
include=$1
baseline=$2

if ! command -v gcc >/dev/null; then
  echo "gcc is not installed"
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 77
fi

listDefines() {
  (cd "$include" && printf '#include <%s>\n' matrixos/abi/*.h) |
    gcc -std=c11 -E -dD -I "$include" -x c - |
    # Line markers (# 12 "file" …) tell which header a definition stands in.
    awk '/^# [0-9]+ "/ { ours = $3 ~ /matrixos\/abi\// ; next } ours && /^#define MOS_/ { print }' |
    LC_ALL=C sort
}

if [ -n "$update" ]; then
  listDefines >"$baseline"
  echo "$baseline renewed, $(wc -l <"$baseline") definitions"
  exit 0
fi
if ! diff -u "$baseline" <(listDefines); then
  echo "the definitions differ from $baseline (- there, + in the headers); if that is meant: $0 --update $include $baseline"
  exit 1
fi
echo "$(wc -l <"$baseline") definitions equal the baseline"
