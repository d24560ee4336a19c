#!/usr/bin/env bash
# the proxy beside a blind relay, nginx, HAProxy, Caddy and configurable-http-proxy   [ROUNDS [MILLISECONDS [WHICH…]]]
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
connections=64 websockets=2000

die() {
  echo "error: $*" >&2
  exit 1
}
if ! [[ $rounds =~ ^[1-9]$ ]]; then die "ROUNDS has to be 1 to 9, not '$rounds'"; fi
if ! [[ $millis =~ ^[0-9]{3,5}$ ]]; then die "MILLISECONDS has to be 100 to 99999, not '$millis'"; fi
[ -x "$build/bench/edge-load" ] || die "there is no $build/bench/edge-load; ./dev bench builds it"
ulimit -n 16384 2>/dev/null || die "$websockets WebSockets need 16384 open files; this shell allows $(ulimit -Hn)"

work=$(mktemp -d)
declare -A pid port
upstream=''
clean_up() {
  local one
  for one in $upstream "${pid[@]}"; do kill "$one" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# The contenders share one core, load and upstream the other: what one costs does not depend on where it happens to run.
on_core() {
  local core=$1
  shift
  if [ "$(nproc)" -ge 2 ] && taskset -c "$core" true 2>/dev/null; then exec taskset -c "$core" "$@"; else exec "$@"; fi
}

free_port() {
  local number
  while :; do
    number=$((12000 + RANDOM % 18000))
    case " ${port[*]} " in *" $number "*) continue ;; esac
    (exec 3<>"/dev/tcp/127.0.0.1/$number") 2>/dev/null || break
  done
  echo "$number"
}

# ---- the contenders: start_NAME writes a configuration and becomes the process ---------------------------------------
# Each with one loop, worker or core, kept connections on both sides, the Host passed on, and no access log.

start_relay() { on_core 0 "$build/bench/edge-relay" "${port[relay]}" "${port[upstream]}"; }

start_ours() { daemon ours false; }
start_ours_log() { daemon ours_log true; }

daemon() { # NAME ACCESS_LOG
  mkdir -p "$work/plugins"
  cp "$build"/plugins/{proxy,lifecycle}.so "$build/scenario-plugins/fixed-instances.so" "$work/plugins/"
  cat >"$work/$1.ini" <<INI
[platform]
data_dir = $work/$1-data
[api]
auth = none
[plugins]
path = $work/plugins
enabled = fixed-instances, lifecycle, proxy
[proxy]
listen = 127.0.0.1:${port[$1]}
loops = 1
access_log = $2
instance_websockets = $websockets
[fixed-instances]
running = bench:${port[upstream]}
INI
  on_core 0 "$build/bin/matrixosd" --config="$work/$1.ini"
}

start_nginx() { nginx_with nginx 'access_log off;'; }
start_nginx_log() { nginx_with nginx_log "access_log $work/nginx_log/access.log combined buffer=64k flush=1s;"; }

nginx_with() { # NAME LOGGING
  local folder=$work/$1
  mkdir -p "$folder"
  cat >"$folder/nginx.conf" <<CONF
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 16384;
error_log $folder/error.log;
pid $folder/pid;
events { worker_connections 16000; }
http {
  $2
  keepalive_requests 100000000;
  client_max_body_size 8m;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  map \$http_upgrade \$connection_header { default upgrade; '' ''; }
  upstream bench {
    server 127.0.0.1:${port[upstream]};
    keepalive 128;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port[$1]} backlog=4096;
    server_name bench.localhost;
    location / {
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Host \$host;
      proxy_set_header Connection \$connection_header;
      proxy_set_header Upgrade \$http_upgrade;
      proxy_set_header X-Forwarded-For \$remote_addr;
      proxy_set_header X-Forwarded-Proto http;
      proxy_set_header X-Forwarded-Host \$host;
      proxy_read_timeout 120s;
    }
  }
}
CONF
  on_core 0 nginx -c "$folder/nginx.conf" -e "$folder/error.log"
}

start_haproxy() {
  cat >"$work/haproxy.cfg" <<CFG
global
  nbthread 1
  maxconn 6000
defaults
  mode http
  timeout connect 2s
  timeout client 95s
  timeout server 120s
  timeout tunnel 1h
  option forwardfor
  http-reuse always
frontend world
  bind 127.0.0.1:${port[haproxy]} backlog 4096
  use_backend bench if { hdr(host) -m beg bench.localhost }
backend bench
  server one 127.0.0.1:${port[upstream]} pool-max-conn 128
CFG
  on_core 0 haproxy -db -f "$work/haproxy.cfg"
}

start_caddy() {
  cat >"$work/Caddyfile" <<CADDY
{
  admin off
  auto_https off
}
http://bench.localhost:${port[caddy]} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${port[upstream]} {
    transport http {
      keepalive_idle_conns_per_host 128
    }
  }
}
CADDY
  export GOMAXPROCS=1 HOME=$work
  on_core 0 caddy run --config "$work/Caddyfile" --adapter caddyfile
}

start_chp() {
  on_core 0 node "$build/chp/node_modules/configurable-http-proxy/bin/configurable-http-proxy" --ip 127.0.0.1 \
    --port "${port[chp]}" --api-ip 127.0.0.1 --api-port "$(free_port)" --log-level error \
    --default-target "http://127.0.0.1:${port[upstream]}"
}

declare -A title=([relay]='blind relay' [ours]='matrixosd' [nginx]=nginx [haproxy]=HAProxy [caddy]=Caddy
  [chp]='configurable-http-proxy' [ours_log]='matrixosd, access log' [nginx_log]='nginx, access log')

# start NAME: leaves it serving, or leaves it out and says why.
start() {
  local name=$1 try
  port[$name]=$(free_port)
  (start_"$name") >"$work/$name.log" 2>&1 </dev/null &
  pid[$name]=$!
  for ((try = 0; try < 200; ++try)); do
    if curl -fsS -m 2 -o /dev/null -H 'Host: bench.localhost' "http://127.0.0.1:${port[$name]}/small" 2>/dev/null; then
      return 0
    fi
    [ -d "/proc/${pid[$name]}" ] || break
    sleep 0.05
  done
  tail -n 5 "$work/$name.log" >&2
  die "${title[$name]} does not serve"
}

port[upstream]=$(free_port)
(on_core 1 "$build/bench/edge-upstream" "${port[upstream]}") &
upstream=$!
contenders=()
for name in "${wanted[@]}"; do
  [ -n "${title[$name]:-}" ] || die "there is no '$name'; choose from: ${all[*]} ours_log nginx_log ${kinds[*]}"
  if [ "$name" = chp ] && [ ! -d "$build/chp/node_modules" ]; then
    echo "configurable-http-proxy is left out: npm did not install it." >&2
    continue
  fi
  start "$name"
  contenders+=("$name")
done

# ---- measuring -------------------------------------------------------------------------------------------------------

ticks=$(getconf CLK_TCK)
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; } # user and system time of all threads, proc(5)
resident() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"; }
load() { (on_core 1 "$build/bench/edge-load" "$@"); }

failed=0
# once KIND NAME: one line of figures: CPU us per request, requests/s, p50, p99.
once() {
  local before after requests took p50 p99 errors
  load "$1" "${port[$2]}" bench.localhost $connections 150 >/dev/null # warm
  before=$(cpu_ticks "${pid[$2]}")
  read -r requests took p50 p99 errors < <(load "$1" "${port[$2]}" bench.localhost $connections "$millis")
  after=$(cpu_ticks "${pid[$2]}")
  if [ "$errors" != 0 ] || [ "$requests" = 0 ]; then echo "${title[$2]}, $1: $errors failures beside $requests answers" >&2; fi
  if [ "$requests" = 0 ] || { [ "$2" = ours ] && [ "$errors" != 0 ]; }; then failed=1; fi
  awk -v n="$((requests > 0 ? requests : 1))" -v cpu=$((after - before)) -v ticks="$ticks" -v took="$took" \
    -v p50="$p50" -v p99="$p99" \
    'BEGIN { printf "%.2f %.0f %.3f %.3f\n", cpu * 1e6 / ticks / n, n * 1e6 / took, p50 / 1000, p99 / 1000 }'
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
      figures+=("$(cut -d' ' -f$column "$work/$1.$name" | sort -g | sed -n "$(((rounds + 1) / 2))p")")
    done
    base=${base:-${figures[0]}}
    awk -v label="${title[$name]}" -v cpu="${figures[0]}" -v base="$base" -v rate="${figures[1]}" -v p50="${figures[2]}" \
      -v p99="${figures[3]}" -v rss="$(resident "${pid[$name]}")" 'BEGIN {
        printf "  %-28s %10.1f %8.2f %10.0f %9.2f %9.2f %8.1f\n", label, cpu, cpu / (base > 0 ? base : 1), rate, p50, p99,
          rss / 1024
      }'
  done
}

# Each WebSocket has carried one frame in both directions and is silent since.
measure_websockets() {
  local name before opened
  mkfifo "$work/hold"
  echo
  printf '%-30s %10s %10s\n' "$websockets idle WebSockets" 'KB each' open
  for name in "${contenders[@]}"; do
    before=$(resident "${pid[$name]}")
    rm -f "$work/opened"
    # They are held until the other end of this pipe closes.
    load websockets "${port[$name]}" bench.localhost $websockets 0 <"$work/hold" >"$work/opened" &
    local holder=$! hold
    exec {hold}>"$work/hold"
    while [ ! -s "$work/opened" ] 2>/dev/null && [ -d "/proc/$holder" ]; do sleep 0.05; done
    opened=$(cut -d' ' -f2 "$work/opened")
    awk -v label="${title[$name]}" -v kb=$(($(resident "${pid[$name]}") - before)) -v opened="$opened" \
      'BEGIN { printf "  %-28s %10.2f %10d\n", label, kb / (opened > 0 ? opened : 1), opened }'
    [ "$opened" = $websockets ] || [ "$name" != ours ] || failed=1
    exec {hold}>&-
    wait "$holder" || true
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
