# The four services: commands in their place, and their uWSGI and worker processes.
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
