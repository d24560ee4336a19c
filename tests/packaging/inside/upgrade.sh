#!/usr/bin/env bash
# What ../upgrade.sh does in its machine, on which these programs are installed.
set -euo pipefail
cd

step() { echo "== $*"; }
fail() {
  echo "FAILED: $*"
  exit 1
}
# same WHAT BEFORE NOW
same() { [ "$2" = "$3" ] || fail "$1 is not what it was: $3 instead of $2"; }
# eventually COMMAND…: within a minute.
eventually() {
  for _ in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.2
  done
  fail "never: $*"
}

daemon=''
start_daemon() {
  setpriv --reuid=matrixos --regid=matrixos --init-groups matrixosd >>/var/log/matrixosd.log 2>&1 &
  daemon=$!
  eventually curl -fsS http://127.0.0.1:9000/health
}
stop_daemon() {
  kill "$daemon"
  wait "$daemon" || fail "the daemon ended with exit code $?"
}
visit() { curl -fsS -m 60 -H "Host: $1.example.test" "http://127.0.0.1:9000$2" "${@:3}"; }
version() { dpkg-query -W -f '${Version}' matrixos; }
# What has to outlive an upgrade.
facts() {
  matrixosctl --json containers list |
    jq -r '.[] | "\(.handle) \(.id) \(.clerkUserId) \(.status) \(.port) \(.shellPort) \(.containerId)"' | sort
  sha256sum /var/lib/matrixos/admin.secret /var/lib/matrixos/install-id
  find /data/users -name 'value-*' -exec sha256sum {} + | sort
}
configure_site() {
  cat >/etc/matrixos/conf.d/site.ini <<'INI'
[platform]
domain = example.test

[orchestrator]
image = matrixos-demo:latest
INI
}
install_package() { apt-get install -y -o Dpkg::Options::=--force-confold "$@"; }

step "The version before is installed, with an engine"
install_package --no-install-recommends ./old/matrixos_*.deb docker.io iptables curl jq sqlite3
dockerd >/var/log/dockerd.log 2>&1 &
eventually docker version
docker load --input instance.tar
configure_site
sed -i 's/^#wake_waiters = .*/wake_waiters = 512/' /etc/matrixos/matrixosd.ini
grep -qx 'wake_waiters = 512' /etc/matrixos/matrixosd.ini || fail "the key to edit is not in matrixosd.ini"
configuration=$(sha256sum /etc/matrixos/matrixosd.ini /etc/matrixos/conf.d/site.ini; stat -c '%U:%G %a' /etc/matrixos/matrixosd.ini)

step "It has instances: one that runs, one that sleeps"
[ -d /var/lib/matrixos ] || install -d -m 750 -o matrixos -g matrixos /var/lib/matrixos
start_daemon
for handle in alice bob; do
  eventually matrixosctl containers provision $handle --user "user_of_$handle"
  echo "note of $handle" | visit $handle '/api/file?name=note' -T -
done
matrixosctl containers stop bob
before=$(facts)
echo "$before"
[[ $before == 'alice '*' running 40'*$'\nbob '*' stopped 40'* ]] || fail "that is not what was made"

step "While it runs, the present version is installed, and asks systemd to restart the daemon"
# Stand-ins that note what they are asked, on a machine that seems to run systemd.
mkdir -p /run/systemd/system
for program in systemctl deb-systemd-invoke; do
  printf '#!/bin/sh\necho "%s $*" >>/root/asked\n' $program >/usr/local/bin/$program
  chmod 755 /usr/local/bin/$program
done
echo 'DPkg::Path "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";' >/etc/apt/apt.conf.d/path
old=$(version)
install_package ./new/matrixos_*.deb
new=$(version)
dpkg --compare-versions "$new" gt "$old" || fail "$new is no upgrade of $old"
grep -qx 'deb-systemd-invoke restart matrixosd.service' asked || fail "the daemon is not restarted: $(cat asked)"
! grep 'stop' asked || fail "an upgrade stops what a restart would do"
same "the configuration" "$configuration" \
  "$(sha256sum /etc/matrixos/matrixosd.ini /etc/matrixos/conf.d/site.ini; stat -c '%U:%G %a' /etc/matrixos/matrixosd.ini)"
same "alice's note, from the old daemon on new files," "note of alice" "$(visit alice '/api/file?name=note')"

step "Its daemon has everything of before"
stop_daemon
start_daemon
eventually visit alice '/api/file?name=note'
after=$(facts)
same "what there was" "$before" "$after"
same "the number of containers" 2 "$(docker ps --all --quiet --filter label=matrixos.managed=true | wc -l)"
same "bob's note" "note of bob" "$(visit bob '/api/file?name=note')"
same "the key in matrixosd.ini" "512" "$(matrixosctl config show | sed -n 's/^wake_waiters *= *\([0-9]*\).*/\1/p')"
matrixosctl containers provision carol --user user_of_carol
[ -s /etc/matrixos/prices.json ] || fail "there are no prices"
sed -i 's/"batch": [0-9.]*/"batch": 0.75/' /etc/matrixos/prices.json
prices=$(sha256sum /etc/matrixos/prices.json)
same "the damage in the database" ok "$(sqlite3 /var/lib/matrixos/matrixos.db 'PRAGMA integrity_check')"
stop_daemon

step "The way back is refused by apt until it is insisted on"
! apt-get install -y ./old/matrixos_*.deb || fail "apt downgrades without being told to"
install_package --allow-downgrades ./old/matrixos_*.deb
same "the version" "$old" "$(version)"

step "A database that is newer than the program is refused, with what to do"
cp -a /var/lib/matrixos /var/lib/matrixos.kept
sqlite3 /var/lib/matrixos/matrixos.db "INSERT INTO schema_migrations SELECT owner, max(version) + 1, 'from the future', 'x',
  applied_at FROM schema_migrations WHERE owner = 'orchestrator'"
chown matrixos: /var/lib/matrixos/matrixos.db*
said=$(timeout 60 setpriv --reuid=matrixos --regid=matrixos --init-groups matrixosd --set plugins.required=orchestrator 2>&1) &&
  fail "a daemon runs on a database that it does not know"
grep 'is newer than this program' <<<"$said" | grep -q 'install the newer version' ||
  fail "that does not say what to do: $said"
rm -r /var/lib/matrixos
mv /var/lib/matrixos.kept /var/lib/matrixos

step "Upgraded again, everything is there"
install_package ./new/matrixos_*.deb
start_daemon
eventually visit carol /api/health
same "alice's note" "note of alice" "$(visit alice '/api/file?name=note')"
same "prices.json" "$prices" "$(sha256sum /etc/matrixos/prices.json)"

step "Removed and purged, instances run on and data stays"
stop_daemon
apt-get remove -y matrixos
grep -qx 'deb-systemd-invoke stop matrixosd.service' asked || fail "remove leaves the daemon running"
[ -f /etc/matrixos/matrixosd.ini ] || fail "remove takes the configuration along"
apt-get purge -y matrixos
for file in matrixosd.ini prices.json; do
  [ ! -e "/etc/matrixos/$file" ] || fail "purge leaves the configuration: $file"
done
[ -f /var/lib/matrixos/matrixos.db ] || fail "purge takes the database along"
grep -rqs 'note of bob' /data/users/bob || fail "purge takes data along"
same "the state of alice" running "$(docker ps --filter name=matrixos-alice --format '{{.State}}')"

step "Installed once more, it finds what was left"
install_package ./new/matrixos_*.deb
configure_site
start_daemon
eventually visit bob /api/health
same "bob's note" "note of bob" "$(visit bob '/api/file?name=note')"
stop_daemon
