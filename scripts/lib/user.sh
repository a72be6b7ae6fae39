# Who runs the stack, and the folders it lives in.
# shellcheck shell=bash disable=SC2034,SC2153
#
# Root never runs a service: what root starts runs as the system user `quartet`. What that user cannot
# reach (a checkout under /root) is kept under /var/lib/quartet, and a link stands in its place.

readonly STATE_HOME=/var/lib/quartet
readonly SYSTEM_USER=quartet
readonly SOCKET_PATH_LIMIT=107    # bytes, of a unix socket's whole path
readonly LONGEST_SOCKET_NAME=/run/microservice1.internal.sock

if ((EUID == 0)); then RUN_USER=$SYSTEM_USER; else RUN_USER=$(id -un); fi
readonly RUN_USER

# The real folders; open_folders sets them once they exist.
VENV=$CHECKOUT/.venv
RUN=$VAR/run
SECRETS=$VAR/secrets
KEYS=$VAR/keys
CODE=$CHECKOUT

# as_run_user COMMAND...: run COMMAND without root's rights.
as_run_user() {
  if ((EUID == 0)); then
    setpriv --reuid="$RUN_USER" --regid="$RUN_USER" --init-groups --no-new-privs -- "$@"
  else
    "$@"
  fi
}

make_run_user() {
  ((EUID == 0)) || return 0
  getent passwd "$SYSTEM_USER" >/dev/null && return 0
  useradd --system --user-group --home-dir "$STATE_HOME" --no-create-home --shell /usr/sbin/nologin "$SYSTEM_USER"
}

can_reach() { as_run_user test -r "$1" -a -x "$1" 2>/dev/null; }

# The run-time user reads the code where it is, or a copy of it under var/.
code_is_readable() { can_reach "$CHECKOUT" && can_reach "$CHECKOUT/scripts" && as_run_user test -r "$CHECKOUT/scripts/up"; }

# /root/shop/var -> /var/lib/quartet/shop-1a2b3c4d5e/var
state_folder() {
  local parent name
  parent=$(dirname "$1")
  name=$(basename "$1")
  printf '%s/%s-%s/%s' "$STATE_HOME" "$(basename "$parent" | tr -c 'A-Za-z0-9._\n-' _)" "$(hash_of <<<"$parent")" "${name#.}"
}

# link_to_state PATH: make PATH a link to a folder that the run-time user can reach.
link_to_state() {
  local path=$1 target
  target=$(state_folder "$path")
  [[ ! -e $path || -L $path ]] ||
    abort "user $RUN_USER cannot reach $path. Move it away (it may hold data), and call ${0##*/} again."
  mkdir -p "$target"
  ln -sfnT "$target" "$path"
}

# find_state: set VAR to the real folder; if somebody has deleted the link to it, the link is made again.
find_state() {
  local state
  state=$(state_folder "$VAR_NAME")
  if ((EUID == 0)) && [[ ! -e $VAR_NAME && -d $state && -d $(dirname "$VAR_NAME") ]]; then ln -sfnT "$state" "$VAR_NAME"; fi
  VAR=$(realpath --canonicalize-missing "$VAR_NAME")
}

_make_var() {
  local parent owner
  parent=$(dirname "$VAR_NAME")
  mkdir -p "$parent"
  if ((EUID == 0)) && ! can_reach "$parent"; then
    link_to_state "$VAR_NAME"
  fi
  mkdir -p "$VAR_NAME"
  VAR=$(readlink -f "$VAR_NAME")

  owner=$(stat -c %U "$VAR")
  if [[ $owner == root && $RUN_USER != root ]] && ((EUID == 0)); then
    chown "$RUN_USER:" "$VAR"
  elif [[ $owner != "$RUN_USER" ]]; then
    abort "$VAR belongs to user $owner: call ${0##*/} as that user, or choose another folder with QUARTET_VAR."
  fi
}

short_run() {
  if ((EUID == 0)); then printf '/run/quartet-'; else printf '/tmp/quartet-%s-' "$EUID"; fi
  hash_of <<<"$VAR"
}

# A short folder for sockets, of the run-time user alone. Under /tmp somebody else may have made it first.
_make_short_run() {
  local folder
  folder=$(short_run)
  mkdir -m 0700 "$folder" 2>/dev/null || true
  if ((EUID == 0)) && [[ ! -L $folder ]]; then chown "$RUN_USER:" "$folder"; fi
  if [[ -L $folder || ! -d $folder || $(stat -c '%U %a' "$folder") != "$RUN_USER 700" ]]; then
    abort "$folder is not a folder of user $RUN_USER with mode 700, so sockets in it would not be safe. Remove it, or choose another QUARTET_VAR."
  fi
  as_run_user ln -sfnT "$folder" "$VAR/run"
}

_make_run() {
  local path
  path=$VAR$LONGEST_SOCKET_NAME
  if ((${#path} > SOCKET_PATH_LIMIT)) || [[ $path == *[!A-Za-z0-9/._-]* ]]; then
    _make_short_run
  else
    as_run_user mkdir -p -m 0700 "$VAR/run"
  fi
}

# make_folders: the folders of this stack, owned by the run-time user.
make_folders() {
  make_run_user
  _make_var
  _make_run
  as_run_user mkdir -p -m 0700 "$VAR"/{keys,secrets,env,mail}
  as_run_user mkdir -p "$VAR"/{log,cache,metrics,nginx,images,revocations}
  open_folders
}

# open_folders: where things really are. Fails if this user may not look.
open_folders() {
  VAR=$(readlink -f "$VAR_NAME")
  if code_is_readable; then CODE=$CHECKOUT; else CODE=$VAR/code; fi
  RUN=$(readlink -f "$VAR/run")
  SECRETS=$VAR/secrets
  KEYS=$VAR/keys
  if [[ -d $VAR/run && ! -x $VAR/run ]]; then
    abort "$VAR belongs to user $(stat -c %U "$VAR"): call ${0##*/} as that user or as root."
  fi
}

# Copy the code to where the run-time user can read it, package by package; what did not change stays.
sync_code() {
  [[ $CODE != "$CHECKOUT" ]] || return 0
  as_run_user mkdir -p "$CODE"
  local package
  for package in chassis "${SERVICES[@]}"; do
    [[ $(tree_hash "$CHECKOUT/$package") == "$(tree_hash "$CODE/$package")" ]] && continue
    as_run_user rm -rf "${CODE:?}/$package"
    tar -C "$CHECKOUT" --exclude=__pycache__ -cf - "$package" | as_run_user tar -C "$CODE" --no-same-owner -xf -
  done
  as_run_user tee "$CODE/VERSION" <"$CHECKOUT/VERSION" >/dev/null
}
