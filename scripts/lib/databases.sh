# The four databases and their roles, in whichever cluster as_superuser reaches.
# shellcheck shell=bash disable=SC2153
#
# as_superuser DATABASE PSQL-OPTION... is psql as the cluster's superuser; statements come on standard
# input, so that no password is in `ps`.

# count_dead_letters SERVICE: how many messages of its outbox were refused for good.
count_dead_letters() {
  as_superuser "$1" --tuples-only --no-align <<<"SELECT count(*) FROM outbox WHERE state = 'dead';"
}

# make_databases: a database for each service, owned by a role that may connect to no other.
make_databases() {
  local service
  as_superuser postgres <<<"REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;"
  for service in "${SERVICES[@]}"; do
    make_secret "$service.database"
    as_superuser postgres <<SQL
\\set password '$(<"$SECRETS/$service.database")'
SELECT NOT EXISTS (SELECT FROM pg_roles    WHERE rolname = '$service') AS no_role \\gset
SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = '$service') AS no_database \\gset
\\if :no_role
CREATE ROLE $service LOGIN;
\\endif
ALTER ROLE $service PASSWORD :'password';
\\if :no_database
CREATE DATABASE $service OWNER $service TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
\\endif
REVOKE CONNECT, TEMPORARY ON DATABASE $service FROM PUBLIC;
SQL
  done
}
