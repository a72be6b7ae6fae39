# The four services: their settings, and their uWSGI and worker processes.
# shellcheck shell=bash disable=SC2153

# in_code COMMAND...: run COMMAND as the run-time user in the code folder, with the venv and nothing
# of the caller's environment.
in_code() {
  (
    cd "$CODE" || exit
    as_run_user env -i PATH="$VENV/bin:/usr/bin:/bin" HOME="$VAR" LANG=C.UTF-8 \
      PYTHONPYCACHEPREFIX="$VAR/cache/pycache" "$@"
  )
}

# in_service SERVICE COMMAND...: the same, with the settings of SERVICE.
in_service() {
  local service=$1
  shift
  # shellcheck disable=SC2016    # expanded by the inner bash
  in_code bash -c 'set -a; source "$1"; set +a; shift; exec "$@"' settings "$VAR/env/$service.env" "$@"
}

# in_service_as_owner SERVICE COMMAND...: the same, with what opens its database to the owner of its tables.
in_service_as_owner() {
  [[ -s $SECRETS/$1.owner ]] || abort "the tables of $1 have no owner yet: call scripts/up."
  in_service "$1" env DATABASE_OWNER_PASSWORD_FILE="$SECRETS/$1.owner" "${@:2}"
}

# ---- settings

# write_settings SERVICE: var/env/SERVICE.env, KEY="value" lines for bash and systemd alike.
write_settings() {
  local file=$VAR/env/$1.env settings
  settings=$(_settings_of "$1")
  _read_settings_file "$1"
  [[ $settings == "${settings_files[$1]}" ]] && return 0
  as_run_user tee "$file.new" <<<"$settings" >/dev/null
  as_run_user mv "$file.new" "$file"
  settings_files[$1]=$settings
}

_settings_of() {
  local service=$1
  setting DATABASE_URL "postgresql://$service@/$service?host=$(url_encoded "$RUN")"
  setting DATABASE_PASSWORD_FILE "$SECRETS/$service.database"
  setting SIGNING_KEY_FILE "$KEYS/$service.pem"
  setting SECRET_FILE "$SECRETS/$service.secret"
  setting JWKS_FILE "$KEYS/jwks.json"
  setting REVOCATIONS_FILE "$VAR/revocations/$service.json"
  setting INTERNAL_URL "http://127.0.0.1:$INTERNAL_PORT"
  setting PROMETHEUS_MULTIPROC_DIR "$VAR/metrics/$service"
  # glibc keeps a heap for each thread, which grows and is not given back: two for all are enough
  setting MALLOC_ARENA_MAX 2
  # and keeps the 19 MiB of each password that it has hashed, unless this limit is a fixed one
  setting MALLOC_MMAP_THRESHOLD_ 1048576
  # no limits for one customer, as there are none for an address
  setting ORDERS_PER_MINUTE ""
  setting EDITS_PER_MINUTE ""
  case $service in
    microservice2) setting IMAGES_DIR "$VAR/images" ;;
    microservice4) setting SMTP_URL "file://$(url_encoded "$VAR/mail")" ;;
  esac
  _choices_of "$service"
}

# _choices_of SERVICE: what the caller sets in the environment, and else what the service has had before. An empty
# variable brings back the default.
_choices_of() {
  local name
  local -A kept=()
  _read_kept "$1"
  for name in "${CHOICES[@]}"; do
    if [[ -n ${!name:-} ]]; then
      setting "$name" "${!name}"
    elif [[ ! -v $name && -n ${kept[$name]:-} ]]; then
      printf '%s\n' "${kept[$name]}"
    fi
  done
}

declare -A settings_files=()    # service -> its file of settings, once it was read

# read_settings_files: once for all that follows. The run-time user may put a link in place of one.
read_settings_files() {
  local service
  for service in "${SERVICES[@]}"; do _read_settings_file "$service"; done
}

_read_settings_file() {
  [[ -v settings_files[$1] ]] || settings_files[$1]=$(as_run_user cat "$VAR/env/$1.env" 2>/dev/null || true)
}

# _read_kept SERVICE: what it was started with becomes the caller's `kept`, without what is empty.
_read_kept() {
  local name
  _read_settings_file "$1"
  read_settings kept <<<"${settings_files[$1]}"
  for name in "${!kept[@]}"; do
    if [[ ${kept[$name]} == *'=""' ]]; then unset "kept[$name]"; fi
  done
}

# remembered_settings: the lines that services keep from before because the caller says nothing about them.
remembered_settings() {
  local service name line
  local -A kept services=()
  for service in "${SERVICES[@]}"; do
    kept=()
    _read_kept "$service"
    for name in "${CHOICES[@]}"; do
      if [[ ! -v $name && -v kept[$name] ]]; then services[${kept[$name]}]+=" $service"; fi
    done
  done
  for line in "${!services[@]}"; do
    if [[ ${services[$line]} == " ${SERVICES[*]}" ]]; then say "$line"; else say "$line of${services[$line]}"; fi
  done
}

# differing_settings: the variables of the caller that services run without, one sentence each.
differing_settings() {
  local service name difference
  local -A kept services=()
  for service in "${SERVICES[@]}"; do
    kept=()
    _read_kept "$service"
    for name in "${CHOICES[@]}"; do
      [[ -n ${!name:-} && $(setting "$name" "${!name}") != "${kept[$name]:-}" ]] || continue
      difference="$name is '${!name}' in your environment, but was ${kept[$name]:-the default} at the start of"
      services[$difference]+=" $service"
    done
  done
  for difference in "${!services[@]}"; do say "$difference${services[$difference]}."; done
}

# wrong_settings: what the services would refuse of the caller's variables, one sentence each.
wrong_settings() {
  local name chosen=()
  for name in "${CHOICES[@]}"; do
    if [[ -n ${!name:-} ]]; then chosen+=("$name=${!name}"); fi
  done
  ((${#chosen[@]} == 0)) || in_code env "${chosen[@]}" python -m chassis.settings 2>&1 || true
}

# ---- keys: the services read them where they are made, and again when they change

publish_keys() { :; }

take_new_secrets() { :; }

# ---- processes

service_pid() { pid_in "$RUN/$1.pid" "$1.sock"; }

worker_pid() { pid_in "$RUN/$1.worker.pid" "$1.worker"; }

# One word for all that a running service was started from: code, settings, libraries.
_version_of() {
  local service=$1
  {
    tree_hash "$CODE/chassis"
    tree_hash "$CODE/$service"
    cat "$CODE/VERSION" "$VAR/env/$service.env" "$VENV"/{uwsgi,services}.stamp
  } | hash_of
}

_started_version() { cat "$RUN/$1.version" 2>/dev/null || true; }

# is_current SERVICE: it runs, its worker too, and nothing changed since they were started.
is_current() {
  service_pid "$1" >/dev/null && worker_pid "$1" >/dev/null && [[ $(_started_version "$1") == "$(_version_of "$1")" ]]
}

start_service() {
  local service=$1
  as_run_user rm -rf "$VAR/metrics/$service"    # a dead process's figures would stay for ever
  as_run_user mkdir -p "$VAR/metrics/$service"
  start_uwsgi "$service"
  start_worker "$service"
  _version_of "$service" | as_run_user tee "$RUN/$service.version" >/dev/null
}

start_uwsgi() {
  in_service_daemon "$1" "$1" uwsgi --ini "$1/uwsgi.ini" --virtualenv "$VENV" \
    --socket "$RUN/$1.sock" --socket "$RUN/$1.internal.sock" --chmod-socket=600 --master-fifo "$RUN/$1.fifo"
}

start_worker() { in_service_daemon "$1" "$1.worker" python -m "$1.worker"; }

# in_service_daemon SERVICE NAME COMMAND...: start COMMAND detached, with log/NAME.log and run/NAME.pid.
in_service_daemon() {
  local service=$1 name=$2
  shift 2
  as_run_user rm -f "$RUN/$name.pid"
  # shellcheck disable=SC2016    # expanded by the inner bash
  without_descriptors in_service "$service" setsid --fork bash -c '
    exec </dev/null >>"$1" 2>&1
    # what it says until it logs by itself has no time
    TZ=UTC printf "{\"time\":\"%(%FT%TZ)T\",\"level\":\"info\",\"service\":null,\"name\":\"scripts\",\"message\":\"started\"}\n"
    echo $$ >"$2"
    shift 2
    exec "$@"' daemon "$VAR/log/$name.log" "$RUN/$name.pid" "$@"
  wait_until 5 test -s "$RUN/$name.pid"
}

# stop_service SERVICE: first the door, then the worker; requests in flight are answered. A uWSGI that
# is told to stop while it still loads may not hear it: 12 s, longer than any request, end that too.
stop_service() {
  local service=$1 pid
  if pid=$(service_pid "$service"); then stop_process "$service" "$pid" TERM 12; fi
  if pid=$(worker_pid "$service"); then stop_process "$service.worker" "$pid" TERM 12; fi
}

is_ready() { [[ $(http_status "$HTTP_PORT" "/api/service${1#microservice}/health/ready") == 200 ]]; }

all_are_ready() {
  local service
  for service in "${SERVICES[@]}"; do
    is_ready "$service" || return 1
  done
}

# await_ready SERVICE: 30 s; gives up at once if the process is gone.
await_ready() {
  wait_until 30 _is_ready_or_dead "$1" || true
  if ! is_ready "$1"; then
    as_run_user tail -n 20 "$VAR/log/$1.log"
    return 1
  fi
}

_is_ready_or_dead() { is_ready "$1" || ! service_pid "$1" >/dev/null; }
