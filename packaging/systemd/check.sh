#!/usr/bin/env bash
# Checks matrixosd.service: systemd understands every line, those that are shown as examples too, and its exposure stays
# at or below 2.0 of 10.
set -euo pipefail
cd "$(dirname "$0")"
command -v systemd-analyze >/dev/null || { echo "skipped: systemd-analyze is not installed"; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed 's/^#\([A-Z][A-Za-z]*=\)/\1/' matrixosd.service >"$work/matrixosd.service"
grep -q '^LoadCredentialEncrypted=' "$work/matrixosd.service" || { echo "the unit shows no credential"; exit 1; }
unknown=$(systemd-analyze verify "$work/matrixosd.service" 2>&1 |
  grep -E 'Unknown|Failed to parse|Invalid|Missing .=|ignoring' | grep -F matrixosd.service || true)
[ -z "$unknown" ] || { echo "$unknown"; exit 1; }

# Thresholds are in tenths.
systemd-analyze security --offline=true --threshold=20 --no-pager ./matrixosd.service | tail -n 1
