# ./dev fuzz
# shellcheck shell=bash

cmd_fuzz() {
  local name=${1:-} seconds=${2:-60} target area corpus folder targets failed=()
  need "${packages_build[@]}" "${packages_fuzz[@]}"
  configure fuzz
  mapfile -t targets < <(ninja -C build/fuzz -t targets all | sed -n "s/^\(fuzz-[a-z0-9-]*${name}[a-z0-9-]*\): phony.*/\1/p" | sort)
  [ ${#targets[@]} -gt 0 ] || die "no fuzz target matches '$name'"
  compile build/fuzz "${targets[@]}"
  for target in "${targets[@]}"; do
    area=${target#fuzz-}
    corpus=build/fuzz/corpus/$area
    for folder in tests/fuzz/*/corpus/*; do
      [ "tests/fuzz/$area" != "${folder/\/corpus\//-}" ] || corpus=$folder
    done
    say "Fuzzing $target for $seconds s"
    mkdir -p "build/fuzz/corpus/$area" build/fuzz/crashes
    # What it learns stays under build/; the committed corpus is only read.
    "build/fuzz/bin/$target" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 \
      -artifact_prefix="build/fuzz/crashes/$area-" \
      "build/fuzz/corpus/$area" "$corpus" ||
      failed+=("$area")
  done
  [ ${#failed[@]} = 0 ] || die "found by fuzzing: ${failed[*]}" "The inputs are in build/fuzz/crashes."
}
