#!/usr/bin/env bash
# the API with 10,000 instances under load, beside nginx   [INSTANCES [SECONDS [CONNECTIONS]]]
# needs: curl sqlite3 wrk nginx
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../../build/release}
instances=${1:-10000} seconds=${2:-5} connections=${3:-16}

die() {
  echo "error: $*" >&2
  exit 1
}
within() { # NAME VALUE LEAST MOST
  if ! [[ $2 =~ ^[0-9]{1,6}$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then die "$1 has to be $3 to $4, not '$2'"; fi
}
within INSTANCES "$instances" 1 10000 # two host ports each
within SECONDS "$seconds" 1 6         # per line of the table, so that the whole ends within a minute
within CONNECTIONS "$connections" 1 48
# OTHER_BUILD names the folder of another build of ours, to compare with, made like this one.
declare -A builds=([matrixosd]=$build)
names=(matrixosd)
if [ -n "${OTHER_BUILD:-}" ]; then builds[other]=$OTHER_BUILD names+=(other); fi
for name in "${names[@]}"; do
  [ -x "${builds[$name]}/bin/matrixosd" ] || die "there is no ${builds[$name]}/bin/matrixosd; ./dev bench builds it"
done

work=$(mktemp -d)
nginx=''
declare -A daemon api
clean_up() {
  local pid
  for pid in "${daemon[@]}" $nginx; do kill "$pid" 2>/dev/null || true; done
  # The jobs' end is awaited, so that nothing writes into the folder that is removed.
  wait
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

free_port() {
  local port
  while :; do
    port=$((12000 + RANDOM % 18000))
    # A port where nobody answers; Linux hands ports below 32768 out to nobody on its own.
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# await SECONDS PID URL: until the URL answers 200; fails when the process ends or the time is over.
await() {
  local try
  for ((try = 0; try < $1 * 20; ++try)); do
    if curl -fsS -m 5 -o /dev/null "$3" 2>/dev/null; then return 0; fi
    [ -d "/proc/$2" ] || return 1
    sleep 0.05
  done
  return 1
}

# ---- the daemon, and a database full of instances at rest ------------------------------------------------------------

# The engine's socket does not exist: records stay as they are while the engine cannot be asked.
prepare() { # NAME
  local port
  port=$(free_port)
  api[$1]=http://127.0.0.1:$port
  mkdir -p "$work/$1/users"
  cat >"$work/$1/bench.ini" <<INI
[platform]
data_dir = $work/$1/data
[api]
listen = 127.0.0.1:$port
auth = none
[plugins]
enabled = runtime-docker, orchestrator, lifecycle, social, proxy
[log]
format = text
[runtime-docker]
endpoint = unix:$work/no-engine.sock
[orchestrator]
users_dir = $work/$1/users
gateway_base_port = 30000
shell_base_port = 40000
ports_per_range = 10000
[proxy]
listen = 127.0.0.1:$(free_port)
INI
}

start_daemon() { # NAME
  # As variables: a build that knows no limits warns of them and goes on.
  MATRIXOS_API_LIMIT_ADDRESS=0 MATRIXOS_API_LIMIT_PRINCIPAL=0 \
    "${builds[$1]}/bin/matrixosd" --config="$work/$1/bench.ini" >>"$work/$1/log" 2>&1 </dev/null &
  daemon[$1]=$!
  await 15 "${daemon[$1]}" "${api[$1]}/containers?status=failed" ||
    { tail -n 20 "$work/$1/log" >&2; die "${builds[$1]}/bin/matrixosd does not serve"; }
}

stop_daemon() { # NAME
  kill "${daemon[$1]}"
  wait "${daemon[$1]}" || die "matrixosd ended with $?"
  unset "daemon[$1]"
}

for name in "${names[@]}"; do
  prepare "$name"
  start_daemon "$name" # makes the tables
  stop_daemon "$name"
  sqlite3 -bail -cmd ".parameter set @n $instances" "$work/$name/data/matrixos.db" <"$here/api/instances.sql"
  start_daemon "$name"
  # Awaited before the first figure: the daemon has read its records, and the list is what it should be.
  listed=$(curl -fsS "${api[$name]}/containers" | tee "$work/list" | grep -o '"handle":' | wc -l)
  [ "$listed" = "$instances" ] || die "$listed of $instances instances are listed"
  curl -fsS -o "$work/one" "${api[$name]}/containers/bench-00001"
  [ "$(curl -fsS "${api[$name]}/containers?status=running")" = '[]' ] || die "an instance runs"
done

# ---- nginx, which sends bodies of the same size from files -----------------------------------------------------------

nginx_port=$(free_port)
mkdir -p "$work/nginx/files"
cp "$work/one" "$work/list" "$work/nginx/files/"
cat >"$work/nginx/nginx.conf" <<CONF
daemon off;
master_process off;
error_log $work/nginx/error.log;
pid $work/nginx/pid;
events { worker_connections 256; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10;
  keepalive_requests 100000000;
  types { }
  default_type application/json;
  client_body_temp_path $work/nginx/body;
  proxy_temp_path $work/nginx/proxy;
  fastcgi_temp_path $work/nginx/fastcgi;
  uwsgi_temp_path $work/nginx/uwsgi;
  scgi_temp_path $work/nginx/scgi;
  server {
    listen 127.0.0.1:$nginx_port;
    root $work/nginx/files;
  }
}
CONF
if command -v nginx >/dev/null; then
  nginx -c "$work/nginx/nginx.conf" -e "$work/nginx/error.log" </dev/null >"$work/nginx/out" 2>&1 &
  nginx=$!
  await 5 "$nginx" "http://127.0.0.1:$nginx_port/one" || { cat "$work/nginx/"{out,error.log} >&2; die "nginx does not serve"; }
fi

# ---- measuring -------------------------------------------------------------------------------------------------------

cpu_ns() { cat "/proc/$1"/task/*/schedstat | awk '{ ns += $1 } END { printf "%.0f", ns }'; } # of all threads, user and system
memory() { awk -v key="$2:" '$1 == key { printf "%.1f", $2 / 1024 }' "/proc/${daemon[$1]}/status"; }

failed=0 health_rate=''
# measure LABEL PID URL [SPREAD]: one line of the table; with SPREAD, %05d in the URL becomes a number up to SPREAD.
measure() {
  local before after rate
  local load=(wrk --threads 1 --connections "$connections" --timeout 10s --script "$here/api/report.lua")
  "${load[@]}" --duration 1s "$3" -- "$3" "${4:-0}" >/dev/null # warm
  before=$(cpu_ns "$2")
  "${load[@]}" --duration "${seconds}s" "$3" -- "$3" "${4:-0}" >"$work/wrk" || die "wrk failed on $3"
  after=$(cpu_ns "$2")
  local requests took bytes p50 p99 errors
  read -r requests took bytes p50 p99 errors < <(sed -n 's/^figures //p' "$work/wrk") || die "wrk says nothing on $3"
  if [ "$errors" != 0 ] || [ "$requests" = 0 ]; then failed=1; fi
  rate=$(awk -v n="$requests" -v us="$took" 'BEGIN { print n * 1e6 / us }')
  health_rate=${health_rate:-$rate}
  awk -v label="$1" -v n="$requests" -v rate="$rate" -v health="$health_rate" -v p50="$p50" -v p99="$p99" \
    -v bytes="$bytes" -v cpu="$((after - before))" -v errors="$errors" 'BEGIN {
      n = n > 0 ? n : 1
      printf "%-30s %10.0f %8.3f %9.2f %9.2f %12.0f %9.1f %7d\n", label, rate, rate / health, p50 / 1000, p99 / 1000,
        bytes / n, cpu / 1000 / n, errors
    }'
}

echo "$instances instances, $connections connections, $seconds s a line, $(nproc) cores, load before $(cut -d' ' -f1 /proc/loadavg)"
echo
printf '%-30s %10s %8s %9s %9s %12s %9s %7s\n' '' requests/s /health 'p50 ms' 'p99 ms' 'bytes' 'CPU us' errors
# ask TARGET [SPREAD]: a line for each of our builds.
ask() {
  local name mark=''
  for name in "${names[@]}"; do
    measure "GET $1$mark" "${daemon[$name]}" "${api[$name]}${1/:handle/bench-%05d}" "${2:-0}"
    mark=' (other)'
  done
}
declare -A memory_idle
for name in "${names[@]}"; do memory_idle[$name]=$(memory "$name" VmRSS); done
ask /health
ask /containers/:handle "$instances"
ask '/containers?status=running'
ask /containers
declare -A memory_after
for name in "${names[@]}"; do memory_after[$name]=$(memory "$name" VmRSS); done
if [ -n "$nginx" ]; then
  measure 'nginx, body of :handle' "$nginx" "http://127.0.0.1:$nginx_port/one"
  measure 'nginx, body of the list' "$nginx" "http://127.0.0.1:$nginx_port/list"
fi
echo
for name in "${names[@]}"; do
  echo "$name holds ${memory_idle[$name]} MB before, ${memory_after[$name]} MB after, $(memory "$name" VmHWM) MB at most."
  [ "$(curl -fsS "${api[$name]}/containers" | grep -o '"status":"stopped"' | wc -l)" = "$instances" ] ||
    die "the records changed"
done
[ $failed = 0 ] || die "some requests failed"
