# What ./dev says, and how.
# shellcheck shell=bash

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; else bold='' dim='' red='' plain=''; fi
say() { echo "${bold}==>${plain} $*"; }
note() { echo "${dim}    $*${plain}"; }
die() {
  echo "${red}error:${plain} $1" >&2
  shift
  for line in "$@"; do echo "       $line" >&2; done
  exit 1
}
is_ci() { [ "${CI:-}" = true ]; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
