#!/usr/bin/env bash
# Looks at built packages as Debian and their reader would: check.sh FILE.deb…
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() {
  echo "error: $*" >&2
  failed=1
}

for package in "$@"; do dpkg-deb --extract "$package" "$work"; done

# Errors and warnings alike.
if ! said=$(lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$@" 2>&1); then complain "lintian: $said"; fi

# Links of installed documents lead to files of the packages; what looks like one in a block of code is none.
# shellcheck disable=SC2016 # no expansion is meant
while IFS= read -r document; do
  while IFS= read -r link; do
    case $link in http://* | https://* | '#'*) continue ;; esac
    file=${link%%#*}
    case $file in /*) file=$work$file ;; *) file=$(dirname "$document")/$file ;; esac
    [ -e "$file" ] || complain "${document#"$work"} links to $link, which no package has"
  done < <(sed '/^```/,/^```/d' "$document" | grep -o '](\([^)]*\))' | sed 's/^](\(.*\))$/\1/')
done < <(find "$work" -name '*.md')

# A configuration in which every value is the default, and says so by being commented out.
ini=$work/etc/matrixos/matrixosd.ini
! grep -nE '^[a-z]' "$ini" || complain "$ini sets keys"
[ "$(grep -c '^#[a-z_]* =' "$ini")" -gt 100 ] || complain "$ini does not show the keys"
shown=$("$work/usr/bin/matrixosd" --config="$ini" --check 2>&1 --set=plugins.path="$work/usr/lib/matrixos/plugins") ||
  complain "the shipped configuration does not pass --check: $shown"

# Prices that the gateway takes, and that upgrades leave as operators have edited them.
said=$("$work/usr/bin/matrixosd" --config="$ini" --check --set=plugins.path="$work/usr/lib/matrixos/plugins" \
  --set=plugins.enabled="runtime-docker, orchestrator, lifecycle, social, proxy, ai-gateway" \
  --set=ai-gateway.prices="$work/etc/matrixos/prices.json" 2>&1) || complain "the prices do not pass --check: $said"
for package in "$@"; do
  case $package in *matrixos_*) ;; *) continue ;; esac
  for file in matrixosd.ini prices.json; do
    dpkg-deb --info "$package" conffiles | grep -x "/etc/matrixos/$file" >/dev/null || complain "$file is no conffile"
  done
done

for page in man1/matrixosctl.1 man5/matrixosd.ini.5 man8/matrixosd.8; do
  [ -n "$(man -l "$work/usr/share/man/$page.gz" 2>/dev/null)" ] || complain "there is no manual page $page"
done
for completion in bash-completion/completions/matrixosctl zsh/vendor-completions/_matrixosctl fish/vendor_completions.d/matrixosctl.fish; do
  [ -s "$work/usr/share/$completion" ] || complain "there is no completion $completion"
done

# Position-independent, with relocations that are read-only before anything runs.
for program in "$work"/usr/bin/matrixos* "$work"/usr/lib/matrixos/plugins/*.so; do
  readelf -d "$program" | grep -q BIND_NOW || readelf -d "$program" | grep -q 'FLAGS_1.*NOW' ||
    complain "${program#"$work"} binds lazily"
done
[ $failed = 0 ] || exit 1
echo "The packages are well."
