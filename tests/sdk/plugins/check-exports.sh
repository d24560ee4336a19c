#!/usr/bin/env bash
# check-exports.sh PLUGIN.so…: a plugin exports its entry function alone, and needs nothing of the daemon.
set -uo pipefail

failed=0
for plugin in "$@"; do
  exported=$(nm -D --defined-only "$plugin" | awk '{print $3}') || exit 1
  if [ "$exported" != mos_plugin_entry_v1 ]; then
    printf '%s exports:\n%s\n' "$plugin" "$exported"
    failed=1
  fi
  if needed=$(nm -D --undefined-only "$plugin" | grep -E ' (mos_|_ZN?K?8matrixos)'); then
    printf '%s needs symbols of ours:\n%s\n' "$plugin" "$needed"
    failed=1
  fi
done
exit $failed
