# ./dev bench
# shellcheck shell=bash

# A benchmark is tests/bench/NAME.sh, which starts what ships (and programs of its own, the target bench-NAME, when
# there is a tests/bench/NAME/CMakeLists.txt), or the program bench-NAME from tests/bench/NAME.cpp. What it measures
# stands in its first line of comment; what it needs beside what builds it, in a line "needs: PACKAGE…".
list_benchmarks() {
  local file
  for file in tests/bench/*.sh tests/bench/*.cpp; do
    [ -f "$file" ] || continue
    printf '  %-12s %s\n' "$(basename "${file%.*}")" "$(sed -n '/^#!/d; s/^\(#\|\/\/\/*\) //p; q' "$file")"
  done | sort
}

packages_of_bench() { # FILE
  sed -n 's/^\(#\|\/\/\/*\) needs: //p' "$1"
}

cmd_bench() {
  local name=${1:-} file target='' folder=build/bench packages
  if [ -z "$name" ]; then
    echo "Benchmarks:"
    list_benchmarks
    return
  fi
  shift
  file=tests/bench/$name.sh
  [ -f "$file" ] || file=tests/bench/$name.cpp
  [ -f "$file" ] || die "there is no benchmark '$name'" "$(list_benchmarks)"
  packages=$(packages_of_bench "$file")
  if [ -f "tests/bench/$name/CMakeLists.txt" ]; then target=bench-$name; fi
  # shellcheck disable=SC2086 # a list of words
  need "${packages_build[@]}" ${target:+"${packages_benches[@]}"} $packages
  if [ -n "$target" ]; then
    configure release build/bench -DMATRIXOS_BUILD_BENCH=ON
    compile build/bench "$target"
  else
    folder=build/release
    configure release
    compile build/release
  fi
  if [ "$name" = edge ]; then prepare_bench_edge; fi
  [ "$file" = "tests/bench/$name.sh" ] || exec "build/bench/bench/$target" "$@"
  BUILD_DIR=$root/$folder exec bash "$file" "$@"
}

# configurable-http-proxy is not packaged: npm puts it under build/. The benchmark does without it where npm cannot.
prepare_bench_edge() {
  local folder=build/bench/chp
  [ ! -d "$folder/node_modules" ] || return 0
  mkdir -p "$folder"
  npm install --silent --no-fund --no-audit --prefix "$folder" configurable-http-proxy@4.6.3 >"$folder/npm.log" 2>&1 ||
    { rm -rf "$folder/node_modules"; note "npm could not install configurable-http-proxy; see $folder/npm.log"; }
}
