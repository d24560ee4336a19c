#!/usr/bin/env bash
# what 5,000 kept connections, 2,000 WebSockets and 2,000 slow clients cost the others   [ROUNDS [MILLISECONDS [WHICH…]]]
# needs: curl nginx haproxy
# shellcheck disable=SC2034,SC2154 # words that the contenders share
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../../build/bench}
rounds=${1:-3} millis=${2:-2000}
shift $(($# > 2 ? 2 : $#))
wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(ours nginx haproxy)
kept=5000 slow=1000 websockets=2000 requests=8000 descriptors=20000 urgent=1

# shellcheck source=/dev/null
. "$here/edge/contenders.sh"

if ! [[ $rounds =~ ^[1-9]$ ]]; then die "ROUNDS has to be 1 to 9, not '$rounds'"; fi
if ! [[ $millis =~ ^[0-9]{3,5}$ ]]; then die "MILLISECONDS has to be 100 to 99999, not '$millis'"; fi
for name in "${wanted[@]}"; do
  [ -n "${title[$name]:-}" ] || die "there is no '$name'; choose from: relay ours nginx haproxy"
done
begin held-load
# A core that has nothing to do goes to sleep, and waking it takes longer than what is measured.
for ((core = 0; core < $(nproc); ++core)); do
  if chrt -i 0 taskset -c $core true 2>/dev/null; then
    chrt -i 0 taskset -c $core bash -c 'while :; do :; done' &
    pid[awake$core]=$!
  fi
done

failed=0
# once NAME: a line for each phase: p50 and p99 of new and of kept connections, and resident KB, into $work/PHASE.NAME.
once() {
  local phase fresh50 fresh99 kept50 kept99 held failures lost
  start "$1"
  while read -r phase fresh50 fresh99 kept50 kept99 held failures lost; do
    echo "$fresh50 $fresh99 $kept50 $kept99 $(resident "${pid[$1]}")" >>"$work/$phase.$1"
    if [ "$failures" != 0 ] || [ "$lost" != 0 ]; then
      echo "${title[$1]}, $phase: $failures requests failed, $lost of $held held connections were lost" >&2
      [ "$1" != ours ] || failed=1
    fi
  done < <(on_core 1 "$build/bench/held-load" "${port[$1]}" bench.localhost "$millis" $kept $websockets $slow)
  [ -s "$work/slow.$1" ] || die "the load did not end"
  kill "${pid[$1]}"
  wait "${pid[$1]}" 2>/dev/null || true
  unset "pid[$1]"
}

line() { # NAME PHASE TITLE
  local figures=() column
  for column in 1 2 3 4 5; do figures+=("$(median "$work/$2.$1" $column)" "$(median "$work/idle.$1" $column)"); done
  awk -v title="  $3" 'BEGIN {
    printf "%-44s", title
    for (i = 1; i < 9; i += 2) printf " %7.2f %6.2f", ARGV[i] / 1000, ARGV[i] / (ARGV[i + 1] > 0 ? ARGV[i + 1] : 1)
    printf " %7.1f\n", ARGV[9] / 1024
  }' "${figures[@]}"
}

echo "500 requests/s over new connections and 500 over kept ones; the median of $rounds rounds of $millis ms," \
  "$(nproc) cores, load before $(cut -d' ' -f1 /proc/loadavg)"
for ((round = 0; round < rounds; ++round)); do
  for name in "${wanted[@]}"; do once "$name"; done
done
for name in "${wanted[@]}"; do
  echo
  printf '%-44s %7s %6s %7s %6s %7s %6s %7s %6s %7s\n' "${title[$name]}" 'new p50' /idle 'p99' /idle 'kept p50' /idle 'p99' /idle 'RSS MB'
  line "$name" idle 'alone'
  line "$name" held "$kept kept connections, $websockets WebSockets"
  line "$name" slow "and $slow slow senders, $slow slow readers"
done
[ $failed = 0 ] || die "some requests failed"
