# ./dev package
# shellcheck shell=bash

cmd_package() {
  need "${packages_build[@]}" dpkg-dev fakeroot
  configure release
  compile build/release
  say "Packaging"
  (cd build/release && cpack -G DEB -B "$root/build/package" >"$root/build/package.log" 2>&1) ||
    { tail -n 20 build/package.log >&2; die "cpack failed"; }
  find build/package -maxdepth 1 -name '*.deb' -printf '    build/package/%f\n'
}
