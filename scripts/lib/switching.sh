# From one release of a service to another, without a lost request.
# shellcheck shell=bash disable=SC2153
#
# try_release SERVICE RELEASE: does it start in its sandbox, and answer on a socket of its own?
try_release() {
  local service=$1 release=$2 result=0
  in_release "$service" "$release" python -c "import $service.worker"
  point "$service" candidate "$release"
  systemctl restart "microservice-candidate@$service" &&
    as_user "$service" "$SYSTEM_PYTHON" - "/run/microservices/$service/candidate.sock" \
      "/api/service${service#microservice}" <"$CHECKOUT/scripts/lib/try_release.py" || result=1
  systemctl stop "microservice-candidate@$service"
  if ((result != 0)); then journalctl "$JOURNAL" --unit="microservice-candidate@$service" --since=-2min --no-pager --output=cat | tail -n 15; fi
  rm -f "$WWW/$service/candidate"
  return "$result"
}

# switch_to SERVICE RELEASE: from now on new processes are of that release.
switch_to() {
  point "$1" current "$2"
  sync --file-system "$WWW/$1"
}

# reload_service SERVICE FROM TO: bring its processes to what `current` leads to.
# One uWSGI worker after the other, so that nobody waits; the settings of uWSGI are read by its master
# only, and its libraries are in the master's memory, so if they differ it is started anew, while connections
# wait in the sockets. So is one that is down, or runs a uWSGI that was replaced.
reload_service() {
  if is_ready "$1" && _same_in_the_master "$1" "$2" "$3" && runs_this_uwsgi "$1"; then
    chain_reload "$1"
  else
    systemctl restart "microservice@$1.service"
  fi
}

_same_in_the_master() {
  local file
  for file in chassis/uwsgi.ini chassis/preload.py "$1/uwsgi.ini" "requirements/$1.txt"; do
    cmp -s "$WWW/$1/releases/$2/$file" "$WWW/$1/releases/$3/$file" || return 1
  done
}

# chain_reload SERVICE: each worker ends its requests and makes room for a new one. 2 minutes.
# uWSGI does not hear of a second chain while the last worker of the first one still loads: ask again.
chain_reload() {
  local master workers tries=24
  master=$(main_pid "microservice@$1.service")
  workers=$(_children_of "$master")
  _ask_for_chain "$1"
  until wait_until 5 _are_replaced "$master" "$workers"; do
    ((tries-- > 0)) || return 1
    _ask_for_chain "$1"
  done
  [[ $(main_pid "microservice@$1.service") == "$master" ]]
}

# shellcheck disable=SC2016    # expanded by the inner shell
_ask_for_chain() { as_user "$1" timeout 5 sh -c 'echo c >"$0"' "/run/microservices/$1/fifo"; }

_children_of() { cat "/proc/$1/task/"*/children 2>/dev/null || true; }

# _are_replaced MASTER WORKERS: none of these is left; or the master is gone, which is no success. It is asked
# often, beside processes that load: so without a process of its own.
_are_replaced() {
  local worker parent
  for worker in $2; do
    read -r _ _ _ parent _ 2>/dev/null <"/proc/$worker/stat" || continue
    [[ $parent != "$1" ]] || return 1
  done
}

# go_back SERVICE RELEASE: at once, since what runs is bad: all its processes end, connections wait.
go_back() {
  switch_to "$1" "$2"
  systemctl restart "microservice@$1.service"
  await_ready "$1"
  restart_worker "$1"
  rm -f "$WWW/$1/proven"
}
