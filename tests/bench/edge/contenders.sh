# The proxy and what it is compared with, for the benchmarks that source this: `begin PROGRAM`, then `start NAME` for
# each. They set build, rounds, websockets, requests (of one instance at a time) and descriptors (files a process may open).
# shellcheck shell=bash disable=SC2034,SC2154

die() {
  echo "error: $*" >&2
  exit 1
}
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
# A benchmark of latency sets urgent=1: whatever else the machine does waits for them.
on_core() {
  local core=$1 words=()
  shift
  if [ "${urgent:-0}" = 1 ] && chrt -f 10 true 2>/dev/null; then words=(chrt -f 10); fi
  if [ "$(nproc)" -ge 2 ] && taskset -c "$core" true 2>/dev/null; then words+=(taskset -c "$core"); fi
  exec "${words[@]}" "$@"
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
# With plugins that decide on each request from memory.
start_ours_policy() { daemon ours_policy false bench-policy-1; }
start_ours_policies() { daemon ours_policies false bench-policy-1 bench-policy-2 bench-policy-3; }
# With the platform's own, and somebody who is signed in.
start_ours_identity() { daemon ours_identity false identity; }
# Another build of ours, to compare with: OTHER_BUILD is its folder, made like this one.
start_other() {
  build=${OTHER_BUILD:?names the folder of the other build} daemon other false
}

daemon() { # NAME ACCESS_LOG [POLICY…]
  local policy plugins=(plugins/lifecycle plugins/proxy) more=''
  for policy in "${@:3}"; do
    case $policy in
    identity) plugins+=(plugins/identity) more=$'[identity]\nmode = none' ;;
    *) plugins+=("bench-plugins/$policy") ;;
    esac
  done
  platform "$1" "[proxy]
listen = 127.0.0.1:${port[$1]}
loops = 1
access_log = $2
instance_requests = $requests
instance_websockets = $websockets
max_connections = $descriptors
trusted_peers = 127.0.0.1
$more" "${plugins[@]}"
}

# With one instance, which is the upstream.
platform() { # NAME SECTIONS [PLUGIN_OF_THE_BUILD…]
  local plugin enabled=fixed-instances
  mkdir -p "$work/$1-plugins"
  cp "$build/scenario-plugins/fixed-instances.so" "$work/$1-plugins/"
  for plugin in "${@:3}"; do
    cp "$build/$plugin.so" "$work/$1-plugins/"
    enabled+=", ${plugin##*/}"
  done
  cat >"$work/$1.ini" <<INI
[platform]
data_dir = $work/$1-data
[api]
auth = none
[plugins]
path = $work/$1-plugins
enabled = $enabled
[fixed-instances]
running = bench:${port[upstream]}:bench
$2
INI
  on_core 0 "$build/bin/matrixosd" --config="$work/$1.ini"
}

start_nginx() { nginx_before_instance nginx 'access_log off;'; }
start_nginx_log() { nginx_before_instance nginx_log "access_log $work/nginx_log/access.log combined buffer=64k flush=1s;"; }

nginx_before_instance() { # NAME LOGGING
  nginx_with "$1" 128 "$2
  client_max_body_size 8m;
  map \$http_upgrade \$connection_header { default upgrade; '' ''; }" "server_name bench.localhost;" "
      proxy_pass http://bench;
      proxy_set_header Host \$host;
      proxy_set_header Connection \$connection_header;
      proxy_set_header Upgrade \$http_upgrade;
      proxy_set_header X-Forwarded-For \$remote_addr;
      proxy_set_header X-Forwarded-Proto http;
      proxy_set_header X-Forwarded-Host \$host;
      proxy_read_timeout 120s;"
}

# One worker that passes everything on, to "bench".
nginx_with() { # NAME KEPT_CONNECTIONS HTTP SERVER LOCATION
  local folder=$work/$1
  mkdir -p "$folder"
  cat >"$folder/nginx.conf" <<CONF
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile $descriptors;
error_log $folder/error.log;
pid $folder/pid;
events { worker_connections 16000; }
http {
  $3
  keepalive_requests 100000000;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  upstream bench {
    server 127.0.0.1:${port[upstream]};
    keepalive $2;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port[$1]} backlog=4096;
    $4
    location / {
      proxy_http_version 1.1;
      $5
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
  maxconn $(((descriptors - 1000) / 2))
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
  [chp]='configurable-http-proxy' [other]='the other build' [ours_log]='matrixosd, access log'
  [ours_policy]='matrixosd, a policy' [ours_policies]='matrixosd, three policies'
  [ours_identity]='matrixosd, identity' [nginx_log]='nginx, access log')

declare -A cookie=()
# Signs in as the instance's owner, as a browser would, and keeps the cookie for the load.
signed_in() { # NAME
  local at=localhost:${port[$1]} jar=$work/$1.jar page state
  local browse=(curl -sS -L -m 10 -b "$jar" -c "$jar" -H 'Accept: text/html' -H 'Sec-Fetch-Mode: navigate')
  page=$("${browse[@]}" "http://bench.$at/small") || return 1
  state=$(sed -n 's/.*name="state" value="\([^"]*\)".*/\1/p' <<<"$page" | head -n 1)
  [ -n "$state" ] || return 1
  "${browse[@]}" -o /dev/null "http://console.$at/auth/callback?state=$state&name=bench" || return 1
  cookie[$1]=$(awk '$6 == "matrixos-app" { print $6 "=" $7 }' "$jar")
  [ -n "${cookie[$1]}" ]
}

# serves NAME: it answers. Benchmarks of something else have one of their own.
serves() {
  if [ "$1" = ours_identity ]; then
    signed_in "$1" 2>/dev/null
  else
    curl -fsS -m 2 -o /dev/null -H 'Host: bench.localhost' "http://127.0.0.1:${port[$1]}/small" 2>/dev/null
  fi
}

# start NAME: leaves it serving, or leaves it out and says why.
start() {
  local name=$1 try
  port[$name]=$(free_port)
  (start_"$name") >"$work/$name.log" 2>&1 </dev/null &
  pid[$name]=$!
  for ((try = 0; try < 200; ++try)); do
    if serves "$name"; then return 0; fi
    [ -d "/proc/${pid[$name]}" ] || break
    sleep 0.05
  done
  tail -n 5 "$work/$name.log" >&2
  die "${title[$name]} does not serve"
}

start_upstream() { on_core 1 "$build/bench/edge-upstream" "${port[upstream]}"; }

# begin PROGRAM: the load is there, and the upstream runs.
begin() {
  [ -x "$build/bench/$1" ] || die "there is no $build/bench/$1; ./dev bench builds it"
  ulimit -n "$descriptors" 2>/dev/null || die "this needs $descriptors open files; this shell allows $(ulimit -Hn)"
  port[upstream]=$(free_port)
  (start_upstream) &
  upstream=$!
}

# ---- measuring -------------------------------------------------------------------------------------------------------

resident() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"; }
cpu_ns() { cat "/proc/$1"/task/*/schedstat | awk '{ ns += $1 } END { printf "%.0f", ns }'; } # of all threads, user and system

median() { # FILE COLUMN: of as many lines as there were rounds
  cut -d' ' -f"$2" "$1" | sort -g | sed -n "$(((rounds + 1) / 2))p"
}

# Runs a load that says "open COUNT" and holds them until its input ends. Sets opened, and each: KB of NAME for one.
hold() { # NAME LOAD…
  local before holder input
  before=$(resident "${pid[$1]}")
  [ -p "$work/hold" ] || mkfifo "$work/hold"
  rm -f "$work/opened"
  "${@:2}" <"$work/hold" >"$work/opened" &
  holder=$!
  exec {input}>"$work/hold"
  while [ ! -s "$work/opened" ] && [ -d "/proc/$holder" ]; do sleep 0.05; done
  opened=$(cut -d' ' -f2 "$work/opened")
  each=$(awk -v kb=$(($(resident "${pid[$1]}") - before)) -v n="$opened" 'BEGIN { printf "%.2f", kb / (n > 0 ? n : 1) }')
  exec {input}>&-
  wait "$holder" || true
}
