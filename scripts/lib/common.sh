# What every script shares: strict mode, help, messages, the settings of a stack, its folders.
# shellcheck shell=bash disable=SC2034    # most of it is used by the scripts that source this

set -euo pipefail
shopt -s inherit_errexit
umask 022
export LC_ALL=C.UTF-8
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin    # a normal user's PATH lacks the folders of nginx

CHECKOUT=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")
VAR_NAME=$(realpath --no-symlinks --canonicalize-missing "${QUARTET_VAR:-$CHECKOUT/var}")
VAR=$VAR_NAME    # its real place once it is open: the name may be a link (see user.sh)
SYSTEM_PYTHON=/usr/bin/python3    # not a Python under somebody's home, which others may not read
LOCK_WAIT_SECONDS=${QUARTET_LOCK_WAIT_SECONDS:-600}    # longer than a deployment takes
SERVICES=(microservice1 microservice2 microservice3 microservice4)
readonly CHECKOUT VAR_NAME SYSTEM_PYTHON LOCK_WAIT_SECONDS SERVICES

# ---- messages

# Characters that command a terminal or reorder a text. Messages repeat what others have written.
readonly UNPRINTABLE=$'[\x01-\x08\x0b-\x1f\x7f\u0080-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]'

say() { printf '%s\n' "${*//$UNPRINTABLE/?}"; }

warn() { printf '%s\n' "${*//$UNPRINTABLE/?}" >&2; }

# printable COMMAND...: run COMMAND, and print what it says so that it cannot command a terminal.
printable() {
  if [[ -x $SYSTEM_PYTHON ]]; then
    "$SYSTEM_PYTHON" "$CHECKOUT/scripts/lib/printable.py" "$@"
  else
    "$@" | cat --show-nonprinting    # which escapes letters beyond ASCII, too
  fi
}

abort() {
  warn "${0##*/}: $*"
  exit 1
}

# The header comment of a script is its help.
usage() { sed -n '2,/^$/{s/^# \{0,1\}//;p}' "$0"; }

help_if_asked() {
  if [[ ${1:-} == --help || ${1:-} == -h ]]; then
    usage
    exit 0
  fi
}

misused() {
  warn "${0##*/}: $*"
  warn "See ${0##*/} --help"
  exit 2
}

# ---- steps: one line each with its time, the log's end if it fails

seconds_since() {
  local start=$1 now=${EPOCHREALTIME/[.,]/}
  local tenths=$(((now - start) / 100000))
  printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

now() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

# step TITLE HINT COMMAND...: run COMMAND with its output in a log; HINT says what to do if it fails.
step() {
  local title=$1 hint=$2 start log outcome
  shift 2
  start=$(now)
  log=$(mktemp "${TMPDIR:-/tmp}/quartet-step.XXXXXX")
  if [[ -t 1 ]]; then printf '\r\e[K          %s ...' "$title"; fi
  attempt "$@" >"$log" 2>&1
  if ((outcome == 0)); then
    if [[ -t 1 ]]; then printf '\r\e[K'; fi
    printf '%8s  %s\n' "$(seconds_since "$start")" "$title"
    rm -f "$log"
  else
    step_failed "$title" "$hint" "$log" "$(seconds_since "$start")"
    rm -f "$log"
    return 1
  fi
}

# long_step USUALLY TITLE HINT COMMAND...: a step that takes longer than one likes to look at nothing. USUALLY says how
# long, as "half a minute".
long_step() {
  local ticker outcome
  say "          $2: this takes $1"
  _tick "$2" & ticker=$!
  attempt step "${@:2}"
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  return "$outcome"
}

# A terminal shows the seconds; a log gets a line each half minute.
_tick() {
  local title=$1 start pause=30 never
  start=$(now)
  if [[ -t 1 ]]; then pause=1; fi
  exec {never}<> <(:)    # a wait without a child
  while true; do
    read -r -t "$pause" -u "$never" || true
    if [[ -t 1 ]]; then
      printf '\r\e[K%8s  %s ...' "$(seconds_since "$start")" "$title"
    else
      say "          ... $(seconds_since "$start")"
    fi
  done
}

# attempt COMMAND...: run COMMAND, and leave in `outcome` how it ended. In a condition, bash would go on
# after a command that fails, inside of it too; and while it waits for one in the foreground it hears no signal.
attempt() {
  set +e
  (
    set -e
    "$@"
  ) <&0 &
  wait $!
  outcome=$?
  set -e
}

step_failed() {
  local title=$1 hint=$2 log=$3 time=$4
  {
    if [[ -t 2 ]]; then printf '\r\e[K'; fi
    printf '%8s  %s: FAILED\n' "$time" "$title"
    { printable tail -n 20 "$log"; _full_disks; } | sed 's/^/            | /'
    printf '          What to do: %s\n' "$hint"
  } >&2
}

# _full_disks: a program that could not write may not have been able to say so either.
_full_disks() {
  local free place
  df --output=avail,target --block-size=1K "${TMPDIR:-/tmp}" "$VAR" "$CHECKOUT" 2>/dev/null | tail -n +2 | sort -u |
    while read -r free place; do
      if ((free < 1024)); then say "The disk at $place is full."; fi
    done || true    # df's, of a folder that is not there yet
}

# together PID...: wait for steps that run side by side; fail if any of them failed.
together() {
  local pid failed=0
  for pid in "$@"; do
    wait "$pid" || failed=1
  done
  ((failed == 0)) || exit 1
}

# Ctrl-C, or the end of a terminal, ends what a script has started and is not finished.
trap '_end_children; when_interrupted; exit 130' INT TERM HUP

# when_interrupted: what a script has to say then.
when_interrupted() { :; }

_end_children() {
  trap '' INT TERM HUP
  local pids
  pids=$(tree_of $$ | tail -n +2)
  # shellcheck disable=SC2086    # one word a pid
  kill $pids 2>/dev/null || true
}

# tree_of PID: PID and all its descendants.
tree_of() {
  local pid=$1 child children
  [[ -d /proc/$pid ]] || return 0
  printf '%s\n' "$pid"
  children=$(cat "/proc/$pid/task/"*/children 2>/dev/null) || return 0
  for child in $children; do tree_of "$child"; done
}

# ---- small things

hash_of() { sha256sum | cut -c1-10; }

# One word for the content of a folder.
tree_hash() {
  [[ -d $1 ]] || return 0
  (cd "$1" && find . -name __pycache__ -prune -o -type f -print0 | sort -z | xargs -0 -r sha256sum) | hash_of
}

# is_installed: has scripts/install made a host of this machine?
is_installed() { [[ -e /usr/local/lib/systemd/system/microservices.target ]]; }

# acts_on_host: start, stop, restart, status, logs, token and dead-letters act on the installed host,
# unless QUARTET_VAR names a stack.
acts_on_host() { [[ -z ${QUARTET_VAR:-} ]] && is_installed; }

readonly TITLES=(users products orders notifications)    # of SERVICES, in their order

# service_called NAME: microservice3 for `microservice3`, `service3` and `orders`; fails for another name.
service_called() {
  local i
  for i in "${!SERVICES[@]}"; do
    case $1 in
      "${SERVICES[i]}" | "${SERVICES[i]#micro}" | "${TITLES[i]}") printf '%s\n' "${SERVICES[i]}" && return 0 ;;
    esac
  done
  return 1
}

title_of() {
  local number=${1#microservice}
  printf '%s' "${TITLES[number - 1]}"
}

# service_named NAME: the same; refuses another name, and tells all there are.
service_named() {
  [[ -n $1 ]] || misused "which service? There are $(service_names)."
  service_called "$1" || misused "no service is called $1. There are $(service_names)."
}

# service_names: all of them, for messages.
service_names() {
  local i names=()
  for i in "${!SERVICES[@]}"; do names+=("${SERVICES[i]} (${TITLES[i]}),"); done
  printf '%s' "${names[*]}" | sed 's/,$//'
}

# services_named ARGUMENT...: the services that the arguments name, else all services, one a line.
services_named() {
  local name
  (($# > 0)) || set -- "${SERVICES[@]}"
  for name in "$@"; do service_named "$name"; done
}

# ---- locks
#
# Any user who can open a file can hold a lock on it, for ever. So the lock files lie in a folder that only
# the caller can enter, and every wait for a lock has a limit.

readonly LONGEST_LOCK_NAME=200    # a file's name has 255 bytes at most

# lock_file NAME: print the path of the lock file for NAME, which is a path. The file need not exist.
lock_file() {
  local folder=/run/quartet-locks name=${1#/}
  ((EUID == 0)) || folder=/tmp/quartet-$EUID-locks    # another user may have made that folder first
  mkdir -m 0700 "$folder" 2>/dev/null || true
  [[ ! -L $folder && $(stat -c '%u %a' "$folder") == "$EUID 700" ]] ||
    abort "$folder must be a folder of user $(id -un) with mode 700, because locks lie in it. Remove it, and call ${0##*/} again."
  name=${name//\//-}
  if ((${#name} > LONGEST_LOCK_NAME)); then name=$(hash_of <<<"$name"); fi
  printf '%s/%s.lock' "$folder" "$name"
}

# await_lock FILE NAME: wait until the lock is free. Abort after LOCK_WAIT_SECONDS, and name the holder.
await_lock() {
  local file=$1 name=$2
  flock --nonblock "$file" true && return 0
  warn "Something else is changing $name: waiting up to $LOCK_WAIT_SECONDS s for it to end."
  flock --timeout "$LOCK_WAIT_SECONDS" "$file" true ||
    abort "$name is still being changed by process $(_lock_holder "$file"). Wait for that process, or end it; then call ${0##*/} again."
}

# The process that holds the lock, with its command line.
_lock_holder() {
  local pid
  pid=$(awk -v inode="$(stat -c %i "$1")" '$2 == "FLOCK" && $6 ~ ":" inode "$" {print $5; exit}' /proc/locks)
  printf '%s (%s)' "${pid:-(unknown)}" "$(tr '\0' ' ' <"/proc/${pid:-0}/cmdline" 2>/dev/null)"
}

# one_at_a_time_in FOLDER ARGUMENT...: run this script again under the lock of FOLDER, so that no two scripts
# change FOLDER at once. Scripts that this one calls inherit its locks. Ending flock, the process that the
# calling shell knows, ends the script.
one_at_a_time_in() {
  local file
  [[ ${QUARTET_LOCKED:-}: != *:"$1":* ]] || return 0
  [[ -d $1 ]] || abort "there is no folder $1"
  file=$(lock_file "$1")
  await_lock "$file" "$1"
  QUARTET_LOCKED=${QUARTET_LOCKED:-}:$1 exec flock --close --timeout "$LOCK_WAIT_SECONDS" "$file" \
    setpriv --pdeathsig TERM "$0" "${@:2}"
}

# end_if_dry SENTENCE: instead of the first change; dry_run is the caller's.
# shellcheck disable=SC2154
end_if_dry() {
  $dry_run || return 0
  say "Dry run: $*; nothing was changed."
  exit 0
}

# http_status PORT PATH: the status of a GET on loopback, 000 if there is no answer.
http_status() {
  local status=000
  {
    _get "$2" >&3
    read -r -t 9 _ status _ <&3 || true
  } 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || true
  printf '%s' "${status:-000}"
}

# http_answer PORT PATH: the answer with its headers; nothing if there is none.
http_answer() {
  {
    _get "$2" >&3
    timeout 9 cat <&3
  } 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || true
}

_get() { printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1"; }

# number: standard input if that is a whole number, else nothing, and a failure. Bash evaluates a text as
# arithmetic where it wants a number, so what a database or a service has said must be one before that.
number() { grep -xE '0|[1-9][0-9]{0,14}'; }

# wait_until SECONDS COMMAND...: try COMMAND until it succeeds or the time is up.
wait_until() {
  local deadline=$(($(now) + $1 * 1000000))
  shift
  until "$@"; do
    (($(now) < deadline)) || return 1
    sleep 0.05
  done
}
