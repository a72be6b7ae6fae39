# scripts/status of a stack: its processes, and what memory each part takes.
# shellcheck shell=bash disable=SC2034

total=0
declare -A sum=()

_row() { printf '%-22s %8s  %-6s %10s %10s\n' "$@"; }

# _show NAME PART PID READY
_show() {
  local name=$1 part=$2 pid=$3 ready=$4 memory
  if [[ -z $pid ]]; then
    healthy=false
    _row "$name" - down - -
    return
  fi
  if [[ $ready == no ]]; then healthy=false; fi
  memory=$(memory_of "$pid")
  total=$((total + memory))
  sum[$part]=$((${sum[$part]:-0} + memory))
  _row "$name" "$pid" "$ready" "$(uptime "$(uptime_of "$pid")")" "$(mebibytes "$memory")"
}

_ready() { if is_ready "$1"; then echo yes; else echo no; fi; }

show_status() {
  local service part
  _row SERVICE PID READY UPTIME MEMORY
  for service in "${SERVICES[@]}"; do
    _show "$service" "uWSGI services" "$(service_pid "$service" || true)" "$(_ready "$service")"
  done
  for service in "${SERVICES[@]}"; do
    _show "$service worker" "workers" "$(worker_pid "$service" || true)" ""
  done
  _show nginx Nginx "$(nginx_pid || true)" ""
  _show postgresql PostgreSQL "$(postgres_pid || true)" ""

  say ""
  for part in "uWSGI services" workers Nginx PostgreSQL; do
    _row "$part" "" "" "" "$(mebibytes "${sum[$part]:-0}")"
  done
  _row total "" "" "" "$(mebibytes "$total")"
  show_dead_letters
}
