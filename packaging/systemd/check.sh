#!/usr/bin/env bash
# Checks matrixosd.service: systemd understands every line, and its exposure stays at or below 2.0 of 10.
set -euo pipefail
cd "$(dirname "$0")"
command -v systemd-analyze >/dev/null || { echo "skipped: systemd-analyze is not installed"; exit 77; }

unknown=$(systemd-analyze verify ./matrixosd.service 2>&1 |
  grep -E 'Unknown|Failed to parse|Invalid|Missing .=|ignoring' | grep -F matrixosd.service || true)
[ -z "$unknown" ] || { echo "$unknown"; exit 1; }

# Thresholds are in tenths.
systemd-analyze security --offline=true --threshold=20 --no-pager ./matrixosd.service | tail -n 1
