#!/usr/bin/env bash
# A real PostgreSQL on this machine for the tests, on the loopback address alone.
#
#   eval "$(tests/servers/postgres.sh start)"   installs it if missing, starts it if it does not run
#   tests/servers/postgres.sh stop
#
# POSTGRES_ROOT (a folder) and POSTGRES_PORT tell servers apart. It never waits for the disk, so that
# tests are quick: nothing of worth belongs into it.
set -euo pipefail

# The server does not run as root, and another user reaches nothing in root's home.
if [ "$(id -u)" = 0 ]; then CACHE=/var/tmp; else CACHE=${XDG_CACHE_HOME:-$HOME/.cache}; fi
ROOT=${POSTGRES_ROOT:-$CACHE/vitok-test-postgres}
PORT=${POSTGRES_PORT:-25432}

say() { echo "postgres.sh: $*" >&2; }

fail() {
  say "error: $*"
  exit 1
}

# The folder of the newest installed server's programs; empty without one.
programs() {
  local found
  found=$(find /usr/lib/postgresql -path '*/bin/pg_ctl' 2>/dev/null | sort -V | tail -n 1)
  [ -n "$found" ] || found=$(readlink -f "$(command -v pg_ctl || true)")
  [ -z "$found" ] || dirname "$found"
}

install_package() {
  [ -z "$(programs)" ] || return 0
  command -v apt-get >/dev/null || fail "no apt-get here to install postgresql"
  [ "$(id -u)" = 0 ] || fail "no PostgreSQL here; installing it needs root"
  say "installing postgresql"
  local log policy=/usr/sbin/policy-rc.d made=
  log=$(mktemp)
  # The package's own service must not start: this policy forbids it.
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; made=1; }
  apt_install >"$log" 2>&1 || true
  [ -z $made ] || rm -f $policy
  [ -n "$(programs)" ] || {
    tail -n 20 "$log" >&2
    echo "postgres.sh: apt-get cannot install postgresql" >&2
    exit 3
  }
  rm -f "$log"
}

apt_install() {
  apt-get update -q || true # an old list often serves as well
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql
}

# PostgreSQL refuses to run as root.
as_server() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

control() { (cd / && as_server "$(programs)/pg_ctl" -D "$ROOT/data" "$@"); }

create() {
  mkdir -p "$ROOT"
  [ "$(id -u)" != 0 ] || chown postgres "$ROOT"
  (cd / && as_server test -w "$ROOT") ||
    fail "user postgres cannot reach $ROOT; name another folder: POSTGRES_ROOT"
  (cd / && as_server "$(programs)/initdb" -D "$ROOT/data" -U vitok -A trust -E UTF8 --locale=C \
    --no-sync >"$ROOT.log" 2>&1) || { tail -n 20 "$ROOT.log" >&2; fail "initdb failed"; }
}

start() {
  install_package
  [ -s "$ROOT/data/PG_VERSION" ] || create
  control status >/dev/null && return
  say "starting on port $PORT"
  control -w -t 60 -l "$ROOT/server.log" start >/dev/null -o "-p $PORT -c fsync=off \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c synchronous_commit=off \
    -c full_page_writes=off -c max_connections=200" || {
    tail -n 20 "$ROOT/server.log" >&2
    fail "PostgreSQL does not start; log: $ROOT/server.log"
  }
}

stop() {
  [ -s "$ROOT/data/PG_VERSION" ] && control status >/dev/null || return 0
  control -m fast -w -t 60 stop >/dev/null || fail "PostgreSQL cannot be stopped"
}

case "${1:-}" in
  start)
    start >&2
    echo "export VITOK_TEST_POSTGRES=postgresql+psycopg://vitok@127.0.0.1:$PORT/postgres"
    ;;
  stop) stop >&2 ;;
  *) fail "usage: postgres.sh start|stop" ;;
esac
