# ./dev lint and format
# shellcheck shell=bash

sources() { git ls-files -co --exclude-standard -- '*.cpp' '*.hpp' '*.h' '*.c' | while read -r f; do [ ! -f "$f" ] || echo "$f"; done; }

cmd_format() {
  need "${packages_lint[@]}"
  sources | xargs -r clang-format -i
}

cmd_lint() {
  need "${packages_build[@]}" "${packages_tests[@]}" "${packages_benches[@]}" "${packages_lint[@]}"
  local failed=() files base
  mkdir -p build
  say "clang-format"
  sources | xargs -r clang-format --dry-run -Werror >build/format.log 2>&1 || failed+=(format)
  grep -E ' error: ' build/format.log | cut -d: -f1 | sort | uniq -c || true
  say "shellcheck"
  git ls-files -co --exclude-standard | xargs grep -lE '^#!.*\b(ba)?sh\b' -- 2>/dev/null | xargs -r shellcheck -xa || failed+=(shellcheck)
  say "includes"
  tests/unit/dev/check-includes.sh || failed+=(includes)
  say "clang-tidy"
  # A tree of its own: clang cannot read g++'s precompiled headers, and without them a missing include shows.
  configure dev build/tidy -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON
  base=$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD)
  if [ "${1:-}" = all ]; then files=$(sources); else files=$({ git diff --name-only "$base"; git ls-files -o --exclude-standard; } | sort -u); fi
  files=$(echo "$files" | grep '\.cpp$' | while read -r f; do grep -qF "$root/$f\"" build/tidy/compile_commands.json && echo "$f"; done || true)
  [ -z "$files" ] || echo "$files" | xargs -P "$jobs" -n 4 clang-tidy -p build/tidy --quiet 2>/dev/null || failed+=(tidy)
  [ ${#failed[@]} = 0 ] || die "these found something: ${failed[*]}"
}
