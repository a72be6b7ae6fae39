# Debian's PostgreSQL: the cluster on a host, how it is asked, and what of it is Quartet's.
# shellcheck shell=bash disable=SC2153

# The version of our cluster, which is called main, as Debian does; at first the newest that is installed.
postgres_version() {
  local found
  found=$(compgen -G '/etc/postgresql/*/main/conf.d/quartet.conf' || compgen -G '/usr/lib/postgresql/*/bin/postgres') || return
  sort -V <<<"$found" | tail -n 1 | sed 's|.*/postgresql/\([0-9]*\)/.*|\1|'
}

postgres_port() { pg_conftool --short "$(postgres_version)" main show port; }

# as_superuser DATABASE PSQL-OPTION...
as_superuser() {
  local database=$1
  shift
  (
    cd / || exit
    exec runuser -u postgres -- psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --port="$(postgres_port)" \
      --dbname="$database" "$@"
  )
}

# broken_promises as_superuser|beside: what the services of a cluster disagree about, a line each: the number of
# the order (or -), and the words.
broken_promises() {
  "$1" postgres <<<"DROP DATABASE IF EXISTS quartet_promises;"
  "$1" postgres <<<"CREATE DATABASE quartet_promises;"
  "$1" quartet_promises --tuples-only --no-align --field-separator=' ' --pset=null=- <"$CHECKOUT/scripts/lib/promises.sql"
  "$1" postgres <<<"DROP DATABASE quartet_promises;"
}

# ---- its settings, and who may connect

cluster_folder() { printf '/etc/postgresql/%s/main' "$(postgres_version)"; }

readonly HBA_BEGIN='# quartet: its roles, each on its own database, by password' HBA_END='# quartet: end'

_hba_lines() {
  local IFS=,
  printf '%s\nlocal sameuser %s scram-sha-256\n%s\n' "$HBA_BEGIN" "${SERVICES[*]}" "$HBA_END"
}

has_cluster() {
  local folder
  folder=$(cluster_folder)
  cmp -s "$CHECKOUT/scripts/lib/postgresql-host.conf" "$folder/conf.d/quartet.conf" &&
    [[ $(sed -n "/^$HBA_BEGIN/,/^$HBA_END/p" "$folder/pg_hba.conf" 2>/dev/null) == "$(_hba_lines)" ]] &&
    systemctl is-enabled --quiet postgresql && systemctl is-active --quiet "postgresql@$(postgres_version)-main"
}

make_cluster() {
  local version folder
  version=$(postgres_version)
  folder=$(cluster_folder)
  if [[ ! -d $folder || -e $SETTINGS/cluster.unfinished ]]; then _create_cluster "$version"; fi
  install -D -m 0644 "$CHECKOUT/scripts/lib/postgresql-host.conf" "$folder/conf.d/quartet.conf"
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
_write_hba() { replace_file "$1" < <(_hba_lines; without_hba_lines "$1"); }

without_hba_lines() { sed "/^$HBA_BEGIN/,/^$HBA_END/d" "$1"; }

# replace_file FILE: by what comes on standard input; owner and mode stay.
replace_file() {
  cp --preserve=ownership,mode "$1" "$1.new"
  cat >"$1.new"
  mv "$1.new" "$1"
}

# Each service gets into its database, and owns it.
has_databases() {
  local service
  for service in "${SERVICES[@]}"; do
    [[ $(_as_service "$service" 2>/dev/null <<<"SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = '$service';") == t ]] || return 1
  done
}

_as_service() {
  PGPASSWORD=$(<"$SECRETS/$1.database") psql --no-psqlrc --no-password --quiet --tuples-only --no-align \
    --host=/run/postgresql --port="$(postgres_port)" --username="$1" --dbname="$1"
}
