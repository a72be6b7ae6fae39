# The settings of the services of a stack: each runs from var/env/SERVICE.env, which is also what the stack remembers.
# shellcheck shell=bash disable=SC2153

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
