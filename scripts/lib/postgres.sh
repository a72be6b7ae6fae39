# The private PostgreSQL of a stack: one cluster, a database for each service, reached by unix socket.
# shellcheck shell=bash disable=SC2153

readonly SUPERUSER=quartet

# The programs of the version that made the cluster, or the newest there are.
postgres_bin() {
  local data=${1:-} bin version
  if [[ -n $data && -r $data/PG_VERSION ]]; then
    version=$(number <"$data/PG_VERSION") || abort "$data/PG_VERSION holds no number."
    bin=/usr/lib/postgresql/$version/bin
    [[ -x $bin/postgres ]] || abort "$data was made by PostgreSQL $version, which is not installed. Install postgresql-$version."
  else
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  fi
  printf '%s' "$bin"
}

# The postmaster's command line ends in `-D <cluster>`.
postgres_pid() { pid_in "${1:-$VAR/postgres}/postmaster.pid" "${1:-$VAR/postgres}"; }

# make_cluster DATA INITDB-OPTION...: a new cluster, complete or not there at all.
make_cluster() {
  local data=$1
  shift
  as_run_user rm -rf "$data.new"
  as_run_user "$(postgres_bin)/initdb" --pgdata="$data.new" --encoding=UTF8 --locale=C.UTF-8 \
    --data-checksums --no-instructions "$@"
  as_run_user mv -T "$data.new" "$data"
}

# start_cluster DATA SOCKETS LOG OPTION...: start it and wait until it takes connections.
start_cluster() {
  local data=$1 sockets=$2 log=$3
  shift 3
  without_descriptors as_run_user "$(postgres_bin "$data")/pg_ctl" start --pgdata="$data" --log="$log" --wait --timeout=60 --silent \
    --options="-c unix_socket_directories=$sockets $*"
}

# Fast, not smart: a session that stays open must not hold the stop.
stop_cluster() {
  local data=$1
  postgres_pid "$data" >/dev/null || return 0
  as_run_user "$(postgres_bin "$data")/pg_ctl" stop --pgdata="$data" --mode=fast --wait --timeout=30 --silent
}

# ---- the stack's own cluster

make_own_cluster() {
  [[ ! -d $VAR/postgres ]] || return 0
  make_secret postgres
  make_cluster "$VAR/postgres" --username="$SUPERUSER" --auth=scram-sha-256 --pwfile="$SECRETS/postgres"
}

start_postgres() {
  postgres_pid >/dev/null && return 0
  make_own_cluster
  as_run_user cp "$CHECKOUT/scripts/lib/postgresql.conf" "$VAR/postgres/quartet.conf" 2>/dev/null ||
    as_run_user tee "$VAR/postgres/quartet.conf" <"$CHECKOUT/scripts/lib/postgresql.conf" >/dev/null
  grep -q quartet.conf "$VAR/postgres/postgresql.conf" ||
    as_run_user tee -a "$VAR/postgres/postgresql.conf" <<<"include 'quartet.conf'" >/dev/null
  start_cluster "$VAR/postgres" "$RUN" "$VAR/log/postgres.log"
}

stop_postgres() { stop_cluster "$VAR/postgres"; }

# as_superuser DATABASE PSQL-OPTION...: no function that others have made is in its sight.
as_superuser() {
  PGOPTIONS='-c search_path=pg_catalog' _psql "$SUPERUSER" postgres "$@"
}

# as_owner SERVICE DATABASE PSQL-OPTION...
as_owner() { _psql "$1_owner" "$1.owner" "${@:2}"; }

# _psql ROLE SECRET DATABASE PSQL-OPTION...
_psql() {
  PGPASSWORD=$(<"$SECRETS/$2") as_run_user "$(postgres_bin "$VAR/postgres")/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
    --host="$RUN" --username="$1" --dbname="$3" "${@:4}"
}
