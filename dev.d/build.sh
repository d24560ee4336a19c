# ./dev build, and how everything else is built.
# shellcheck shell=bash

# configure PRESET [FOLDER] [cmake options]: quiet when there is nothing to tell.
configure() {
  local preset=$1 folder=${2:-build/$1} log
  shift $(($# > 1 ? 2 : 1))
  # What was installed since may be what the configuration looked for in vain.
  [ ! -f "$folder/build.ninja" ] || [ $# -gt 0 ] || [ CMakePresets.json -nt "$folder/build.ninja" ] ||
    [ /var/lib/dpkg/status -nt "$folder/build.ninja" ] || return 0
  mkdir -p "$folder"
  log=$folder/configure.log
  cmake --preset "$preset" -B "$folder" "$@" >"$log" 2>&1 || { cat "$log" >&2; die "cmake --preset $preset failed"; }
}

compile() { # FOLDER [targets]
  local folder=$1
  shift
  say "Building ${folder#build/}${*:+ ($*)}"
  local quiet=(--quiet)
  if [ -t 1 ]; then quiet=(); fi
  NINJA_STATUS='    [%f/%t] ' ninja -C "$folder" -j "$jobs" "${quiet[@]}" "$@"
}

cmd_build() {
  local preset=${1:-dev} packages
  packages=$(packages_of_preset "$preset") ||
    die "there is no preset '$preset'; choose dev, release, release-tests, asan, tsan, fuzz or coverage"
  # shellcheck disable=SC2086 # a list of words
  need $packages
  configure "$preset"
  compile "build/$preset"
}
