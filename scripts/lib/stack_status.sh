# scripts/status of a stack: its processes, and what memory each part takes.
# shellcheck shell=bash disable=SC2034

total=0
declare -A sum=()

_row() { printf '%-22s %8s  %-6s %10s %10s\n' "$@"; }

readonly HEALTH_PORT=$HTTP_PORT

# _measure PART PID: what a process that runs has: the caller's `up` in seconds, and `memory` in kB.
_measure() {
  up=$(uptime_of "$2")
  memory=$(memory_of "$2")
  total=$((total + memory))
  sum[$1]=$((${sum[$1]:-0} + memory))
}

_show_service() {
  local service=$1 pid state=ready word=yes reason='' up='' memory=''
  pid=$(service_pid "$service" || true)
  if [[ -z $pid ]]; then
    state=down word=down
  elif ! is_ready "$service"; then
    state='not ready' word=no
  fi
  if [[ -n $pid ]]; then
    _measure "uWSGI services" "$pid"
    _row "$service" "$pid" "$word" "$(uptime "$up")" "$(mebibytes "$memory")"
  else
    _row "$service" - "$word" - -
  fi
  if [[ $state != ready ]]; then
    healthy=false
    reason=$(reason_why "$service" "$state")
    say "  $reason"
  fi
  record_service "$service" "$state" "$reason" "pid=$pid" "uptime_seconds=$up" "memory_bytes=${memory:+$((memory * 1024))}"
}

# _show NAME PART PID: one that is asked nothing.
_show() {
  local name=$1 pid=$3 up='' memory='' state=running reason=''
  if [[ -n $pid ]]; then
    _measure "$2" "$pid"
    _row "$name" "$pid" '' "$(uptime "$up")" "$(mebibytes "$memory")"
  else
    healthy=false
    state=down
    _row "$name" - down - -
    reason=$(last_error_of "$name" | head -n 1)
    if [[ -n $reason ]]; then say "  Last error: $reason"; fi
  fi
  add_record part "name=$name" "state=$state" "reason=$reason" "pid=$pid" "uptime_seconds=$up" "memory_bytes=${memory:+$((memory * 1024))}"
}

# last_error_of NAME: of the log of a service, `SERVICE worker`, nginx or postgresql.
last_error_of() {
  local log=${1/ /.}
  as_run_user tail --lines=1000 -- "$VAR/log/${log/postgresql/postgres}.log" 2>/dev/null |
    "$SYSTEM_PYTHON" "$CHECKOUT/scripts/lib/log_lines.py" --last-error cat || true
}

show_status() {
  local service part
  _row SERVICE PID READY UPTIME MEMORY
  for service in "${SERVICES[@]}"; do _show_service "$service"; done
  for service in "${SERVICES[@]}"; do _show "$service worker" workers "$(worker_pid "$service" || true)"; done
  _show nginx Nginx "$(nginx_pid || true)"
  _show postgresql PostgreSQL "$(postgres_pid || true)"

  say ""
  for part in "uWSGI services" workers Nginx PostgreSQL; do
    _row "$part" "" "" "" "$(mebibytes "${sum[$part]:-0}")"
  done
  _row total "" "" "" "$(mebibytes "$total")"
  show_dead_letters
}
