#!/usr/bin/env bash
# check-threats.sh BUILD_DIR: the table of tests/security.md has all its rows, and names tests that there are.
set -euo pipefail
cd "$(dirname "$0")/../../.."
there=$(ctest --test-dir "$1" -N | sed -n 's/^ *Test *#[0-9]*: //p')
rows=$(grep -E '^\| [0-9]+ \|' tests/security.md)
failed=0
for number in {39..52}; do
  grep -q "^| $number |" <<<"$rows" || { echo "tests/security.md has no row ${number// /}"; failed=1; }
done
while IFS='|' read -r _ number _ tests variants _; do
  # shellcheck disable=SC2016 # no expansion is meant
  names=$(grep -o '`[a-z0-9-]*`' <<<"$tests" | tr -d '`') || true
  [ -n "$names" ] || { echo "row ${number// /} names no test"; failed=1; }
  for name in $names; do
    grep -qx "$name" <<<"$there" || { echo "row ${number// /} names $name, which is no test"; failed=1; }
  done
  [[ $variants =~ ^\ [0-9,]+\ $ ]] || { echo "row ${number// /} does not say how many variants"; failed=1; }
done <<<"$rows"
exit $failed
