# ./dev run, stop and clean: the platform on this machine, with a demo instance.
# shellcheck shell=bash

daemon_pid() { # prints the id of our daemon, or fails
  local pid exe
  pid=$(cat "$run_dir/matrixosd.pid" 2>/dev/null) || return 1
  exe=$(readlink "/proc/${pid:-0}/exe" 2>/dev/null) || return 1
  [ "${exe% (deleted)}" = "$root/build/release/bin/matrixosd" ] && echo "$pid"
}

# What the daemon started from has changed since: then a running one is an old one.
daemon_outdated() {
  [ -n "$(find build/release/bin/matrixosd build/release/plugins "$run_dir/dev.ini" -newer "$run_dir/matrixosd.pid" \
    -type f 2>/dev/null)" ]
}

stop_daemon() {
  local pid
  pid=$(daemon_pid) || return 0
  kill "$pid"
  for _ in $(seq 300); do
    [ -d "/proc/$pid" ] || break
    sleep 0.1
  done
  [ ! -d "/proc/$pid" ] || { note "It did not end within 30 s and is killed."; kill -9 "$pid"; }
  rm -f "$run_dir/matrixosd.pid"
}

write_config() { # RUNTIME
  local file=$run_dir/dev.ini enabled=''
  if [ "$1" = process ]; then
    enabled=$'\n[plugins]\nenabled = runtime-process, orchestrator, lifecycle, social, proxy\n\n[runtime-process]\n'
    enabled+="command = exec \"$root/build/demo/demo-instance\""$'\n'
  fi
  cat >"$file.new" <<INI
; Written by ./dev run; every key is explained in etc/matrixosd.ini.
[platform]
data_dir = $run_dir/data

[api]
auth = none

[orchestrator]
runtime = $1
image = $demo_image
users_dir = $run_dir/users

[proxy]
listen = $listen

[log]
format = text
$enabled
INI
  # Kept as it is when nothing changes, so that its time says when it did.
  if cmp -s "$file.new" "$file"; then rm "$file.new"; else mv "$file.new" "$file"; fi
}

start_daemon() {
  local log=$run_dir/matrixosd.log pid
  # Our own variables look like its configuration keys.
  local daemon=(env -u MATRIXOS_LISTEN -u MATRIXOS_RUNTIME build/release/bin/matrixosd --config="$run_dir/dev.ini")
  if pid=$(daemon_pid); then
    if ! daemon_outdated; then
      note "matrixosd runs already (process $pid)."
      return
    fi
    note "matrixosd runs an older build: it is restarted. Instances stay up."
    stop_daemon
  fi
  say "Starting matrixosd"
  "${daemon[@]}" --check >"$run_dir/check.log" 2>&1 ||
    { cat "$run_dir/check.log" >&2; die "matrixosd refuses $run_dir/dev.ini"; }
  # A session of its own: Ctrl-C in this terminal is not meant for it.
  setsid "${daemon[@]}" >>"$log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$run_dir/matrixosd.pid"
  for _ in $(seq 300); do
    if curl -fsS -m 2 -o /dev/null --unix-socket "$run_dir/data/run/admin.sock" http://localhost/health 2>/dev/null; then
      return 0
    fi
    [ -d "/proc/$pid" ] || break
    sleep 0.1
  done
  tail -n 15 "$log" >&2
  die "matrixosd did not become healthy; its log is $log" \
    "If ${listen##*:} is taken: MATRIXOS_LISTEN=127.0.0.1:9001 ./dev run"
}

# api METHOD PATH [JSON]: the body, then the status on a line of its own.
api() {
  curl -sS -m 120 -w '\n%{http_code}\n' -X "$1" --unix-socket "$run_dir/data/run/admin.sock" "http://localhost$2" \
    ${3:+-H 'Content-Type: application/json' -d "$3"}
}

# provision HANDLE USER: repeated for an instance that exists, it answers 200 and changes nothing.
provision() {
  local answer
  for _ in $(seq 30); do
    answer=$(api POST /containers/provision "{\"handle\":\"$1\",\"clerkUserId\":\"$2\"}" 2>&1) || true
    case ${answer##*$'\n'} in
    200 | 201) return 0 ;;
    404 | 503) sleep 0.5 ;; # its plugin, or the engine, is still on its way
    *) break ;;
    esac
  done
  echo "$answer" >&2
  die "$1 could not be provisioned; see $run_dir/matrixosd.log"
}

# Sets $runtime to what carries the demo, and says which it is and why.
choose_runtime() {
  case ${MATRIXOS_RUNTIME:-} in
  process)
    runtime=process
    note "Runtime: process, because MATRIXOS_RUNTIME=process."
    ;;
  docker | '')
    if have_engine; then
      runtime=docker
      note "Runtime: docker, because an engine answers ($(docker version --format '{{.Server.Version}}'))."
      return
    fi
    [ -z "${MATRIXOS_RUNTIME:-}" ] || die "MATRIXOS_RUNTIME=docker, but no container engine can be had here." \
      "Start Docker and run this again; its log may be $run_dir/dockerd.log"
    runtime=process
    note "Runtime: process, because no container engine can be had here."
    ;;
  *) die "there is no runtime '$MATRIXOS_RUNTIME'; MATRIXOS_RUNTIME is docker, process or empty" ;;
  esac
  note "Instances are plain processes, kept apart from this machine by little or nothing: to try things out."
}

# An engine that answers: one that is there, or one that can be installed and started. Else 1, and it has been said why.
have_engine() {
  engine_answers && return 0
  (need "${packages_engine[@]}") || return 1
  start_engine
}

cmd_run() {
  local runtime='' port=${listen##*:}
  need_debian
  need "${packages_build[@]}" "${packages_run[@]}"
  choose_runtime
  configure release
  compile build/release
  if [ ! -f build/demo/build.ninja ]; then
    cmake -S tests/fixtures/demo-instance -B build/demo -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache >/dev/null
  fi
  compile build/demo
  mkdir -p "$run_dir/users"
  [ "$runtime" != docker ] || build_demo_image build/demo/demo-instance
  write_config "$runtime"
  start_daemon
  say "Provisioning the instance of alice"
  provision alice demo-alice
  announce "$port" "$runtime"
}

announce() { # PORT RUNTIME
  local ctl="build/release/bin/matrixosctl --config=build/run/dev.ini"
  cat <<TEXT

  ${bold}Open   http://alice.localhost:$1/${plain}      (runtime: $2)

  Put her to sleep          $ctl containers stop alice
  and open the page again: the request wakes her, and the boot count rises by one.
  See all instances         $ctl containers list
  Her gateway               curl http://alice.localhost:$1/api/info
  The API                   curl http://localhost:$1/containers
  Log of the platform       tail -f build/run/matrixosd.log
  Configuration             build/run/dev.ini, explained in etc/matrixosd.ini
  End                       ./dev stop

TEXT
}

cmd_stop() {
  if daemon_pid >/dev/null; then
    say "Stopping matrixosd"
    stop_daemon
    note "Instances stay as they are; ./dev run finds them again, ./dev clean removes them."
  else
    note "matrixosd is not running."
  fi
  if [ "${1:-}" = --engine ] && [ -s "$run_dir/dockerd.pid" ]; then
    local pid
    pid=$(cat "$run_dir/dockerd.pid")
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
      say "Stopping the Docker engine"
      as_root kill "$pid"
    fi
    as_root rm -f "$run_dir/dockerd.pid"
  fi
}

# Instances of the process runtime go on without the daemon; its records say which they are.
end_processes() {
  local record token pid started
  for record in "$run_dir"/data/runtime-process/*.json; do
    token=$(sed -n 's/.*"token":"\([0-9]*:[0-9]*\):[^"]*".*/\1/p' "$record" 2>/dev/null) || continue
    pid=${token%%:*}
    [ -n "$pid" ] || continue
    # The 22nd field, counted behind the name, which may hold anything (proc(5)).
    started=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20) || continue
    [ "$started" != "${token##*:}" ] || as_root kill -9 -- "-$pid"
  done
}

cmd_clean() {
  local containers
  # The demo's containers are those whose volume lies in this tree: others on this engine are none of our business.
  if engine_answers; then
    containers=$(docker ps -aq --filter label=matrixos.managed=true | while read -r id; do
      docker inspect --format '{{range .Mounts}}{{.Source}}{{"\n"}}{{end}}' "$id" | grep -q "^$run_dir/" && echo "$id"
    done || true)
  fi
  stop_daemon
  end_processes
  if [ -n "${containers:-}" ]; then
    say "Removing the demo's containers"
    echo "$containers" | xargs docker rm -f >/dev/null
  fi
  as_root rm -rf "$root/build"
}
