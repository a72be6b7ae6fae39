# A whole stack: what scripts/up, down, restart, status, logs and token have in common.
# shellcheck shell=bash disable=SC2034

source "$CHECKOUT/scripts/lib/user.sh"
source "$CHECKOUT/scripts/lib/processes.sh"
source "$CHECKOUT/scripts/lib/packages.sh"
source "$CHECKOUT/scripts/lib/python.sh"
source "$CHECKOUT/scripts/lib/secrets.sh"
source "$CHECKOUT/scripts/lib/databases.sh"
source "$CHECKOUT/scripts/lib/postgres.sh"
source "$CHECKOUT/scripts/lib/settings.sh"
source "$CHECKOUT/scripts/lib/commands.sh"
source "$CHECKOUT/scripts/lib/services.sh"
source "$CHECKOUT/scripts/lib/stack_settings.sh"
source "$CHECKOUT/scripts/lib/nginx.sh"
source "$CHECKOUT/scripts/lib/ports.sh"

one_at_a_time() { one_at_a_time_in "$VAR/log" "$@"; }

# alone_with SERVICES ARGUMENT...: as on a host, where each service has a lock of its own.
alone_with() { one_at_a_time "${@:2}"; }

# open_stack: find the folders of a stack that scripts/up has made.
open_stack() {
  [[ -d $VAR/run || -L $VAR/run ]] || abort "there is no stack in $VAR yet: call scripts/up."
  open_folders
  find_ports
  find_venv
}

# end_what_lost_its_folder: processes that go on though var/ was deleted under them. They hold the ports.
end_what_lost_its_folder() {
  local pids
  pids=$(orphan_pids)
  [[ -n $pids ]] || return 0
  step "$VAR_NAME was deleted while its stack ran: processes that are still there ended ($(wc -l <<<"$pids"))" \
    "see ps -f $(paste -sd ' ' <<<"$pids")" end_orphans
}

# refuse_if TEXT: abort with what is wrong, one line each, unless there is none.
refuse_if() { [[ -z $1 ]] || abort "nothing was started or stopped, because settings are wrong:"$'\n'"  ${1//$'\n'/$'\n'  }"; }

# restart_service SERVICE: with the code, the settings and the migrations as they are now.
restart_service() {
  local wrong
  sync_code
  wrong=$(wrong_settings)
  refuse_if "$wrong"
  write_settings "$1"
  migrate "$1"
  stop_service "$1"
  start_service "$1"
  await_ready "$1"
}

require_place() {
  local difference
  open_stack
  differing_settings | while read -r difference; do warn "${0##*/}: $difference scripts/up changes it."; done
}

# running_versions: the version of the code that runs, as on a host, where releases can have several.
running_versions() { cat "$CODE/VERSION" 2>/dev/null || true; }

# log_files PART: nginx, postgres, a service, or "" for all.
log_files() {
  case $1 in
    '') printf '%s\n' "$VAR"/log/*.log ;;
    nginx) printf '%s\n' "$VAR"/log/{nginx,access}.log ;;
    postgres) printf '%s\n' "$VAR/log/postgres.log" ;;
    *) printf '%s\n' "$VAR/log/$1.log" "$VAR/log/$1.worker.log" ;;
  esac
}

# all_logs: every line that is kept, on standard output.
all_logs() { as_run_user cat -- "$VAR"/log/*.log*; }

# keeper_of PART: the user that writes its log files, who may put a link in place of one.
keeper_of() { printf '%s\n' "$RUN_USER"; }

# require_running: open the stack, with its database and its front door.
require_running() {
  open_stack
  { postgres_pid && nginx_pid; } >/dev/null || abort "the stack is not up: call scripts/up."
}
