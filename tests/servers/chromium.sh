#!/usr/bin/env bash
# A real Chromium for the tests of the report page: the machine's own, or Debian's package.
#
#   eval "$(tests/servers/chromium.sh)"   installs it if missing, and says where it is
set -euo pipefail

say() { echo "chromium.sh: $*" >&2; }

fail() {
  say "error: $*"
  exit 1
}

program() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }

install_package() {
  command -v apt-get >/dev/null || fail "no apt-get here to install chromium"
  [ "$(id -u)" = 0 ] || fail "no Chromium here; installing it needs root"
  say "installing chromium"
  local log
  log=$(mktemp)
  apt_install >"$log" 2>&1 || true
  [ -n "$(program)" ] || {
    tail -n 20 "$log" >&2
    say "apt-get cannot install chromium"
    exit 3
  }
  rm -f "$log"
}

apt_install() {
  apt-get update -q || true # an old list often serves as well
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium
}

[ -n "$(program)" ] || install_package >&2
echo "export VITOK_TEST_CHROMIUM=$(program)"
