#!/usr/bin/env bash
# engine.sh docker|podman KIT PLUGIN TENANT [kit options…]: runs the conformance kit against runtime-docker on an engine,
# with an image made of the static program TENANT. Podman gets a service, a storage and networks of its own. Ends with
# 77 when there is no such engine, or 1 with CI=true.
set -euo pipefail

engine=$1 kit=$2 plugin=$3 tenant=$4
shift 4
work=$(mktemp -d /tmp/mosconf-test-XXXXXX)
image=mosconf-test-${work##*-}:1
image=${image,,}
service=''

finish() {
  "${cli[@]}" rmi -f "$image" >/dev/null 2>&1 || true
  [ -z "$service" ] || { kill "$service" && wait "$service"; } 2>/dev/null || true
  rm -rf "$work"
}
skip() {
  echo "no $engine engine: $1"
  if [ "${CI:-}" = true ]; then exit 1; else exit 77; fi
}

cli=(docker)
socket=/var/run/docker.sock
trap finish EXIT
if [ "$engine" = podman ]; then
  command -v podman >/dev/null || skip "podman is not installed"
  [ "$(id -u)" = 0 ] || skip "Podman's service is tested as root only"
  image=localhost/$image
  socket=$work/podman.sock
  mkdir "$work/net"
  # Limits that a machine with a low file limit can grant.
  printf '[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=4096:4096"]\n' >"$work/containers.conf"
  export CONTAINERS_CONF=$work/containers.conf
  cli=(podman --root "$work/root" --runroot "$work/run" --network-config-dir "$work/net" --cgroup-manager cgroupfs)
  "${cli[@]}" system service --time=0 "unix:$socket" &
  service=$!
fi
for _ in $(seq 100); do
  if curl -fs --unix-socket "$socket" http://engine/_ping >/dev/null; then break; fi
  if [ -z "$service" ]; then skip "nothing answers at $socket"; fi
  sleep 0.1
done

mkdir -p "$work/image/tmp"
cp "$tenant" "$work/image/tenant"
tar -C "$work/image" -c . | "${cli[@]}" import - "$image" >/dev/null

cat >"$work/kit.ini" <<INI
[runtime-docker]
endpoint=unix:$socket
[conformance]
image=$image
command=/tenant serve 4000
exit_command=/tenant exit 3
exit_code=3
stubborn_command=/tenant stubborn 1
real_processes=true
instances=6
threads=5
INI
"$kit" "$plugin" --config "$work/kit.ini" "$@"
