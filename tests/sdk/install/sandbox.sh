# sandbox.sh: the installed SDK where neither this source tree nor its build can be seen. To be sourced by who has set
# source_dir, build_dir and work; the SDK is to lie at $work/sdk then.
# shellcheck shell=bash

skip() {
  echo "$*"
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 77
}
fail() {
  echo "FAILED: $*"
  exit 1
}

# install_sdk FOLDER: into an empty $work.
install_sdk() {
  rm -rf "$work"
  mkdir -p "$work/home"
  # shellcheck disable=SC2154 # the caller's
  cmake --install "$build_dir" --component sdk --prefix "$1" --strip >"$work/install.log" ||
    { cat "$work/install.log"; fail "cmake --install --component sdk"; }
}

# sandbox COMMAND…: runs in /home, a copy; the SDK is at /opt/matrixos.
sandbox() {
  local links=() name
  for name in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$name" ]; then links+=(--symlink "$(readlink "/$name")" "/$name"); fi
  done
  bwrap --unshare-all --die-with-parent --clearenv --setenv PATH /opt/matrixos/bin:/usr/bin:/bin --setenv LC_ALL C.UTF-8 \
    --ro-bind /usr /usr --tmpfs /usr/local --ro-bind /etc /etc "${links[@]}" --proc /proc --dev /dev --tmpfs /tmp \
    --ro-bind "$work/sdk" /opt/matrixos --bind "$work/home" /home --chdir /home \
    --setenv HOME /home --setenv CMAKE_PREFIX_PATH /opt/matrixos \
    --setenv PKG_CONFIG_PATH /opt/matrixos/share/pkgconfig "$@"
}
need_sandbox() {
  command -v bwrap >/dev/null || skip "bubblewrap is not installed"
  if ! sandbox true 2>"$work/bwrap.log"; then
    skip "bubblewrap cannot make a sandbox here: $(cat "$work/bwrap.log")"
  fi
}
# expect WHAT COMMAND…: runs it in the sandbox; its output only matters when it fails.
expect() {
  local what=$1
  shift
  sandbox "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "$what"; }
  echo "ok: $what"
}
