# ./dev package, and what ./dev check does with packages.
# shellcheck shell=bash

# Each commit's package replaces those of commits before it.
package_version() {
  local version commit
  version=$(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
  if commit=$(TZ=UTC git log -1 --format=%cd.g%h --date=format-local:%Y%m%d.%H%M%S 2>/dev/null); then version+=+$commit; fi
  echo "$version"
}

cmd_package() {
  need "${packages_build[@]}" dpkg-dev file
  configure release build/release "-DMATRIXOS_PACKAGE_VERSION=$(package_version)"
  compile build/release
  say "Packaging"
  rm -f build/package/*.deb
  (cd build/release && cpack -G DEB -B "$root/build/package" >"$root/build/package.log" 2>&1) ||
    { tail -n 20 build/package.log >&2; die "cpack failed"; }
  find build/package -maxdepth 1 -name '*.deb' -printf '    build/package/%f\n'
}

check_packages() {
  cmd_package || return
  need lintian man-db || return
  packaging/check.sh build/package/*.deb || return
  package_landed || return
  run_tests release-tests -C Package -L '^package$'
}

# Leaves the package of the commit that this one is to follow in build/landed/build/package, for the test of upgrades:
# MATRIXOS_UPGRADE_FROM, or where this branch left the main one, or the commit before.
package_landed() {
  local from=${MATRIXOS_UPGRADE_FROM:-} head
  head=$(git rev-parse HEAD) || return
  [ -n "$from" ] || from=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null) || true
  [ -n "$from" ] && [ "$(git rev-parse "$from^{commit}")" != "$head" ] || from=HEAD^
  if ! from=$(git rev-parse --verify --quiet "$from^{commit}"); then
    [ "$(git rev-parse --is-shallow-repository)" = false ] || note "This clone is shallow: git fetch --unshallow"
    note "There is no earlier commit to upgrade from."
    if is_ci; then return 1; fi
    return 0
  fi
  say "Packaging what it is upgraded from: $(git log -1 --format='%h %s' "$from")"
  rm -rf build/landed
  # With a history of its own, of which the version is made.
  git clone --quiet --shared --no-checkout . build/landed
  git -C build/landed checkout --quiet --detach "$from"
  (cd build/landed && ./dev package)
}
