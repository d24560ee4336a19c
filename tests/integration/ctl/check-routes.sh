#!/usr/bin/env bash
# check-routes.sh SOURCE_DIR: core/ctl names no route that a plugin of this tree adds, but for those of signing in, which
# core/ctl/README.md asks whichever plugin signs people in to have.
set -euo pipefail
cd "$1"
# "/containers/:handle/start" begins with /containers, whatever the plugin does with the rest.
firsts=$(grep -rhoE '"(GET|POST|PUT|PATCH|DELETE)", "/[a-z-]+' plugins --include='*.cpp' | grep -oE '/[a-z-]+$' | sort -u)
for expected in /containers /trash /handles /social; do
  grep -qx "$expected" <<<"$firsts" || { echo "the routes of plugins are not found any more: $expected"; exit 1; }
done
sign_in='"/auth/(device|device/token|logout|me)"'
for first in $firsts; do
  if grep -rnE "\"$first(\"|/|\\?)" core/ctl | grep -vE "^core/ctl/SignInCommands.cpp:.*$sign_in"; then
    echo "core/ctl knows $first, which is a plugin's"
    exit 1
  fi
done
echo "core/ctl knows none of $(xargs <<<"$firsts")"
