#!/usr/bin/env bash
# check-needs.sh [TREE]: what tests and benchmarks say that they need is what they use.
#   tests       the labels needs-PACKAGE in a folder's CMakeLists.txt against the tools in that folder's files
#   benchmarks  the line "needs: PACKAGE…" of a script against the commands in it
set -euo pipefail
cd "${1:-$(dirname "$0")/../../..}"
failed=0

# A package, and how its tools appear in sources and scripts without comments, their lines joined.
tools='abigail-tools	\babi(dw|diff)\b
apache2-utils	\bhtpasswd\b
bubblewrap	\bbwrap\b
caddy	\bcaddy run\b
chromium	\bchromium\b|\bchromiumScript\(
clang	\bclang\b
curl	\bcurl\b
debootstrap	\bdebootstrap --
docker-registry	\bdocker-registry\b
docker.io	\brun\(\{ *"docker"|\b(engineAnswers|requireEngine)\b|cli=\(docker\)|\bdocker save\b|\bContainerEngine\b
haproxy	/usr/sbin/haproxy\b|\bhaproxy -
iproute2	\bip link\b|"ip", "link"
jq	\bjq\b
nginx	/usr/sbin/nginx\b|\bnginx -|\bstartLemonLdap\(
nodejs	\bnode "|\{"node",|\b(chromiumScript|nodePackages|RealProvider::start)\(
npm	\bnpm install\b|\{"npm",|\b(chromiumScript|nodePackages|RealProvider::start)\(
openssl	"openssl"|\bLlmUpstream\b|\bopenssl (dgst|req|s_client)\b
podman	\{ *"podman"|cli=\(podman\b|\bContainerEngine\b
procps	"pgrep"|\b(pgrep|pkill|ps) -
python3	\bpython3\b
rustc	\bruntime-rust\b
sqlite3	\{ *"sqlite3"|\bsqlite3 -
varnish	\bvarnishtest (-|")
wrk	\bwrk -'
any=$(cut -f2 <<<"$tools" | paste -sd '|')

# used FILE…: the packages of the tools in them.
used() {
  local text package pattern
  # A comment begins a line or follows a blank; in the first line it may name the interpreter.
  text=$(sed -E '/^#!/!s@(^|[[:space:]])(//|#([^[:alnum:]]|$)).*@\1@' "$@" | tr '\n' ' ' | grep -oE "$any" | sort -u) || true
  while IFS=$'\t' read -r package pattern; do
    if [[ $text =~ $pattern ]]; then echo "$package"; fi
  done <<<"$tools"
}

# compare NAME DECLARED USED: lists of lines. Packages that stand for no tool, as libraries, are not judged.
compare() {
  local package
  for package in $(comm -13 <(sort -u <<<"$2") <(sort -u <<<"$3")); do
    echo "$1 uses $package and does not say so"
    failed=1
  done
  for package in $(comm -23 <(sort -u <<<"$2") <(sort -u <<<"$3")); do
    if grep -qF "$package"$'\t' <<<"$tools"; then
      echo "$1 says that it needs $package and does not use it"
      failed=1
    fi
  done
}

while read -r list; do
  folder=${list%/*}
  mapfile -t files < <(find "$folder" -maxdepth 1 -type f ! -name '*.md' ! -name CMakeLists.txt)
  # Operators' pages that the tests there rehearse.
  if [ "$folder" = tests/integration/docs ]; then files+=(packaging/{clerk,tokens,secrets}.md); fi
  # A label with a variable in it, needs-${package}, takes its values from the loop around.
  declared=$(sed -n -e 's/#.*//' -e 's/needs-/\nneeds-/g; p' "$list" | sed -n 's/^needs-\([a-z0-9.+-]*\).*/\1/p' | grep . || true)
  # shellcheck disable=SC2016 # CMake's
  if grep -qF 'needs-${package}' "$list"; then declared+=$'\ndocker.io\npodman'; fi
  compare "$folder" "$declared" "$(used "${files[@]}")"
done < <(find tests -name CMakeLists.txt ! -path 'tests/bench/*' ! -path 'tests/fuzz/*' ! -path 'tests/fakes/*' ! -path 'tests/browser/*' ! -path 'tests/unit/dev/*')

# foreign FILE…: the packages of commands that are not on every Debian, whether the table knows them or not.
foreign() {
  local word words=() paths=()
  # Words in the place of a command, outside of quoted texts, that are no builtins or functions of the scripts.
  mapfile -t words < <(sed -E "s/^ *#.*//; s/'[^']*'//g" "$@" |
    grep -oE '(^ *|[|;&(] *|\b(then|do|else|exec|if|until|while|!|on_core [01]) )[a-z][a-z0-9_.+-]+( |$)' |
    grep -oE '[a-z0-9_.+-]+ ?$' | sort -u | grep -vxFf <(compgen -bk | sed 's/$/ /'; compgen -bk))
  for word in "${words[@]}"; do
    paths+=("$(readlink -f "$(type -P "${word% }")")") || true
  done
  # dpkg knows a path as it was before /usr was merged, too.
  mapfile -t words < <(dpkg -S "${paths[@]}" "${paths[@]#/usr}" 2>/dev/null | sed -n 's/^\([a-z0-9.+-]*\):.*/\1/p' | sort -u)
  # shellcheck disable=SC2016 # for dpkg-query
  dpkg-query -W -f '${Package} ${Essential}\n' "${words[@]}" | sed -n 's/ no$//p' | grep -vx mawk || true
}

fewer=$(mktemp) fewest=$(mktemp)
trap 'rm -f "$fewer" "$fewest"' EXIT
# The contenders of `held` are fewer, those of `gateway` still fewer.
sed '/^start_caddy/,/^declare -A title/d' tests/bench/edge/contenders.sh >"$fewer"
sed '/^start_haproxy/,/^declare -A title/d' tests/bench/edge/contenders.sh >"$fewest"
for script in tests/bench/*.sh; do
  files=("$script")
  case $script in
  */edge.sh) files+=(tests/bench/edge/contenders.sh dev.d/bench.sh) ;;
  */held.sh) files+=("$fewer") ;;
  */gateway.sh) files+=("$fewest") ;;
  esac
  compare "$script" "$(sed -n 's/^# needs: //p' "$script" | tr ' ' '\n')" "$(used "${files[@]}"; foreign "${files[@]}")"
done
exit $failed
