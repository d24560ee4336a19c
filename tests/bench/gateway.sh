#!/usr/bin/env bash
# the AI gateway beside direct calls and nginx, before one TLS upstream   [ROUNDS [MILLISECONDS [WHICH…]]] | soak SECONDS [WHICH]
# needs: curl nginx openssl
# shellcheck disable=SC2034,SC2154 # words that are shared with contenders.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../../build/bench}
soak=0
if [ "${1:-}" = soak ]; then soak=${2:-3600} && shift $(($# > 2 ? 2 : $#)) && set -- 1 1000 "${@:-ours}"; fi
rounds=${1:-3} millis=${2:-2000}
shift $(($# > 2 ? 2 : $#))
wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(direct nginx ours)
streams=2000 descriptors=16384 websockets=0 requests=0

# shellcheck source=/dev/null
. "$here/edge/contenders.sh"

if ! [[ $rounds =~ ^[1-9]$ ]]; then die "ROUNDS has to be 1 to 9, not '$rounds'"; fi
if ! [[ $millis =~ ^[0-9]{3,5}$ ]]; then die "MILLISECONDS has to be 100 to 99999, not '$millis'"; fi
if ! [[ $soak =~ ^[0-9]{1,5}$ ]]; then die "SECONDS has to be a number, not '$soak'"; fi
title=([direct]='direct, TLS' [nginx]=nginx [ours]='matrixosd, ai-gateway' [bare]='matrixosd without it')
token=mxi_bench______________________________________ # 43 characters; whose it is: FixedInstances.cpp
shared_key=sk-ant-shared

# ---- upstream and contenders -----------------------------------------------------------------------------------------

make_certificates() {
  local new=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2)
  openssl req -x509 "${new[@]}" -subj '/CN=bench authority' -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
  openssl req -x509 "${new[@]}" -CA "$work/ca.pem" -CAkey "$work/ca.key" -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$work/cert.key" -out "$work/cert.pem" 2>/dev/null
}

start_nginx() {
  nginx_with nginx 1024 'access_log off;
  client_max_body_size 32m;' '' "
      proxy_pass https://bench;
      proxy_set_header Connection '';
      proxy_set_header Host localhost;
      proxy_set_header Authorization 'Bearer $shared_key';
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate $work/ca.pem;
      proxy_buffering off;
      proxy_read_timeout 300s;"
}

start_ours() {
  [ -f "$build/plugins/ai-gateway.so" ] || die "this build has no plugin ai-gateway"
  platform ours "[ai-gateway]
listen = 127.0.0.1:${port[ours]}
loops = 1
upstream = https://localhost:${port[upstream]}
upstream_ca_file = $work/ca.pem
api_key_file = $work/shared.key
daily_limit_usd = 1000000
monthly_limit_usd = 1000000
concurrent_requests = 0
access_log = false" plugins/ai-gateway
}
# What the daemon holds anyway.
start_bare() { platform bare ''; }

start_direct() { :; }

serves() {
  case $1 in
  direct) return 0 ;;
  bare) [ -S "$work/bare-data/run/api.sock" ] ;;
  *) curl -sS -m 2 -o /dev/null "http://127.0.0.1:${port[$1]}/health" 2>/dev/null ;;
  esac
}

# The upstream answers at once with what it made before: 60 words as a document or in 68 events.
start_upstream() {
  on_core 1 "$build/tests/llm-upstream" --instant --usual 'text=60 input=250 output=60' \
    --tls "$work/cert.pem" "$work/cert.key" "127.0.0.1:${port[upstream]}" >"$work/upstream.log" 2>&1
}

# ---- measuring -------------------------------------------------------------------------------------------------------

files() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }

load() { # KIND NAME CONNECTIONS MILLISECONDS
  local at=${port[$2]} more=()
  if [ "$2" = direct ]; then at=${port[upstream]} more=("$work/ca.pem"); fi
  (on_core 1 "$build/bench/gateway-load" "$1" "$at" "$token" "$3" "$4" "${more[@]}")
}

failed=0
# once KIND NAME CONNECTIONS [MILLISECONDS]: CPU us per call, calls/s, p50, p99, p50 until the first event, all in ms.
once() {
  local before=0 after=0 calls took p50 p99 first50 first99 errors all
  [ "$2" = direct ] || before=$(cpu_ns "${pid[$2]}")
  load "$1" "$2" "$3" "${4:-$millis}" >"$work/last"
  read -r calls took p50 p99 first50 first99 errors all <"$work/last"
  [ "$2" = direct ] || after=$(cpu_ns "${pid[$2]}")
  if [ "$errors" != 0 ] || [ "$calls" = 0 ]; then
    echo "${title[$2]}, $1: $errors failures beside $calls answers" >&2
    failed=1
  fi
  awk -v n="$calls" -v all="$((all > 0 ? all : 1))" -v cpu=$((after - before)) -v took="$took" -v p50="$p50" -v p99="$p99" \
    -v first="$first50" 'BEGIN { printf "%.2f %.0f %.3f %.3f %.3f\n", cpu / 1000 / all, n * 1e6 / took, p50 / 1000, p99 / 1000, first / 1000 }'
}

declare -A figure
# measure KIND CONNECTIONS TITLE: rounds are interleaved; the median of each column is shown and kept in figure.
measure() {
  local name round column columns=(cpu rate p50 p99 first)
  for ((round = 0; round < rounds; ++round)); do
    for name in "${wanted[@]}"; do once "$1" "$name" "$2" >>"$work/$1.$2.$name"; done
  done
  echo
  printf '%-34s %9s %7s %9s %7s %9s %9s %9s %11s %8s\n' "$3" 'CPU us' /nginx calls/s /nginx 'p50 ms' 'p99 ms' '+p50 ms' 'first event' 'RSS MB'
  for name in "${wanted[@]}"; do
    for column in 1 2 3 4 5; do
      figure[$name.$1.$2.${columns[column - 1]}]=$(median "$work/$1.$2.$name" $column)
    done
  done
  for name in "${wanted[@]}"; do
    figure[$name.$1.$2.rss]=$([ "$name" = direct ] || resident "${pid[$name]}")
    awk -v label="${title[$name]}" -v cpu="${figure[$name.$1.$2.cpu]}" -v rate="${figure[$name.$1.$2.rate]}" \
      -v p50="${figure[$name.$1.$2.p50]}" -v p99="${figure[$name.$1.$2.p99]}" -v first="${figure[$name.$1.$2.first]}" \
      -v ncpu="${figure[nginx.$1.$2.cpu]:-0}" -v nrate="${figure[nginx.$1.$2.rate]:-0}" -v d50="${figure[direct.$1.$2.p50]:-0}" \
      -v rss="${figure[$name.$1.$2.rss]}" 'BEGIN {
        printf "  %-32s %9.2f %7.2f %9.0f %7.2f %9.2f %9.2f %9.2f %11.3f %8.1f\n", label, cpu, (ncpu > 0 ? cpu / ncpu : 0),
          rate, (nrate > 0 ? rate / nrate : 0), p50, p99, (d50 > 0 ? p50 - d50 : 0), first, rss / 1024 }'
  done
}

# Each stream has brought its first event and is silent since.
measure_streams() {
  local name opened each
  echo
  printf '%-34s %9s %9s\n' "$streams open streams" 'KB each' open
  for name in "${wanted[@]}"; do
    [ "$name" != direct ] || continue
    hold "$name" load hold "$name" $streams 0
    figure[$name.each]=$each
    printf '  %-32s %9.1f %9s\n' "${title[$name]}" "$each" "$opened"
    [ "$opened" = $streams ] || failed=1
  done
}

# Ours against nginx in this run.
show_bars() {
  local own
  if ! [[ " ${wanted[*]} " == *' ours '* && " ${wanted[*]} " == *' nginx '* && " ${wanted[*]} " == *' direct '* ]]; then return; fi
  own=$(awk -v ours="${figure[ours.document.10.rss]}" -v bare="$(resident "${pid[bare]}")" 'BEGIN { printf "%.1f", (ours - bare) / 1024 }')
  echo
  bar() { # WHAT VALUE LESS|MORE BAR
    awk -v what="$1" -v value="$2" -v way="$3" -v bar="$4" 'BEGIN {
      met = way == "less" ? value <= bar : value >= bar
      printf "  %-56s %9.2f   %s %s   %s\n", what, value, way == "less" ? "at most" : "at least", bar, met ? "met" : "NOT MET" }'
  }
  ratio() { awk -v a="${figure[ours.$1]}" -v b="${figure[nginx.$1]}" 'BEGIN { printf "%.3f", (b > 0 ? a / b : 0) }'; }
  echo 'bars'
  local kind
  for kind in document.10 document.500 stream.10; do
    bar "CPU per call, of nginx's ($kind)" "$(ratio $kind.cpu)" less 1.5
    bar "calls/s, of nginx's ($kind)" "$(ratio $kind.rate)" more 0.6
    bar "p99, of nginx's ($kind)" "$(ratio $kind.p99)" less 2
  done
  bar 'MB over the daemon without the plugin (document.10)' "$own" less 30
  bar "KB for each of $streams open streams" "${figure[ours.each]}" less 25
  bar 'ms until the first event, over direct (one call at a time)' \
    "$(awk -v a="${figure[ours.stream.1.first]}" -v b="${figure[direct.stream.1.first]}" 'BEGIN { printf "%.3f", a - b }')" less 0.3
}

# Load for so many seconds; memory and files in the last quarter beside the first.
run_soak() {
  local name=${wanted[0]} end step=$((soak / 200 > 0 ? soak / 200 : 1)) kind jobs=()
  for kind in document stream; do
    load $kind "$name" 20 $((soak * 1000)) >"$work/soak.$kind" &
    jobs+=($!)
  done
  end=$((SECONDS + soak))
  while [ $SECONDS -lt $end ]; do
    sleep "$step"
    echo "$(resident "${pid[$name]}") $(files "${pid[$name]}")" >>"$work/samples"
  done
  wait "${jobs[@]}"
  cat "$work/soak.document" "$work/soak.stream" | awk -v label="${title[$name]}" '{ calls += $1; lost += $7 }
    END { printf "%s: %d calls, %d failures\n", label, calls, lost; exit lost > 0 }' || failed=1
  awk '{ kb[NR] = $1; fds[NR] = $2 } END {
    q = int(NR / 4); if (q < 1) q = 1
    for (i = 1; i <= q; ++i) { a += kb[i]; f += fds[i]; b += kb[NR - q + i]; g += fds[NR - q + i] }
    printf "  first quarter %.1f MB, %.1f files; last quarter %.1f MB, %.1f files; %d samples\n", a / q / 1024, f / q, b / q / 1024, g / q, NR
    exit !(b <= a * 1.05 + 1024 * q && g <= f + 2 * q) }' "$work/samples" || {
    echo "  memory or files grow" >&2
    failed=1
  }
}

for name in "${wanted[@]}"; do
  [[ $name =~ ^(direct|nginx|ours)$ ]] || die "there is no '$name'; choose from: direct nginx ours"
done
if [ "$soak" != 0 ] && [ "${wanted[0]}" = direct ]; then die "there is no process to look at; choose from: nginx ours"; fi
make_certificates
echo "$shared_key" >"$work/shared.key"
chmod 600 "$work/shared.key"
begin gateway-load
until grep -qs '^ready' "$work/upstream.log"; do
  [ -d "/proc/$upstream" ] || die "the upstream does not start: $(cat "$work/upstream.log")"
  sleep 0.05
done
for name in "${wanted[@]}"; do start "$name"; done
if [ "$soak" != 0 ]; then
  run_soak
else
  if [[ " ${wanted[*]} " == *' ours '* ]]; then start bare; fi
  echo "the median of $rounds rounds of $millis ms, $(nproc) cores, load before $(cut -d' ' -f1 /proc/loadavg)"
  measure stream 1 'streams, one at a time'
  measure document 10 'documents, 10 connections'
  measure document 500 'documents, 500 connections'
  measure stream 10 'streams, 10 connections'
  measure stream 500 'streams, 500 connections'
  measure_streams
  show_bars
fi
[ $failed = 0 ] || die "some calls failed"
