#!/usr/bin/env bash
# A real Slurm on this machine for the tests: three virtual nodes (n1-n3) of 8 CPUs and 2 GPUs that
# exist in name only, with accounting. Without systemd or cgroups; nothing goes into /etc.
#
#   eval "$(tests/servers/slurm.sh up)"   installs what is missing, starts or mends what does not run
#   eval "$(tests/servers/slurm.sh env)"  only the shell lines
#   tests/servers/slurm.sh down           cancels all jobs and stops everything
#   tests/servers/slurm.sh warn on|off    whether preempted jobs get the signal of --signal (on by
#                                         default; off: nothing but TERM, and KILL 5 s later)
#
# CLUSTER_ROOT (a folder) and CLUSTER_PORT (the first of 20 ports) tell clusters apart. Partitions:
#   main    the default; jobs in `high` preempt its jobs: the signal, and 20 s later TERM
#   sudden  as main, but without those 20 s: TERM comes together with the signal
#   high    preempts both
# Account `lab` is root's; its QOS `small` takes at most 10 jobs of a user.
set -euo pipefail

ROOT=${CLUSTER_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/vitok-test-slurm}
PORT=${CLUSTER_PORT:-17000}
NODES=(n1 n2 n3)
PACKAGES=(slurmctld slurmd slurm-client slurmdbd munge mariadb-server)
PATH=$PATH:/usr/sbin:/sbin

say() { echo "slurm.sh: $*" >&2; }

fail() {
  say "error: $*"
  exit 1
}

# The last words of the daemons, then the failure.
fail_with_logs() {
  for log in "$ROOT"/log/*.log; do
    [ -s "$log" ] && { echo "--- ${log##*/}"; grep -viE 'pmix?' "$log" | tail -n 12; } >&2
  done
  fail "$*; logs: $ROOT/log"
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

# alive DAEMON PIDFILE: the file's process lives and is that daemon, not a later owner of its number.
# CONT instead of signal 0: it wakes a daemon that a test stopped.
alive() {
  local pid
  pid=$(cat "$2" 2>/dev/null) && [ -n "$pid" ] && ! dead "$pid" &&
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] && kill -CONT "$pid" 2>/dev/null
}

# start DAEMON PIDFILE COMMAND...: unless it lives. Its output goes to a file: a daemon that kept the
# caller's pipe open would make "$(slurm.sh up)" wait for ever.
start() {
  local daemon=$1 pidfile=$2
  shift 2
  alive "$daemon" "$pidfile" && return
  say "starting $daemon"
  rm -f "$pidfile"
  setsid "$@" </dev/null >>"$ROOT/log/start.log" 2>&1 || fail_with_logs "$daemon does not start"
}

# stop DAEMON PIDFILE
stop() {
  alive "$1" "$2" || { rm -f "$2"; return; }
  local pid
  pid=$(cat "$2")
  kill -TERM "$pid"
  wait_for 15 dead "$pid" || kill -KILL "$pid" 2>/dev/null || true
  wait_for 5 dead "$pid" || fail "$1 (process $pid) cannot be stopped"
  rm -f "$2"
}

# A zombie is as good as dead: where this machine's first process does not reap, it stays for ever.
dead() { ! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"; }

install_packages() {
  local missing=() policy=/usr/sbin/policy-rc.d made=
  for package in "${PACKAGES[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "no apt-get here to install ${missing[*]}"
  say "installing ${missing[*]}"
  # The packages' own services must not start: this policy forbids it.
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; made=1; }
  apt_install "${missing[@]}" >"$ROOT/log/apt.log" 2>&1 || {
    [ -z $made ] || rm -f $policy
    tail -n 20 "$ROOT/log/apt.log" >&2
    say "apt-get cannot install ${missing[*]}"
    exit 3
  }
  [ -z $made ] || rm -f $policy
}

apt_install() {
  apt-get update -q || true # an old list often serves as well
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

write_configuration() {
  local host to=$1
  host=$(hostname -s)
  cat >"$to/slurm.conf" <<CONF
ClusterName=vitok
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits as long as its last credential lives (usually 120 s).
AuthInfo=socket=$ROOT/munge/socket,cred_expire=5
SlurmctldPidFile=$ROOT/run/slurmctld.pid
SlurmdPidFile=$ROOT/run/slurmd.%n.pid
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/slurmd.%n.log
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
MpiDefault=none
SlurmdParameters=config_overrides
# A node that comes back serves again, whatever felled it.
ReturnToService=2
SlurmdTimeout=20
SlurmctldTimeout=30
KillWait=5
MinJobAge=300
MaxJobCount=20000
MaxArraySize=1001
JobRequeue=1
SchedulerType=sched/backfill
# Jobs start within a second, dependent ones too.
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=1,bf_interval=1,bf_continue,default_queue_depth=1000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
DefMemPerCPU=200
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
PriorityType=priority/basic
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT + 1))
AccountingStoragePass=$ROOT/munge/socket
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=limits,qos
SlurmctldDebug=info
SlurmdDebug=info
NodeName=n[1-${#NODES[@]}] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((PORT + 11))-$((PORT + 10 + ${#NODES[@]}))] CPUs=8 Boards=1 SocketsPerBoard=1 CoresPerSocket=8 ThreadsPerCore=1 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
PartitionName=DEFAULT Nodes=ALL MaxTime=INFINITE DefaultTime=60 State=UP
PartitionName=main Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=sudden PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=high PriorityTier=10 PreemptMode=OFF GraceTime=0
CONF
  echo "NodeName=n[1-${#NODES[@]}] Name=gpu File=$ROOT/dev/gpu[0-1]" >"$to/gres.conf"
  echo "CgroupPlugin=cgroup/v1" >"$to/cgroup.conf" # read at start, though nothing uses cgroups
  cat >"$to/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$ROOT/munge/socket
DbdHost=$host
DbdAddr=127.0.0.1
DbdPort=$((PORT + 1))
SlurmUser=root
PidFile=$ROOT/run/slurmdbd.pid
LogFile=$ROOT/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT + 2))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
CONF
  chmod 600 "$to/slurmdbd.conf"
}

# Daemons that run with other settings (an older checkout's) are stopped first.
configure() {
  mkdir -p "$ROOT"/etc "$ROOT"/etc.new
  write_configuration "$ROOT/etc.new"
  if ! diff -rq "$ROOT/etc" "$ROOT/etc.new" >/dev/null; then
    [ ! -e "$ROOT/etc/slurm.conf" ] || down
    rm -rf "${ROOT:?}/etc"
    mv "$ROOT/etc.new" "$ROOT/etc"
  fi
  rm -rf "$ROOT/etc.new"
  for gpu in 0 1; do ln -sfn /dev/null "$ROOT/dev/gpu$gpu"; done
}

start_munge() {
  [ -s "$ROOT/munge/key" ] || head -c 1024 /dev/urandom >"$ROOT/munge/key"
  chmod 400 "$ROOT/munge/key"
  wait_for 60 munge_serves || fail_with_logs "munged does not answer"
}

# Each of these starts a dead daemon, then asks it. They are asked again until they serve: a daemon
# that was killed a moment ago may still look alive.
munge_serves() {
  start munged "$ROOT/munge/pid" munged --force --key-file="$ROOT/munge/key" \
    --socket="$ROOT/munge/socket" --pid-file="$ROOT/munge/pid" --seed-file="$ROOT/munge/seed" \
    --log-file="$ROOT/log/munged.log" --num-threads=4
  quietly munge -S "$ROOT/munge/socket" -n
}

database_serves() {
  start_mariadb "$ROOT/db"
  quietly mariadb-admin --no-defaults -S "$ROOT/db/socket" ping
}

accounting_serves() {
  start slurmdbd "$ROOT/run/slurmdbd.pid" slurmdbd
  quietly sacctmgr -n show cluster
}

controller_serves() {
  start slurmctld "$ROOT/run/slurmctld.pid" slurmctld
  quietly scontrol ping
}

nodes_serve() {
  local node bad
  for node in "${NODES[@]}"; do
    mkdir -p "$ROOT/spool/$node"
    start slurmd "$ROOT/run/slurmd.$node.pid" slurmd -N "$node"
  done
  bad=$(timeout 5 sinfo -h -N -p main -o '%N %T' | grep -vE ' (idle|mixed|allocated|completing)$') ||
    { quietly scontrol ping && return; }
  # A test may have drained a node, or a job that would not die.
  while read -r node _; do quietly scontrol update NodeName="$node" State=RESUME; done <<<"$bad"
  return 1
}

quietly() { timeout 5 "$@" >/dev/null 2>&1; }

start_database() {
  local db=$ROOT/db
  [ -d "$db/data/mysql" ] || mariadb-install-db --no-defaults --user=root --datadir="$db/data" \
    --auth-root-authentication-method=socket --skip-test-db >"$ROOT/log/install-db.log" 2>&1 ||
    fail_with_logs "mariadb-install-db failed"
  wait_for 60 database_serves || fail_with_logs "mariadbd does not answer"
  mariadb --no-defaults -S "$db/socket" -e "CREATE DATABASE IF NOT EXISTS slurm_acct;
    CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY 'slurm';
    CREATE USER IF NOT EXISTS slurm@'localhost' IDENTIFIED BY 'slurm';
    GRANT ALL ON slurm_acct.* TO slurm@'127.0.0.1'; GRANT ALL ON slurm_acct.* TO slurm@'localhost'"
}

# The one daemon that does not put itself into the background.
start_mariadb() {
  alive mariadbd "$1/pid" && return
  say "starting mariadbd"
  rm -f "$1/pid"
  setsid mariadbd --no-defaults --user=root --datadir="$1/data" --socket="$1/socket" \
    --pid-file="$1/pid" --bind-address=127.0.0.1 --port=$((PORT + 2)) \
    --innodb-buffer-pool-size=128M --innodb-lock-wait-timeout=900 \
    --innodb-flush-log-at-trx-commit=0 --log-error="$ROOT/log/mariadb.log" \
    </dev/null >/dev/null 2>&1 &
  wait_for 20 test -s "$1/pid" || true
}

start_accounting() {
  wait_for 60 accounting_serves || fail_with_logs "slurmdbd does not answer"
  grep -qx vitok <<<"$(sacctmgr -nP show cluster format=cluster)" || manage add cluster vitok
  grep -qx lab <<<"$(sacctmgr -nP show account format=account)" || manage add account lab
  grep -qx small <<<"$(sacctmgr -nP show qos format=name)" ||
    manage add qos small MaxSubmitJobsPerUser=10
  grep -qx root <<<"$(sacctmgr -nP show assoc account=lab format=user)" ||
    manage add user root account=lab qos=normal,small defaultqos=normal
  grep -qx lab <<<"$(sacctmgr -nP show user root format=defaultaccount)" ||
    manage modify user root set defaultaccount=lab
}

manage() { sacctmgr -i -Q "$@" >/dev/null || fail_with_logs "sacctmgr $* failed"; }

up() {
  [ "$(id -u)" = 0 ] || fail "must run as root (slurmd starts jobs for any user)"
  [ ${#ROOT} -le 80 ] || fail "CLUSTER_ROOT is too long for a socket's path: $ROOT"
  [[ $ROOT =~ ^/[A-Za-z0-9._/+-]+$ ]] || fail "CLUSTER_ROOT needs a plain absolute path: $ROOT"
  umask 022
  mkdir -p "$ROOT"/{log,run,state,spool,dev,munge,db}
  install_packages
  configure
  start_munge
  start_database
  start_accounting
  wait_for 60 controller_serves || fail_with_logs "slurmctld does not answer"
  wait_for 90 nodes_serve || fail_with_logs "$(sinfo -h -N -p main -o '%N is %T (%E)' | xargs)"
  say "ready: $ROOT"
}

# What jobs left behind: processes with this cluster's SLURM_CONF that run inside of a job.
leftovers() {
  local process
  for process in /proc/[0-9]*; do
    if tr '\0' '\n' <"$process/environ" | grep -qx "SLURM_CONF=$SLURM_CONF" &&
      { grep -qx slurmstepd "$process/comm" ||
        tr '\0' '\n' <"$process/environ" | grep -q '^SLURM_JOB_ID='; }; then
      echo "${process#/proc/}"
    fi
  done 2>/dev/null
}

down() {
  if alive slurmctld "$ROOT/run/slurmctld.pid" && quietly scontrol ping; then
    quietly scancel --me || true
    wait_for 10 queue_is_empty || true
  fi
  for node in "${NODES[@]}"; do stop slurmd "$ROOT/run/slurmd.$node.pid"; done
  leftovers | xargs -r kill -KILL 2>/dev/null || true
  stop slurmctld "$ROOT/run/slurmctld.pid"
  stop slurmdbd "$ROOT/run/slurmdbd.pid"
  stop mariadbd "$ROOT/db/pid"
  stop munged "$ROOT/munge/pid"
}

warn() {
  [ -e "$SLURM_CONF" ] || fail "no cluster in $ROOT; start it: slurm.sh up"
  case "$1" in
    on) sed -i 's/^#SlurmctldParameters=/SlurmctldParameters=/' "$SLURM_CONF" ;;
    off) sed -i 's/^SlurmctldParameters=/#&/' "$SLURM_CONF" ;;
    *) fail "usage: slurm.sh warn on|off" ;;
  esac
  scontrol reconfigure
}

queue_is_empty() { [ -z "$(timeout 5 squeue -h 2>&1 || echo unreachable)" ]; }

print_env() {
  echo "export SLURM_CONF='$ROOT/etc/slurm.conf'"
  echo "export VITOK_TEST_SLURM='$ROOT'"
}

export SLURM_CONF=$ROOT/etc/slurm.conf
case "${1:-}" in
  up)
    up >&2
    print_env
    ;;
  down) down >&2 ;;
  env) print_env ;;
  warn) warn "${2:-}" ;;
  *) fail "usage: slurm.sh up|down|env|warn on|off" ;;
esac
