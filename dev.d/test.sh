# ./dev test and check
# shellcheck shell=bash

cmd_test() {
  need_debian
  run_tests dev "$@"
}

# run_tests PRESET [ctest options]: installs what the chosen tests need and nothing else.
run_tests() {
  local preset=$1 packages engine=''
  shift
  # Called in conditions too, where `set -e` sleeps: hence each `|| return`.
  packages=$(packages_of_preset "$preset") || return
  # shellcheck disable=SC2086 # lists of words, here and below
  need $packages
  configure "$preset" || return
  packages=$(packages_of_tests "build/$preset" "$@") || return
  # shellcheck disable=SC2086
  need $packages
  case " ${packages//$'\n'/ } " in *' docker.io '*) engine=wanted ;; esac
  if [ -n "$engine" ] && ! start_engine; then
    if is_ci; then die "the tests need a container engine, and CI=true turns its absence into a failure"; fi
    note "Tests that need an engine are skipped and say so."
  fi
  configure "$preset" || return # once more, should something have been installed
  compile "build/$preset" || return
  if [ -n "$engine" ] && engine_answers; then build_demo_image "build/$preset/tests/demo-instance" || return; fi
  say "Testing build/$preset"
  MATRIXOS_DEMO_IMAGE=$demo_image ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
    --timeout 300 -j "$jobs" "$@"
}

cmd_check() {
  need_debian
  need "${packages_engine[@]}"
  start_engine || die "the long checks need a container engine"
  local failed=()
  # What ships is built otherwise: optimised, and with fortified calls of the C library.
  (cmd_build release) || failed+=(release)
  # Tests with the label hooks need what is compiled into test builds only.
  (run_tests release-tests -LE '^hooks$' "$@" && same_programs) || failed+=(release-tests)
  # What the sanitizers look for stands in tests/CMakeLists.txt.
  (run_tests asan -L 'unit|integration' "$@") || failed+=(asan)
  # Of the integration tests those whose threads have much to do with each other: the proxy under load.
  (run_tests tsan -L 'unit|threads' "$@") || failed+=(tsan)
  (cmd_fuzz '' "${MATRIXOS_FUZZ_SECONDS:-60}") || failed+=(fuzz)
  # On an empty Debian, too, and after the version before.
  (check_packages) || failed+=(package)
  [ ${#failed[@]} = 0 ] || die "these checks failed: ${failed[*]}"
  say "All checks passed"
}

# Whether the programs and plugins that build/release-tests tested are those of build/release, byte by byte, debugging
# information aside: it names the folder of the build.
same_programs() {
  local file different=()
  for file in build/release/bin/* build/release/plugins/*.so; do
    is_same_program "$file" "build/release-tests/${file#build/release/}" || different+=("$file")
  done
  [ ${#different[@]} = 0 ] || die "these are not what build/release-tests tested: ${different[*]}"
}

is_same_program() {
  local copies same=no
  copies=$(mktemp -d)
  if strip_debug "$1" "$copies/1" && strip_debug "$2" "$copies/2" && cmp -s "$copies/1" "$copies/2"; then same=yes; fi
  rm -rf "$copies"
  [ $same = yes ]
}

strip_debug() { objcopy --strip-all --remove-section=.note.gnu.build-id "$1" "$2"; }
