# A host that scripts/install has set up: where its parts are, and how they are asked.
# shellcheck shell=bash disable=SC2034,SC2153

readonly WWW=/opt/www                           # microserviceN/{releases/<id>/,current,previous}
readonly SETTINGS=/etc/microservices            # microserviceN.env, jwks.json
readonly SECRETS=$SETTINGS/secrets              # root's alone; systemd hands them out
readonly KEYS=$SECRETS
readonly LIBRARY=/usr/lib/quartet               # uwsgi, and the venv that it was compiled in
readonly VENV=$LIBRARY/build
readonly IMPORTER=$LIBRARY/importer            # the venv of scripts/import-trade
readonly UNITS=/usr/local/lib/systemd/system    # /etc/systemd/system stays the operator's
readonly JOURNAL=--namespace=+quartet            # of the services, as LogNamespace in their units; and systemd's
readonly LOGS=/var/log/quartet                  # of Nginx, as in nginx/conf.d/service.conf
readonly ACCESS_LOG=$LOGS/access.log
readonly IMAGES=/var/lib/microservice2/images    # as in nginx/conf.d/service.conf
readonly IMAGE_KEEPER=microservice2
readonly MAIL=/var/lib/microservice4/mail
readonly FRONT_DOOR_URL=http://127.0.0.1
readonly HOST_METRICS_PORT=8081                 # as in systemd/microservices-metrics.socket
readonly INTERNAL_GROUP=quartet-internal        # as in the sandboxes of the services
readonly HOST_INTERNAL_URL=unix:/run/quartet-internal/nginx.sock    # as in nginx/conf.d/service.conf

source "$CHECKOUT/scripts/lib/packages.sh"
source "$CHECKOUT/scripts/lib/python.sh"
source "$CHECKOUT/scripts/lib/secrets.sh"
source "$CHECKOUT/scripts/lib/databases.sh"
source "$CHECKOUT/scripts/lib/host_postgres.sh"
source "$CHECKOUT/scripts/lib/settings.sh"
source "$CHECKOUT/scripts/lib/commands.sh"
source "$CHECKOUT/scripts/lib/releases.sh"

# as_user USER COMMAND...: by that user's rights alone; so is done all that is done in a folder of theirs, for a
# link that they have put there may lead anywhere. And in a session without root's terminal: a process of theirs
# could type into it.
as_user() {
  (
    cd / || exit
    exec setpriv --reuid="$1" --regid="$1" --init-groups --no-new-privs setsid --wait "${@:2}"
  )
}

as_postgres() { as_user postgres "$@"; }

# as_run_user COMMAND...: what the libraries shared with scripts/up ask for; here root keeps the files.
as_run_user() { "$@"; }

require_root() { ((EUID == 0)) || abort "only root can do this: sudo scripts/${0##*/} ..."; }

# require_installed: before any argument is looked at. Who works in a checkout is told what does the same there.
require_installed() {
  is_installed || abort "this is for a host (README.md, On a host), and Quartet is not installed on this machine. Here: $(_in_a_checkout)"
}

_in_a_checkout() {
  case ${0##*/} in
    start | deploy | migrate) say "scripts/up starts the code of this checkout, and restarts what was changed." ;;
    stop) say "scripts/down" ;;
    rollback) say "git checkout COMMIT, then scripts/up" ;;
    releases) say "scripts/up runs the code of this checkout; git log shows its past." ;;
    scale) say "PROCESSES=4 scripts/restart SERVICE" ;;
    backup) say "scripts/down, then a copy of var/" ;;
    restore | restore-drill | settle) say "scripts/down, put a copy of var/ in its place, then scripts/up" ;;
    tls) say "scripts/up serves plain HTTP to this machine alone." ;;
    uninstall) say "scripts/down --erase" ;;
    *) say "scripts/up" ;;
  esac
}

require_host() {
  require_installed
  require_root
}

require_running() { require_host; }

# confirm QUESTION: ask it, and go on only after a yes. sure is the caller's: true after --yes.
# shellcheck disable=SC2154
confirm() {
  local answer=''
  $sure && return 0
  read -r -p "$1 [y/N] " answer || true
  [[ $answer == y* ]] || abort "nothing was changed. To answer yes in advance: --yes"
}

one_at_a_time() {
  mkdir -p "$WWW"
  one_at_a_time_in "$WWW" "$@"
}

# alone_with SERVICES ARGUMENT...: one that is deployed, scaled or restored just now is waited for. In one
# order, so that no two wait for each other.
alone_with() {
  local service
  for service in $(tr ' ' '\n' <<<"$1" | sort -u); do
    if [[ -d $WWW/$service ]]; then one_at_a_time_in "$WWW/$service" "${@:2}"; fi
  done
}

# ---- logs: the journal has those of the services

require_place() { require_host; }

log_files() {
  case $1 in
    nginx) printf '%s\n' /var/log/nginx/error.log "$LOGS/error.log" "$ACCESS_LOG" ;;
    postgres) printf '%s\n' /var/log/postgresql/*.log ;;
  esac
}

# keeper_of PART: the user that writes its log files, who may put a link in place of one.
keeper_of() { if [[ $1 == postgres ]]; then echo postgres; else echo root; fi; }

# all_logs: every line of Nginx, the services and their workers that is kept, on standard output.
all_logs() {
  zcat --force -- "$ACCESS_LOG"*
  journalctl "$JOURNAL" --unit='microservice*.service' --output=cat --quiet --no-pager
}

# ---- commands with a service's rights

# in_release SERVICE RELEASE COMMAND...: run COMMAND as the service's user, with its settings and
# secrets, in that release (an id).
in_release() {
  _confined "$1" "$2" "User=$1" "SupplementaryGroups=$INTERNAL_GROUP" "LoadCredential=DATABASE_PASSWORD_FILE:$SECRETS/$1.database" \
    "LoadCredential=SIGNING_KEY_FILE:$SECRETS/$1.pem" "LoadCredential=SECRET_FILE:$SECRETS/$1.secret" -- "${@:3}"
}

# in_release_as_owner SERVICE RELEASE COMMAND...: the same with what opens its database to the owner of its
# tables, as a user that no other process has.
in_release_as_owner() {
  [[ -s $SECRETS/$1.owner ]] || abort "the tables of $1 have no owner yet: call scripts/install."
  _confined "$1" "$2" DynamicUser=yes "LoadCredential=DATABASE_OWNER_PASSWORD_FILE:$SECRETS/$1.owner" -- "${@:3}"
}

# _confined SERVICE RELEASE PROPERTY... -- COMMAND...: each credential is named like the setting that tells its file.
_confined() {
  local service=$1 folder=$WWW/$1/releases/$2 property properties=()
  shift 2
  for property in "WorkingDirectory=$folder" "EnvironmentFile=$SETTINGS/$service.env" \
    "Environment=PATH=$folder/venv/bin:/usr/bin:/bin" Environment=PROMETHEUS_MULTIPROC_DIR=/tmp \
    "Environment=REVOCATIONS_FILE=/var/lib/$service/revocations.json" \
    Nice=10 SocketBindDeny=any NoNewPrivileges=yes CapabilityBoundingSet= ProtectSystem=strict ProtectHome=yes PrivateTmp=yes PrivateDevices=yes; do
    properties+=(--property="$property")
  done
  while [[ $1 != -- ]]; do
    properties+=(--property="$1")
    shift
  done
  # systemd expands what is in braces, the inner shell the rest
  # shellcheck disable=SC2016
  systemd-run --quiet --pipe --wait --collect "${properties[@]}" /bin/sh -c '
    for file in "$CREDENTIALS_DIRECTORY"/*; do export "$(basename "$file")=$file"; done
    exec "$@"' sh "${@:2}"
}

# in_service SERVICE COMMAND..., in_service_as_owner SERVICE COMMAND...: in the release that runs.
in_service() { _in_current in_release "$@"; }
in_service_as_owner() { _in_current in_release_as_owner "$@"; }

_in_current() {
  local release
  release=$(current_release "$2")
  "$1" "$2" "$release" "${@:3}"
}

# is_migrated SERVICE [RELEASE]
is_migrated() {
  local status
  status=$(in_release "$1" "${2:-$(current_release "$1")}" python -m chassis.migrate "$1" --status 2>/dev/null) &&
    [[ $status != *missing* ]]
}

# in_code COMMAND...: run COMMAND as root with the chassis, to make keys.
in_code() {
  (
    cd "$WWW/microservice1/current" || exit
    env -i PATH="$PWD/venv/bin:/usr/bin:/bin" LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 "$@"
  )
}

# setting_of SERVICE NAME DEFAULT: from its file of settings.
setting_of() {
  local value
  value=$(sed -n "s/^$2=\([\"']\?\)\(.*\)\1$/\2/p" "$SETTINGS/$1.env" | tail -n 1)
  printf '%s' "${value:-$3}"
}

# replace_settings SERVICE: write its file of settings from standard input; owner and mode stay.
replace_settings() {
  local file=$SETTINGS/$1.env
  cp --preserve "$file" "$file.new"
  cat >"$file.new"
  mv "$file.new" "$file"
}

# ---- keys

# publish_keys: the public ones, where every service reads them; in one step, for they are read at any time.
publish_keys() {
  install -m 0644 "$SECRETS/jwks.json" "$SETTINGS/jwks.json.new"
  mv "$SETTINGS/jwks.json.new" "$SETTINGS/jwks.json"
}

# take_new_secrets SERVICE: systemd hands out secrets when a unit starts; one that is stopped stays so.
take_new_secrets() {
  systemctl try-restart "microservice@$1.service"
  if systemctl is-active --quiet "microservice@$1.service"; then await_ready "$1"; fi
  systemctl try-restart "microservice-worker@$1.service"
}

# ---- systemd

# main_pid UNIT: its main process, 0 if there is none.
main_pid() { systemctl show --property=MainPID --value "$1"; }

# runs_this_uwsgi SERVICE: and not one that was replaced since it was started.
runs_this_uwsgi() { [[ /proc/$(main_pid "microservice@$1.service")/exe -ef $LIBRARY/uwsgi ]]; }

# units_of SERVICE: all that a service consists of, its socket first.
units_of() { printf '%s\n' "microservice@$1.socket" "microservice@$1.service" "microservice-worker@$1.service"; }

is_ready() { [[ $(http_status "$HOST_METRICS_PORT" "/api/service${1#microservice}/health/ready") == 200 ]]; }

# await_ready SERVICE: 30 s.
await_ready() { wait_until 30 is_ready "$1"; }

# check_settings SERVICE: what is refused is refused before anything is stopped.
check_settings() {
  in_service "$1" python -m chassis.settings "$1"
  check_connections "$1" "$(setting_of "$1" PROCESSES 2)"
}

# check_connections SERVICE PROCESSES: if it has so many, those of all services and workers together must fit.
# While PostgreSQL is down nobody knows.
check_connections() {
  local one connections processes needed=10 most    # some for the operator, and for backups
  most=$(as_superuser postgres --tuples-only --no-align <<<"SHOW max_connections;" 2>/dev/null | number) || return 0
  for one in "${SERVICES[@]}"; do
    connections=$(setting_of "$one" DATABASE_CONNECTIONS 3)
    processes=$(setting_of "$one" PROCESSES 2)
    if [[ $one == "$1" ]]; then processes=$2; fi
    needed=$((needed + (processes + 2) * (connections + 1)))    # one process for internal requests, and the worker
  done
  ((needed <= most)) || abort "PostgreSQL allows $most connections, and $needed could be wanted: raise max_connections in a file of your own in its conf.d, or take fewer."
}

start_service() {
  local units
  check_settings "$1"
  mapfile -t units < <(units_of "$1")
  systemctl start "${units[@]}"
  await_ready "$1"
}

stop_service() {
  local units
  mapfile -t units < <(units_of "$1")
  systemctl stop "${units[@]}"
}

# restart_service SERVICE: connections wait in its socket meanwhile.
restart_service() {
  check_settings "$1"
  systemctl restart "microservice@$1.service"
  await_ready "$1"
  restart_worker "$1"
}

# restart_worker SERVICE: fails if the new one does not start.
restart_worker() { systemctl restart "microservice-worker@$1.service"; }

all_are_ready() {
  local service
  for service in "${SERVICES[@]}"; do is_ready "$service" || return 1; done
}
