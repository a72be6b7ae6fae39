# scripts/status of a host: each service with its release and its traffic.
# shellcheck shell=bash disable=SC2034,SC2153

source "$CHECKOUT/scripts/lib/host_backups.sh"
source "$CHECKOUT/scripts/lib/tls.sh"

readonly FULL_PERCENT=90
readonly CERTIFICATE_SECONDS=$((14 * 86400))    # it is renewed 30 days before its end
readonly OLD_BACKUP_SECONDS=$((2 * 86400)) OLD_DRILL_SECONDS=$((15 * 86400))

readonly HEALTH_PORT=$HOST_METRICS_PORT

declare -A traffic=()    # service -> "RPS ERRORS P95"

_row() { printf '%-14s %-26s %8s  %-9s %-5s %6s %6s %6s %6s %7s %10s\n' "${@//[^ -~]/?}"; }

_read_traffic() {
  local service rest
  while read -r service rest; do traffic[$service]=$rest; done < <(
    "$SYSTEM_PYTHON" "$CHECKOUT/scripts/lib/traffic.py" "$ACCESS_LOG" "${SERVICES[@]}"
  )
}

# A word for how a service is; what is not well makes the whole unhealthy.
_condition() {
  local service=$1
  if ! systemctl is-active --quiet "microservice@$service.service"; then
    echo down
  elif ! systemctl is-active --quiet "microservice-worker@$service.service"; then
    echo "no worker"
  elif is_ready "$service"; then
    echo yes
  else
    echo no
  fi
}

# Since when `current` leads where it leads.
_since() { uptime "$(_seconds_since_release "$1")"; }

_seconds_since_release() { printf '%d' $(($(date +%s) - $(stat -c %Y "$WWW/$1/current"))); }

_since_start() {
  local up started
  started=$(systemctl show --property=ActiveEnterTimestampMonotonic --value "$1")
  read -r up _ </proc/uptime
  uptime $((${up%.*} - started / 1000000))
}

_queue() { ss -Hxl src "/run/quartet/$1.sock" | awk '{print $3}'; }

_memory_of_unit() {
  local pid
  pid=$(main_pid "$1")
  if ((pid)); then memory_of "$pid"; else echo 0; fi
}

_show_service() {
  local service=$1 condition rps errors p95 memory reason='' state
  condition=$(_condition "$service")
  read -r rps errors p95 <<<"${traffic[$service]:-- - -}"
  memory=$(($(_memory_of_unit "microservice@$service.service") + $(_memory_of_unit "microservice-worker@$service.service")))
  _row "$service" "$(current_release "$service")" "$(_since "$service")" "$condition" \
    "$(setting_of "$service" PROCESSES 2)x$(setting_of "$service" THREADS 4)" "$rps" "$errors" "$p95" \
    "$(_queue "$service")" "${figures[$service.outbox_oldest_seconds]:-?} s" "$(mebibytes "$memory")"
  state=${condition/yes/ready}
  state=${state/#no/not ready}
  if [[ $condition != yes ]]; then
    healthy=false
    reason=$(reason_why "$service" "$state")
    say "  $reason"
  fi
  record_service "$service" "$state" "$reason" "release=$(current_release "$service")" \
    "release_seconds=$(_seconds_since_release "$service")" "processes=$(setting_of "$service" PROCESSES 2)" \
    "threads=$(setting_of "$service" THREADS 4)" "requests_per_second=$rps" "error_percent=${errors%\%}" "p95_ms=$p95" \
    "queue=$(_queue "$service")" "memory_bytes=$((memory * 1024))"
  if [[ $condition == yes ]] && ! runs_this_uwsgi "$service"; then note "  $service runs a uWSGI that was replaced: scripts/restart $service"; fi
  if ((${figures[$service.collations_outdated]:-0})); then note "  the indexes of $service were built with another ICU: see docs/runbook.md, After an upgrade of the system"; fi
  if is_unproven "$service"; then note "  the deployment of $service is not finished: scripts/deploy or scripts/rollback $service"; fi
}

_show_server() {
  local name=$1 unit=$2 state=running reason='' memory=''
  if systemctl is-active --quiet "$unit"; then
    memory=$(_memory_of_unit "$unit")
    _row "$name" '' "$(_since_start "$unit")" yes '' '' '' '' '' '' "$(mebibytes "$memory")"
  else
    healthy=false
    state=down
    reason="see journalctl -u $unit"
    _row "$name" '' - down '' '' '' '' '' '' -
    say "  $reason"
  fi
  add_record part "name=$name" "state=$state" "reason=$reason" "memory_bytes=${memory:+$((memory * 1024))}"
}

_figure() { sed -n "s/^$2 //p" "$BACKUPS/metrics/$1.prom" 2>/dev/null; }

_show_backups() {
  local now finished drilled
  now=$(date +%s)
  finished=$(_figure backup quartet_backup_finished_seconds) || finished=0
  drilled=$(_figure drill quartet_restore_drill_finished_seconds) || drilled=$(stat -c %Y "$BACKUP_KEY")
  if ((finished > 0)); then note "The last backup is $(uptime $((now - finished))) old: scripts/restore --list"; fi
  if ((now - finished > OLD_BACKUP_SECONDS)); then note "There is none of the last two days: systemctl list-timers; scripts/backup"; fi
  if ((now - drilled > OLD_DRILL_SECONDS)); then note "None was tried for $(uptime $((now - drilled))): systemctl list-timers; scripts/restore-drill"; fi
  if [[ $(_figure backup_attempt quartet_backup_ok) == 0 ]]; then note "The last attempt at one has FAILED: journalctl -u microservices-backup"; fi
  if [[ $(_figure drill quartet_restore_drill_ok) == 0 ]]; then note "The last restore drill has FAILED: journalctl -u microservices-restore-drill"; fi
}

# A timer starts these; a unit that hung was ended by its TimeoutStartSec, and has failed as well.
_show_failed_units() {
  local unit
  while read -r unit _; do
    note "$unit has FAILED: journalctl -u ${unit%.service}"
  done < <(systemctl list-units --state=failed --plain --no-legend 'microservices-*.service')
}

# What is not archived cannot be restored, and stays in PostgreSQL's folder until the disk is full.
_show_archive() {
  local seconds
  seconds=$(
    as_superuser postgres --tuples-only --no-align 2>/dev/null <<<"
      SELECT extract(epoch FROM now() - coalesce(last_archived_time, stats_reset))::integer FROM pg_stat_archiver
       WHERE last_failed_time > coalesce(last_archived_time, '-infinity');" | number
  ) || return 0
  if [[ -n $seconds ]]; then note "PostgreSQL's log has not been archived for $(uptime "$seconds"): see docs/runbook.md, Backups"; fi
}

# The one that is served: a new one may lie there, and Nginx not have read it.
_show_certificate() {
  tls_is_on || return 0
  openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -checkend "$CERTIFICATE_SECONDS" >/dev/null 2>&1 ||
    note "The certificate that Nginx serves ends within two weeks, and was not renewed: scripts/tls show; journalctl -u microservices-tls -u certbot -u nginx"
}

_show_full_disks() {
  local share folder
  while read -r share folder; do
    if ((${share%\%} >= FULL_PERCENT)); then note "$folder is $share full: see docs/runbook.md"; fi
  done < <(df --output=pcent,target "$(data_directory)" "$BACKUPS" "$WWW" "$IMAGES" /var/log 2>/dev/null | tail -n +2 | sort -u)
}

# last_error_of SERVICE: its own, or its worker's.
last_error_of() {
  journalctl "$JOURNAL" --unit="microservice@$1.service" --unit="microservice-worker@$1.service" --output=cat --quiet --lines=1000 |
    "$SYSTEM_PYTHON" "$CHECKOUT/scripts/lib/log_lines.py" --last-error cat || true
}

show_status() {
  local service
  _read_traffic
  _row SERVICE RELEASE SINCE READY PROC REQ/S ERRORS "P95 MS" QUEUE OUTBOX MEMORY
  for service in "${SERVICES[@]}"; do _show_service "$service"; done
  _show_server nginx nginx.service
  _show_server postgresql "postgresql@$(postgres_version)-main.service"
  show_dead_letters
  _show_backups
  _show_failed_units
  _show_archive
  _show_certificate
  _show_full_disks
}
