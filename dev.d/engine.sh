# The container engine: found, started, left to its user.
# shellcheck shell=bash

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# An engine that was killed leaves its pid files, and dockerd trusts them even when the process is a zombie or another.
forget_dead_engine() {
  local name file pid
  for name in dockerd containerd; do
    file=/var/run/docker.pid
    [ "$name" = dockerd ] || file=/var/run/docker/containerd/containerd.pid
    [ -s "$file" ] || continue
    pid=$(cat "$file")
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$name" ] || grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; then
      as_root rm -f "$file"
    fi
  done
}

# Leaves a Docker engine that answers this user, or returns 1 and has said why.
start_engine() {
  engine_answers && return 0
  command -v dockerd >/dev/null || { note "There is no Docker engine (dockerd) here."; return 1; }
  if as_root docker version >/dev/null 2>&1; then
    join_docker_group
    return 1
  fi
  say "Starting the Docker engine"
  forget_dead_engine
  if [ -d /run/systemd/system ]; then
    as_root systemctl start docker || { note "systemctl start docker failed; see: journalctl -u docker"; return 1; }
  else
    spawn_dockerd || return 1
  fi
  engine_answers && return 0
  join_docker_group
  return 1
}

spawn_dockerd() {
  local log=$run_dir/dockerd.log
  mkdir -p "$run_dir"
  as_root rm -f "$run_dir/dockerd.pid"
  # shellcheck disable=SC2016 # expanded by the inner shell
  as_root setsid --fork sh -c 'echo $$ >"$1"; exec dockerd >>"$2" 2>&1 </dev/null' sh "$run_dir/dockerd.pid" "$log"
  for _ in $(seq 150); do
    if as_root docker version >/dev/null 2>&1; then return 0; fi
    if [ -s "$run_dir/dockerd.pid" ] && ! [ -d "/proc/$(cat "$run_dir/dockerd.pid")" ]; then break; fi
    sleep 0.2
  done
  note "dockerd did not come up. The end of $log:"
  tail -n 5 "$log" >&2 || true
  return 1
}

# The engine runs but answers root alone: membership of its group counts from the next login, or at once under sg.
join_docker_group() {
  [ "$(id -u)" != 0 ] && [ -z "${MATRIXOS_IN_SG:-}" ] || return 0
  if ! getent group docker | cut -d: -f4 | tr ',' '\n' | grep -qx "$(id -un)"; then
    note "The engine answers root only. To let you use it (this equals root on this machine):"
    note "    sudo usermod -aG docker $(id -un)     then run ./dev again"
    return 0
  fi
  local command
  printf -v command '%q ' "$root/dev" "${original_arguments[@]}"
  MATRIXOS_IN_SG=1 exec sg docker -c "$command"
}

# build_demo_image BINARY
build_demo_image() { note "$(tests/fixtures/demo-instance/build-image.sh "$1" "$demo_image")"; }
