# The four databases and their roles, in whichever cluster as_superuser reaches.
# shellcheck shell=bash disable=SC2153
#
# as_superuser DATABASE PSQL-OPTION... and as_owner SERVICE DATABASE PSQL-OPTION... are psql; statements come on
# standard input, so that no password is in `ps`. A superuser touches no row and no table of a service: a view
# in its place would run with a superuser's rights. The owner of the tables does, or a command of the service.

readonly LOCK_TRIES=60

# figures_of SERVICE: NAME VALUE, one a line. Nothing but numbers: bash would evaluate what else a service
# that was broken into might print.
figures_of() {
  {
    in_service "$1" python -m chassis.figures "$1"
    if [[ $1 == microservice4 ]]; then in_service "$1" python -m microservice4.commands figures; fi
  } | grep -xE '[a-z_]+ (0|[1-9][0-9]{0,14})'
}

make_databases() {
  local service
  as_superuser postgres <<<"REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;"
  for service in "${SERVICES[@]}"; do make_database "$service"; done
}

# make_database SERVICE: a database that its owner may change, and whose rows the service may; both connect to
# no other. What the service itself owns, as it did before there were owners, is given to the owner.
make_database() {
  local owned
  make_secret "$1.database"
  make_secret "$1.owner"
  owned=$(as_superuser postgres --tuples-only --no-align <<SQL
\set password '$(<"$SECRETS/$1.database")'
\set owner_password '$(<"$SECRETS/$1.owner")'
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$1') AS no_role,
       NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$1_owner') AS no_owner,
       NOT EXISTS (SELECT FROM pg_database WHERE datname = '$1') AS no_database \gset
\if :no_role
CREATE ROLE $1 LOGIN;
\endif
\if :no_owner
CREATE ROLE $1_owner LOGIN;
\endif
ALTER ROLE $1 PASSWORD :'password';
ALTER ROLE $1_owner PASSWORD :'owner_password';
\if :no_database
$(creation_of "$1" "$1")
\endif
$(_admission_to "$1" "$1")
SELECT EXISTS (
           SELECT FROM pg_shdepend
            WHERE dbid = (SELECT oid FROM pg_database WHERE datname = '$1')
              AND refclassid = 'pg_authid'::regclass
              AND refobjid = '$1'::regrole
              AND deptype = 'o'
       );
SQL
  )
  if [[ $owned == t ]]; then _give_to_owner "$1"; fi
}

# creation_of DATABASE SERVICE: the statements.
creation_of() {
  say "CREATE DATABASE $1 OWNER $2_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';"
  _admission_to "$1" "$2"
}

# In one transaction, for the service may be at work.
_admission_to() {
  cat <<SQL
BEGIN;
ALTER DATABASE $1 OWNER TO $2_owner;
REVOKE ALL ON DATABASE $1 FROM PUBLIC, $2;
GRANT CONNECT ON DATABASE $1 TO $2;
COMMIT;
SQL
}

# _give_to_owner SERVICE: it goes on meanwhile, so a lock is waited for 0.3 s at a time, and there is no moment
# without its rights. Which of them are too many, the next migration takes away.
_give_to_owner() {
  local tries=$LOCK_TRIES
  until _give_to_owner_at_once "$1"; do
    ((tries-- > 0)) || abort "somebody holds a lock on a table of $1; see pg_locks."
    sleep 0.3
  done
}

_give_to_owner_at_once() {
  as_superuser "$1" <<SQL
SET lock_timeout = '0.3s';
BEGIN;
REASSIGN OWNED BY $1 TO $1_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO $1;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
COMMIT;
SQL
}
