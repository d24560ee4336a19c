#!/usr/bin/env bash
# run-page.sh PAGE SOURCE_DIR BUILD_DIR WORK_DIR
#
# Does what a page of sdk/ tells its reader, in order and as it is written there (steps.sh says how). It happens in a
# sandbox (bubblewrap) with a home of its own and a network of its own, so that paths and ports are those of the page. The
# reader's clone of the platform is ~/platform; its `./dev build release` is this build, made beforehand.
# Exit: 0 everything works, 1 something does not, 77 the sandbox is not to be had here (1 when CI=true).
set -euo pipefail
page=$1
source_dir=$2
build_dir=$3
work=$4

skip() {
  echo "$*"
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 77
}

umask 022
rm -rf "$work"
mkdir -p "$work/home/platform/build"
ln -s "$source_dir/sdk" "$work/home/platform/sdk"
ln -s "$build_dir" "$work/home/platform/build/release"
# shellcheck disable=SC2016 # for the stand-in to expand
printf '#!/bin/sh\n[ "$*" = "build release" ] && [ -x build/release/bin/matrixosd ]\n' >"$work/home/platform/dev"
chmod 755 "$work/home/platform/dev"

"$(dirname "$0")/steps.sh" "$page" >"$work/home/steps.sh"
grep -q '^echo "== line' "$work/home/steps.sh" || { echo "$page tells nobody to do anything"; exit 1; }

command -v bwrap >/dev/null || skip "bubblewrap is not installed"
sandbox() {
  bwrap --unshare-all --die-with-parent --clearenv --setenv PATH /usr/local/bin:/usr/bin:/bin --setenv LC_ALL C.UTF-8 \
    --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp --tmpfs /home --ro-bind "$source_dir" "$source_dir" \
    --bind "$build_dir" "$build_dir" --bind "$work/home" /home/you \
    --setenv HOME /home/you --chdir /home/you/platform "$@"
}
if ! sandbox true 2>"$work/bwrap.log"; then skip "bubblewrap cannot make a sandbox here: $(cat "$work/bwrap.log")"; fi
if sandbox bash /home/you/steps.sh >"$work/log" 2>&1 </dev/null; then
  echo "$(grep -c '^== ' "$work/log") steps of $(basename "$page") work as they are written"
  exit 0
fi
cat "$work/log"
# What daemons of the page have to say, if it started any.
find "$work/home" -maxdepth 2 -name '*.log' -exec tail -n 30 {} +
echo "FAILED: $page, after the last \"== line\" above"
exit 1
