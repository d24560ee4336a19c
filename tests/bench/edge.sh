#!/usr/bin/env bash
# the proxy beside a blind relay, nginx, HAProxy, Caddy and configurable-http-proxy   [ROUNDS [MILLISECONDS [WHICH…]]]
# needs: curl nginx haproxy caddy nodejs npm
# shellcheck disable=SC2034,SC2154 # words that the contenders share
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../../build/bench}
rounds=${1:-3} millis=${2:-1200}
shift $(($# > 2 ? 2 : $#))
all=(relay ours nginx haproxy caddy chp)
kinds=(websockets small down up chunked connect)
wanted=() wanted_kinds=()
for word in "$@"; do
  case " ${kinds[*]} " in *" $word "*) wanted_kinds+=("$word") ;; *) wanted+=("$word") ;; esac
done
[ ${#wanted[@]} -gt 0 ] || wanted=("${all[@]}")
[ ${#wanted_kinds[@]} -gt 0 ] || wanted_kinds=("${kinds[@]}")
connections=64 websockets=2000 requests=512 descriptors=16384

# shellcheck source=/dev/null
. "$here/edge/contenders.sh"

if ! [[ $rounds =~ ^[1-9]$ ]]; then die "ROUNDS has to be 1 to 9, not '$rounds'"; fi
if ! [[ $millis =~ ^[0-9]{3,5}$ ]]; then die "MILLISECONDS has to be 100 to 99999, not '$millis'"; fi
begin edge-load
contenders=()
for name in "${wanted[@]}"; do
  [ -n "${title[$name]:-}" ] || die "there is no '$name'; choose from: ${all[*]} other ours_log ours_policy ours_policies ours_identity nginx_log ${kinds[*]}"
  if [ "$name" = chp ] && [ ! -d "$build/chp/node_modules" ]; then
    echo "configurable-http-proxy is left out: npm did not install it." >&2
    continue
  fi
  start "$name"
  contenders+=("$name")
done

# ---- measuring -------------------------------------------------------------------------------------------------------

load() { (on_core 1 "$build/bench/edge-load" "$@"); }

failed=0
# once KIND NAME: one line of figures: CPU us per request, requests/s, p50, p99.
once() {
  local before after requests took p50 p99 errors
  load "$1" "${port[$2]}" bench.localhost $connections 150 "${cookie[$2]:-}" >/dev/null # warm
  before=$(cpu_ns "${pid[$2]}")
  read -r requests took p50 p99 errors < <(load "$1" "${port[$2]}" bench.localhost $connections "$millis" "${cookie[$2]:-}")
  after=$(cpu_ns "${pid[$2]}")
  if [ "$errors" != 0 ] || [ "$requests" = 0 ]; then echo "${title[$2]}, $1: $errors failures beside $requests answers" >&2; fi
  if [ "$requests" = 0 ] || { [[ $2 == ours* ]] && [ "$errors" != 0 ]; }; then failed=1; fi
  awk -v n="$((requests > 0 ? requests : 1))" -v cpu=$((after - before)) -v took="$took" \
    -v p50="$p50" -v p99="$p99" \
    'BEGIN { printf "%.2f %.0f %.3f %.3f\n", cpu / 1000 / n, n * 1e6 / took, p50 / 1000, p99 / 1000 }'
}

# Rounds are interleaved and the median of each column is shown, since the machine may do other work.
measure() { # KIND TITLE
  local name round base=''
  for ((round = 0; round < rounds; ++round)); do
    for name in "${contenders[@]}"; do once "$1" "$name" >>"$work/$1.$name"; done
  done
  echo
  printf '%-30s %10s %8s %10s %9s %9s %8s\n' "$2" 'CPU us' /relay requests/s 'p50 ms' 'p99 ms' 'RSS MB'
  for name in "${contenders[@]}"; do
    local figures=() column
    for column in 1 2 3 4; do
      figures+=("$(median "$work/$1.$name" $column)")
    done
    base=${base:-${figures[0]}}
    awk -v label="${title[$name]}" -v cpu="${figures[0]}" -v base="$base" -v rate="${figures[1]}" -v p50="${figures[2]}" \
      -v p99="${figures[3]}" -v rss="$(resident "${pid[$name]}")" 'BEGIN {
        printf "  %-28s %10.2f %8.3f %10.0f %9.2f %9.2f %8.1f\n", label, cpu, cpu / (base > 0 ? base : 1), rate, p50, p99,
          rss / 1024
      }'
  done
}

# Each WebSocket has carried one frame in both directions and is silent since.
measure_websockets() {
  local name opened each
  echo
  printf '%-30s %10s %10s\n' "$websockets idle WebSockets" 'KB each' open
  for name in "${contenders[@]}"; do
    hold "$name" load websockets "${port[$name]}" bench.localhost $websockets 0 "${cookie[$name]:-}"
    printf '  %-28s %10.2f %10d\n' "${title[$name]}" "$each" "$opened"
    [ "$opened" = $websockets ] || [ "$name" != ours ] || failed=1
  done
}

echo "$connections connections, the median of $rounds rounds of $millis ms, $(nproc) cores," \
  "load before $(cut -d' ' -f1 /proc/loadavg)"
for kind in "${wanted_kinds[@]}"; do
  case $kind in
  websockets) measure_websockets ;;
  small) measure small 'small JSON, kept connections' ;;
  down) measure down '1 MB down' ;;
  up) measure up '1 MB up' ;;
  chunked) measure chunked '64 KB in chunks' ;;
  connect) measure connect 'a connection per request' ;;
  esac
done
[ $failed = 0 ] || die "some requests failed"
