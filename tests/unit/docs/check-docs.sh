#!/usr/bin/env bash
# check-docs.sh [MATRIXOSCTL]: the documentation stays true.
#   every relative link in a page leads somewhere; every `./dev COMMAND` it shows exists; every plugin folder has a
#   README and stands in the top page's table; with MATRIXOSCTL, every `matrixosctl …` it shows is in that tool's help.
# shellcheck disable=SC2016 # the backquotes in patterns are Markdown's
set -euo pipefail
root=${DOCS_ROOT:-$(cd "$(dirname "$0")/../../.." && pwd)}
ctl=${1:-}
cd "$root"
problems=0
problem() {
  echo "$*"
  problems=$((problems + 1))
}

mapfile -t pages < <(find . -name '*.md' -not -path './build/*' -not -path './.git/*' | sort)
[ ${#pages[@]} -gt 0 ] || problem "there are no pages to check"

for page in "${pages[@]}"; do
  while read -r link; do
    target=${link%%#*}
    case $link in http://* | https://* | mailto:* | '#'*) continue ;; esac
    [ -e "$(dirname "$page")/$target" ] || problem "$page: the link $link leads nowhere"
  done < <(sed '/^```/,/^```/d' "$page" | grep -oE '\]\([^) ]+\)' | sed 's/^](\(.*\))$/\1/')
done

# The words that may follow ./dev are those of its completion: first the commands, then `build`'s presets.
commands=$(./dev completion bash | sed -n "s/.*1:\*) choices='\(.*\)' ;;/\1/p")
[ -n "$commands" ] || problem "./dev completion lists no commands"
while IFS=: read -r page word; do
  case " $commands " in *" $word "*) ;; *) problem "$page: there is no command ./dev $word" ;; esac
done < <(grep -oHE '\./dev [a-z]+' "${pages[@]}" .ci/run | sed 's/:\.\/dev /:/' | sort -u)
for word in $commands; do
  [ "$word" = help ] || ./dev help | grep -E "^  $word" >/dev/null || problem "./dev help does not explain $word"
done

for folder in plugins/*/; do
  name=$(basename "$folder")
  [ -f "${folder}CMakeLists.txt" ] || continue
  [ -f "${folder}README.md" ] || problem "plugins/$name has no README.md"
  grep -qE "^\| \W?$name\W" README.md || problem "README.md: the table of plugins lacks $name"
done

if [ -n "$ctl" ]; then
  help=$("$ctl" --help)
  while read -r words; do
    grep -qF "$words" <<<"$help" || problem "README.md: matrixosctl's help knows no '$words'"
  done < <(grep -ohE '^matrixosctl [a-z]+( [a-z]+)?' README.md | sed 's/^matrixosctl //' | sort -u)
fi

[ $problems = 0 ] || { echo "$problems problems in the documentation"; exit 1; }
echo "${#pages[@]} pages checked"
