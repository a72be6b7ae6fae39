# Generated secrets: one file each, made once, readable by their keeper alone, never printed.
# shellcheck shell=bash disable=SC2153
#
# In the folders SECRETS and KEYS; as_run_user is the keeper: the run-time user of a stack, root on a host.

# make_secret NAME: 32 random bytes in the file of that name, unless it is there already.
make_secret() {
  local file=$SECRETS/$1
  [[ -s $file ]] && return 0
  # shellcheck disable=SC2016    # expanded by the inner bash
  as_run_user bash -c 'umask 077; head -c 32 /dev/urandom | base64 -w 0 | tr "+/" "-_" | tr -d "=" >"$1.new" && mv "$1.new" "$1"' _ "$file"
}

# make_service_secrets: what each service derives fingerprints and cursors from. Whoever replaces one makes
# conflicts of requests that come again, so no script does.
make_service_secrets() {
  local service
  for service in "${SERVICES[@]}"; do make_secret "$service.secret"; done
}

service_secrets_are_made() {
  local service
  for service in "${SERVICES[@]}"; do [[ -s $SECRETS/$service.secret ]] || return 1; done
}

# with_keys STEP SERVICE...: ensure, announce, switch, retire or list, as chassis/keys.py explains.
with_keys() { in_code python -m chassis.keys "$1" "$KEYS" "${@:2}"; }

# make_keys: a signing key for each service, and the public keys of all.
make_keys() { with_keys ensure "${SERVICES[@]}"; }

keys_are_made() {
  local service
  [[ -s $KEYS/jwks.json ]] || return 1
  for service in "${SERVICES[@]}"; do
    [[ -s $KEYS/$service.pem ]] || return 1
  done
}
