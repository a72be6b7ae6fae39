# A backup brought to life beside the cluster that is live: a folder and a socket of its own, no port, and
# nothing of it goes into the archive. For one command at a time; what a killed one left is swept away.
# shellcheck shell=bash

readonly BESIDE=/var/lib/quartet-beside    # postgres's alone: see tmpfiles.conf

# recover_beside RESTORE-OPTION...: pgBackRest checks each file; then PostgreSQL plays its log to the target.
recover_beside() {
  stop_beside
  as_postgres mkdir -m 0700 "$BESIDE/data"
  pgbackrest --pg1-path="$BESIDE/data" "$@" restore
  _write_settings_beside
  as_postgres "$(_bin_beside)/pg_ctl" start --pgdata="$BESIDE" --log="$BESIDE/log" --wait --timeout=600 --silent &&
    wait_until 7200 _has_ended_recovery && _answers_beside && return 0
  as_postgres cat "$BESIDE/log"
  return 1
}

# It answers nobody until it has got to the target.
_answers_beside() { as_postgres "$(_bin_beside)/pg_isready" --quiet --host="$BESIDE" --port="$(postgres_port)"; }

_has_ended_recovery() { _answers_beside || [[ ! -e $BESIDE/data/postmaster.pid ]]; }

# It lives for minutes and is not seen by anybody: small, and not durable.
_write_settings_beside() {
  as_postgres touch "$BESIDE/pg_ident.conf"
  printf '%s\n' 'local all postgres peer' 'local all all scram-sha-256' | as_postgres tee "$BESIDE/pg_hba.conf" >/dev/null
  as_postgres tee "$BESIDE/postgresql.conf" >/dev/null <<CONF
data_directory = '$BESIDE/data'
hba_file = '$BESIDE/pg_hba.conf'
ident_file = '$BESIDE/pg_ident.conf'
listen_addresses = ''
port = $(postgres_port)
unix_socket_directories = '$BESIDE'
hot_standby = off
max_connections = 20
archive_mode = off
autovacuum = off
fsync = off
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_min_error_statement = panic
CONF
}

_bin_beside() { printf '/usr/lib/postgresql/%s/bin' "$(postgres_version)"; }

# beside FUNCTION...: let a function ask it instead of the live cluster.
beside() { CLUSTER=$BESIDE "$@"; }

# be_owned_beside SERVICE...: its roles get the passwords of today; and the backup may be from before its tables
# had an owner.
be_owned_beside() {
  local service
  for service in "$@"; do beside make_database "$service"; done
}

stop_beside() {
  if _runs_beside; then
    as_postgres "$(_bin_beside)/pg_ctl" stop --pgdata="$BESIDE" --mode=immediate --silent || true
  fi
  as_postgres find "$BESIDE" -mindepth 1 -delete
}

# After a loss of power its pid may be another's, the live cluster's for one.
_runs_beside() {
  local pid
  pid=$(as_postgres head -n 1 "$BESIDE/data/postmaster.pid" 2>/dev/null | number) && grep -qs "$BESIDE" "/proc/$pid/cmdline"
}

# room_for_a_copy FOLDER: is there as much as the cluster takes, and a gigabyte?
room_for_a_copy() {
  local needed free
  needed=$(backups | awk 'END {print $4}')
  free=$(df --output=avail --block-size=1 "$1" | tail -n 1)
  ((free > needed + 1000000000)) ||
    abort "$1 needs $(((needed + 1000000000) / 1000000)) MB of room for a copy of the cluster, and has $((free / 1000000)) MB."
}
