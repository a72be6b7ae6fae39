# Debian's PostgreSQL: the cluster on a host, how it is asked, and what of it is Quartet's.
# shellcheck shell=bash disable=SC2153

# The version of our cluster, which is called main, as Debian does; at first the newest that is installed.
postgres_version() {
  local found
  found=$(compgen -G '/etc/postgresql/*/main/conf.d/quartet.conf' || compgen -G '/usr/lib/postgresql/*/bin/postgres') || return
  sort -V <<<"$found" | tail -n 1 | sed 's|.*/postgresql/\([0-9]*\)/.*|\1|'
}

# These two stand in a file of postgres, and root writes them into its own: so nothing else may be in them.
postgres_port() { _configured port | number; }
data_directory() { _configured data_directory | grep -xE '/[A-Za-z0-9/._+-]+'; }

_configured() { as_postgres pg_conftool --short "$(postgres_version)" main show "$1"; }

CLUSTER=/run/postgresql    # where the cluster's socket is; beside.sh knows of another

# as_superuser DATABASE PSQL-OPTION...: no function that others have made is in its sight.
as_superuser() { PGOPTIONS='-c search_path=pg_catalog' _psql postgres "$@"; }

# as_owner SERVICE DATABASE PSQL-OPTION...
as_owner() { PGPASSWORD=$(<"$SECRETS/$1.owner") _psql "$1_owner" "${@:2}"; }

_as_service() { PGPASSWORD=$(<"$SECRETS/$1.database") _psql "$1" "$1" "${@:2}"; }

# _psql ROLE DATABASE PSQL-OPTION...
_psql() {
  as_postgres psql --no-psqlrc --no-password --quiet --set=ON_ERROR_STOP=1 --host="$CLUSTER" --port="$(postgres_port)" \
    --username="$1" --dbname="$2" "${@:3}"
}

# ---- what services have promised each other

readonly PROMISES=quartet_promises    # a database, and a role that may do nothing elsewhere

# broken_promises: what the services disagree about, a line each: the number of the order (or -), and the words.
# Each is asked by its own role, and what they say is compared by one that has no rights to lose.
broken_promises() {
  local password
  password=$(head -c 32 /dev/urandom | base64 -w 0 | tr -d '+/=')
  forget_promises
  as_superuser postgres <<SQL
CREATE ROLE $PROMISES LOGIN PASSWORD '$password';
CREATE DATABASE $PROMISES OWNER $PROMISES TEMPLATE template0;
REVOKE ALL ON DATABASE $PROMISES FROM PUBLIC;
\connect $PROMISES
CREATE EXTENSION postgres_fdw SCHEMA public;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO $PROMISES;
SQL
  {
    _tables_of microservice1
    _tables_of microservice2
    _tables_of microservice3
    _tables_of microservice4
    cat "$CHECKOUT/scripts/lib/promises.sql"
  } | PGPASSWORD=$password _psql "$PROMISES" "$PROMISES" --tuples-only --no-align --field-separator=' ' --pset=null=-
  forget_promises
}

# _tables_of SERVICE: statements that make them a schema of its name.
_tables_of() {
  cat <<SQL
CREATE SERVER $1 FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$CLUSTER', port '$(postgres_port)', dbname '$1');
CREATE USER MAPPING FOR CURRENT_USER SERVER $1 OPTIONS (user '$1', password '$(<"$SECRETS/$1.database")');
CREATE SCHEMA $1;
IMPORT FOREIGN SCHEMA public FROM SERVER $1 INTO $1 OPTIONS (import_generated 'false');
SQL
}

forget_promises() {
  as_superuser postgres <<SQL
SET client_min_messages = warning;
DROP DATABASE IF EXISTS $PROMISES WITH (FORCE);
DROP ROLE IF EXISTS $PROMISES;
SQL
}

# ---- its settings, and who may connect

cluster_folder() { printf '/etc/postgresql/%s/main' "$(postgres_version)"; }

readonly HBA_BEGIN='# quartet: its roles, each on its own database, by password' HBA_END='# quartet: end'

# An owner connects also to what a restore loads or keeps, under another name; not to what is another's, by CONNECT.
_hba_lines() {
  local IFS=,
  printf '%s\n' "$HBA_BEGIN" "local sameuser ${SERVICES[*]},$PROMISES scram-sha-256" \
    "local all ${SERVICES[*]/%/_owner} scram-sha-256" "$HBA_END"
}

has_cluster() {
  local folder
  folder=$(cluster_folder)
  _read "$folder/conf.d/quartet.conf" | cmp -s - "$CHECKOUT/scripts/lib/postgresql-host.conf" &&
    [[ $(_read "$folder/pg_hba.conf" | sed -n "/^$HBA_BEGIN/,/^$HBA_END/p") == "$(_hba_lines)" ]] &&
    systemctl is-enabled --quiet postgresql && systemctl is-active --quiet "postgresql@$(postgres_version)-main"
}

# Its settings are postgres's: what lies in their place may be something else.
_read() { as_postgres timeout 10 cat "$1" 2>/dev/null; }

make_cluster() {
  local version folder
  version=$(postgres_version)
  folder=$(cluster_folder)
  if [[ ! -d $folder || -e $SETTINGS/cluster.unfinished ]]; then _create_cluster "$version"; fi
  replace_file "$folder/conf.d/quartet.conf" <"$CHECKOUT/scripts/lib/postgresql-host.conf"
  _write_hba "$folder/pg_hba.conf"
  systemctl enable postgresql
  systemctl restart "postgresql@$version-main"
  wait_until 60 _cluster_answers
}

_cluster_answers() { as_superuser postgres <<<"SELECT;"; }

# One whose creation was interrupted holds nothing, and may not even start.
_create_cluster() {
  touch "$SETTINGS/cluster.unfinished"
  [[ ! -d $(cluster_folder) ]] || pg_dropcluster --stop "$1" main
  pg_createcluster "$1" main --locale=C.UTF-8 --encoding=UTF8 -- --data-checksums
  rm "$SETTINGS/cluster.unfinished"
}

# First come, first served: these lines go before Debian's own.
_write_hba() {
  local others
  others=$(without_hba_lines "$1")
  { _hba_lines; say "$others"; } | replace_file "$1"
}

without_hba_lines() { as_postgres sed "/^$HBA_BEGIN/,/^$HBA_END/d" "$1"; }

# replace_file FILE: one of postgres's, by what comes on standard input; its mode stays.
# shellcheck disable=SC2016    # expanded by the inner shell
replace_file() {
  as_postgres sh -c '
    rm -rf "$1.new"
    if [ -e "$1" ]; then cp --preserve=mode "$1" "$1.new"; fi
    cat >"$1.new" && mv -T "$1.new" "$1"' _ "$1"
}

# Each service gets into its database and owns nothing there; the owner of its tables gets in, too.
has_databases() {
  local service owner='SELECT datdba::regrole FROM pg_database WHERE datname = current_database();'
  for service in "${SERVICES[@]}"; do
    [[ $(_as_service "$service" --tuples-only --no-align 2>/dev/null <<<"$owner") == "${service}_owner" &&
      $(as_owner "$service" "$service" --tuples-only --no-align 2>/dev/null <<<"$owner") == "${service}_owner" ]] || return 1
  done
}
