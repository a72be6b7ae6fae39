# Processes of a stack: start one, find it again, stop it, measure it.
# shellcheck shell=bash disable=SC2153

# without_descriptors COMMAND...: a process that goes on must not hold what the caller has open beyond standard input,
# output and error: a lock, or a pipe whose end somebody awaits.
without_descriptors() {
  (
    local descriptor
    for descriptor in "/proc/$BASHPID/fd/"*; do
      descriptor=${descriptor##*/}
      if ((descriptor > 2)); then exec {descriptor}>&-; fi
    done
    "$@"
  )
}

log_keeper_pid() { pid_in "$RUN/logs.pid" "$VAR/log"; }

# start_log_keeper: logs stay small, also while everything runs. The run-time user may not be able to read the
# checkout, so the program itself is the argument.
start_log_keeper() {
  log_keeper_pid >/dev/null && return 0
  without_descriptors as_run_user setsid --fork bash -c "$(<"$CHECKOUT/scripts/lib/keep-logs")" keep-logs "$VAR/log" "$RUN/logs.pid" \
    </dev/null >/dev/null 2>&1
}

stop_log_keeper() {
  local pid
  if pid=$(log_keeper_pid); then stop_process "the keeper of the logs" "$pid" TERM 5; fi
}

# pid_in FILE MARK: print the pid in FILE if that process lives and has MARK in its command line.
# A pid alone proves nothing: after a crash it may be somebody else's. Another text than a number would lead
# out of /proc, to what the run-time user can write.
pid_in() {
  local file=$1 mark=$2 pid command
  [[ -r $file ]] || return 1
  read -r pid <"$file" || return 1
  [[ $pid =~ ^[0-9]{1,9}$ ]] || return 1
  command=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || return 1
  [[ $command == *"$mark"* ]] || return 1
  printf '%s' "$pid"
}

# orphan_pids: the processes of this stack that no pid file names any more, because somebody has deleted var/ while they
# ran. From its start to its end each process of a stack writes its errors to a log of that stack, by whose path it is
# known, and by nothing that another stack or another program has.
orphan_pids() {
  local found pid known
  found=$(_pids_with_deleted_logs)
  [[ -n $found ]] || return 0
  known=" $(for pid in $(_known_pids); do tree_of "$pid"; done | tr '\n' ' ') "
  for pid in $found; do
    if [[ $known != *" $pid "* ]]; then printf '%s\n' "$pid"; fi
  done
}

_pids_with_deleted_logs() {
  local line
  find /proc/[0-9]*/fd/2 -maxdepth 0 -user "$RUN_USER" -printf '%h %l\n' 2>/dev/null | while IFS= read -r line; do
    if _is_deleted_log "${line#* }"; then
      line=${line%%/fd *}
      printf '%s\n' "${line#/proc/}"
    fi
  done || true    # find's, of a process that ends meanwhile
}

_is_deleted_log() {
  local name=${1#"$VAR/log/"}
  [[ $name != "$1" && $name =~ ^(microservice[0-9]+(\.worker)?|nginx|postgres)\.log\ \(deleted\)$ ]]
}

# The folder of sockets and pid files may lie elsewhere, and be there still.
_known_pids() {
  local service
  [[ -d $VAR/postgres ]] || return 0
  for service in "${SERVICES[@]}"; do
    service_pid "$service" && echo
    worker_pid "$service" && echo
  done
  nginx_pid && echo
  postgres_pid && echo
  true
}

# end_orphans: ask all of them, wait, and only then force, by the run-time user.
end_orphans() {
  local pids
  pids=$(orphan_pids)
  # shellcheck disable=SC2086    # one word a pid
  as_run_user kill -s TERM -- $pids 2>/dev/null || true
  if ! wait_until 12 _no_orphans; then
    pids=$(orphan_pids)
    # shellcheck disable=SC2086
    as_run_user kill -s KILL -- $pids 2>/dev/null || true
    wait_until 5 _no_orphans
  fi
}

_no_orphans() { [[ -z $(orphan_pids) ]]; }

# stop_process NAME PID SIGNAL SECONDS: ask, wait, and only then force; by the run-time user, who has written the
# pid, and can reach no process but its own.
stop_process() {
  local name=$1 pid=$2 signal=$3 seconds=$4
  as_run_user kill -s "$signal" -- "$pid" 2>/dev/null || return 0
  if ! wait_until "$seconds" _is_gone "$pid"; then
    warn "$name (pid $pid) did not stop within $seconds s and is killed."
    _kill_tree "$pid"
  fi
}

_is_gone() { [[ ! -d /proc/$1 ]] || [[ $(awk '/^State:/ {print $2}' "/proc/$1/status" 2>/dev/null) == Z ]]; }

_kill_tree() {
  local pids
  pids=$(tree_of "$1")
  # shellcheck disable=SC2086    # one word a pid
  as_run_user kill -s KILL -- $pids 2>/dev/null || true
}

# memory_of PID: proportional set size of PID and its descendants, in kB.
memory_of() {
  local pid total=0 size
  for pid in $(tree_of "$1"); do
    size=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup" 2>/dev/null) || continue
    total=$((total + ${size:-0}))
  done
  printf '%d' "$total"
}

# uptime_of PID: seconds since it started.
uptime_of() {
  local stat fields up ticks
  stat=$(<"/proc/$1/stat")
  read -ra fields <<<"${stat##*) }"
  read -r up _ </proc/uptime
  ticks=$(getconf CLK_TCK)
  printf '%d' $((${up%.*} - fields[19] / ticks))
}
