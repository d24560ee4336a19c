#!/usr/bin/env bash
# check-types.sh [--update] INCLUDE_DIR BASELINE WORK_DIR
#
# Shows that no type of the contract moved: builds a canary library with one exported function for each type that the
# ABI headers define, and compares it with the baseline by abidiff. Any difference fails, additions too: whoever grows
# the contract renews the baseline with --update and has the difference reviewed.
# Exit: 0 equal, 1 different, 77 abigail-tools or gcc is missing (1 when CI=true).
set -euo pipefail

update=
if [ "${1:-}" = --update ]; then
  update=yes
  shift
fi
include=$1
baseline=$2
work=$3

for tool in gcc abidw abidiff; do
  if ! command -v "$tool" >/dev/null; then
    echo "$tool is not installed (package abigail-tools)"
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 77
  fi
done

mkdir -p "$work"
canary=$work/canary.c
library=$work/libcanary.so
headers=$(cd "$include" && printf '%s\n' matrixos/abi/*.h | sort)
{
  for header in $headers; do echo "#include <$header>"; done
  for header in $headers; do
    # A struct ends with its typedef name; the entry function is the one function type with a name.
    sed -nE 's/^\} (mos_[a-z0-9_]+);.*/\1/p; s/^typedef .*\(\*(mos_[a-z0-9_]+)\)\(.*/\1/p' "$include/$header"
  done | sort -u | while read -r type; do
    printf 'MOS_EXPORT void canary_%s(%s *value);\nvoid canary_%s(%s *value) { (void)value; }\n' \
      "$type" "$type" "$type" "$type"
  done
} >"$canary"
types=$(grep -c '^void canary_' "$canary")
# shellcheck disable=SC2086 # a list of names, one word each
structs=$(cd "$include" && cat $headers | grep -cE '^typedef struct mos_[a-z0-9_]+ \{')
if [ "$types" -lt "$structs" ] || [ "$structs" -eq 0 ]; then
  echo "the canary has $types types, the headers define $structs structs: one is written in another style"
  exit 1
fi
include=$(cd "$include" && pwd)
# From inside the folder: the baseline must not remember where it was built.
(cd "$work" && gcc -std=c11 -O0 -g -fvisibility=hidden -fPIC -shared -I "$include" -o libcanary.so canary.c)

if [ -n "$update" ]; then
  abidw --no-corpus-path --no-comp-dir-path --no-show-locs --out-file "$baseline" "$library"
  echo "$baseline renewed, $types types"
  exit 0
fi
# Harmless to a binary is not harmless to a source: a renamed field counts too.
if ! abidiff --harmless --no-show-locs "$baseline" "$library"; then
  echo "the ABI differs from $baseline; if that is meant: $0 --update $include $baseline $work"
  exit 1
fi
echo "$types types equal the baseline"
