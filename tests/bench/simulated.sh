#!/usr/bin/env bash
# the daemon with 100,000 running instances on the simulated engine   [INSTANCES]
# needs: curl sqlite3
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../../build/release}
instances=${1:-100000}

die() {
  echo "error: $*" >&2
  exit 1
}
if ! [[ $instances =~ ^[1-9][0-9]{0,5}$ ]] || [ "$instances" -gt 130000 ]; then
  die "INSTANCES has to be 1 to 130000, as many as there are addresses, not '$instances'"
fi
[ -x "$build/bin/matrixosd" ] || die "there is no $build/bin/matrixosd; ./dev bench builds it"

work=$(mktemp -d)
daemon=''
clean_up() {
  if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null || true; fi
  wait
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

cat >"$work/bench.ini" <<INI
[platform]
data_dir = $work/data
[plugins]
enabled = runtime-simulated, orchestrator, lifecycle
[log]
format = text
[orchestrator]
runtime = simulated
users_dir = $work/users
[runtime-simulated]
clock = virtual
state_dir = $work/engine
control = true
INI

now_ms() { date +%s%3N; }
ask() { curl -fsS -m 300 --unix-socket "$work/data/run/admin.sock" -H 'Content-Type: application/json' "$@"; }
status_kb() { sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$daemon/status"; }
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{print int(($14 + $15) * 1000 / hz)}' "/proc/$daemon/stat"; }

start_daemon() {
  local begun try
  begun=$(now_ms)
  "$build/bin/matrixosd" --config="$work/bench.ini" >>"$work/log" 2>&1 </dev/null &
  daemon=$!
  for ((try = 0; try < 6000; ++try)); do
    if ask -o /dev/null http://x/containers?status=failed 2>/dev/null; then break; fi
    [ -d "/proc/$daemon" ] || { tail -n 20 "$work/log" >&2; die "matrixosd does not start"; }
    sleep 0.01
  done
  started_ms=$(($(now_ms) - begun))
}
stop_daemon() {
  kill "$daemon"
  wait "$daemon" || die "matrixosd ended with $?"
  daemon=''
}
# line NAME COMMAND…: how long it took, and what the daemon worked for it.
line() {
  local name=$1 begun worked
  shift
  begun=$(now_ms) worked=$(cpu_ms)
  "$@" >"$work/answer"
  printf '| %s | %d | %d |\n' "$name" $(($(now_ms) - begun)) $(($(cpu_ms) - worked))
}

# ---- the containers, and a row for each ------------------------------------------------------------------------------

start_daemon # makes the tables
install=$(<"$work/data/install-id")
ask -o /dev/null -d '{"add":["demo:1"]}' http://x/simulated/images
echo "| $instances instances | ms | CPU ms |"
echo "|---|---:|---:|"
line "make and start the containers" ask http://x/simulated/instances -d '{"count": '"$instances"', "start": true, "spec": {
  "name": "matrixos-u{n}", "image": "demo:1", "memoryBytes": 268435456, "cpus": 0.5, "restart": "unless-stopped",
  "networks": [{"name": "matrixos-net"}],
  "ports": [{"name": "gateway", "containerPort": 4000}, {"name": "shell", "containerPort": 3000}],
  "labels": {"matrixos.managed": "true", "matrixos.install-id": "'"$install"'",
    "matrixos.instance-id": "01K00000000000000000{n}", "matrixos.handle": "u{n}", "matrixos.generation": "1",
    "matrixos.spec-hash": "0123456789012345678901234567890123{n}", "matrixos.operation-id": "01K11111111111111111{n}"}}}'
line "list them from the engine" ask http://x/simulated/instances
cp "$work/answer" "$work/list.json"
stop_daemon
sqlite3 -bail "$work/data/matrixos.db" <<SQL
BEGIN;
INSERT INTO containers (handle, clerk_user_id, container_id, port, shell_port, status, created_at, last_active, id, rev,
  generation, observed_generation, phase, desired, runtime, node, image, image_digest, spec_hash, volume,
  volume_created, operation_id, step, retry_at, failures, last_error, provisioned_at, updated_at, activity_seq)
SELECT value ->> '\$.labels."matrixos.handle"', 'user_' || (value ->> '\$.labels."matrixos.handle"'), value ->> '\$.ref', 0, 0,
  'running', 1760000000000, unixepoch() * 1000, value ->> '\$.labels."matrixos.instance-id"', key + 1, 1, 1, 'running',
  'running', 'simulated', '$(hostname)', 'demo:1', value ->> '\$.imageDigest', value ->> '\$.labels."matrixos.spec-hash"',
  '', 0, '', '', 0, 0, '', 1760000000000, 1760000000000, 1
FROM json_each(readfile('$work/list.json'));
COMMIT;
SQL

# ---- the figures -----------------------------------------------------------------------------------------------------

start_daemon
printf '| start of the daemon until it answers | %d | %d |\n' "$started_ms" "$(cpu_ms)"
# The first comparison of rows and containers has to be over before anything else is measured.
for ((try = 0; try < 600; ++try)); do
  lists=$(ask http://x/simulated/state | grep -o '"list":{"calls":[0-9]*,"failed":[0-9]*,"running":[0-9]*}' || true)
  [[ $lists != *'"calls":0'* && $lists == *'"running":0'* ]] && break
  sleep 0.1
done
printf '| until rows and containers are compared | | %d |\n' "$(cpu_ms)"
compared_mb=$(($(status_kb VmRSS) / 1024))
line "GET /containers" ask http://x/containers
[ "$(grep -o '"handle":' "$work/answer" | wc -l)" = "$instances" ] || die "not all instances are listed"
line "GET /containers/:handle" ask http://x/containers/u000001
grep -q '"status":"running"' "$work/answer" || die "the instance does not run: $(cat "$work/answer")"
line "GET /simulated/instances" ask http://x/simulated/instances
command_until_ok() { # tried again while the daemon says that too many operations wait
  until ask -X POST "http://x/containers/u000001/$1" 2>"$work/refused"; do
    grep -q 503 "$work/refused" || die "$(cat "$work/refused")"
    sleep 0.1
  done
}
line "until a stop is accepted and done" command_until_ok stop
line "start of one" command_until_ok start
printf '\nresident %d MB when compared, at most %d MB; the journal of the engine has %d MB\n' "$compared_mb" \
  $(($(status_kb VmHWM) / 1024)) $(($(stat -c %s "$work/engine/journal") / 1000000))
