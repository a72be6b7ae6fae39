# Processes of a stack: find one again, stop it, measure it.
# shellcheck shell=bash disable=SC2153

log_keeper_pid() { pid_in "$RUN/logs.pid" "$VAR/log"; }

# start_log_keeper: logs stay small, also while everything runs. The run-time user may not be able to read the
# checkout, so the program itself is the argument.
start_log_keeper() {
  log_keeper_pid >/dev/null && return 0
  as_run_user setsid --fork bash -c "$(<"$CHECKOUT/scripts/lib/keep-logs")" keep-logs "$VAR/log" "$RUN/logs.pid" \
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
