# Files of settings: KEY="value" lines, for bash and systemd alike.
# shellcheck shell=bash

# setting NAME VALUE: one such line.
setting() {
  local value=$2
  value=${value//\\/\\\\}
  value=${value//\"/\\\"}
  value=${value//\$/\\\$}
  value=${value//\`/\\\`}
  printf '%s="%s"\n' "$1" "$value"
}

# What an operator chooses, as in _choices of chassis/settings.py.
readonly CHOICES=(CURRENCY LOG_LEVEL REGISTRATION DATABASE_CONNECTIONS PROCESSES THREADS MAIL_FROM PUBLIC_URL CORS_ORIGINS
  UNCONFIRMED_EMAILS_PER_DAY ORDERS_PER_MINUTE EDITS_PER_MINUTE NOTIFICATIONS_KEPT_DAYS
  SUPPRESSED_NOTIFICATIONS_KEPT_DAYS AUDIT_KEPT_MONTHS)

# chosen_settings: what the caller has chosen, in the environment.
chosen_settings() {
  local name
  for name in "${CHOICES[@]}"; do
    if [[ -n ${!name:-} ]]; then setting "$name" "${!name}"; fi
  done
}

# read_settings ARRAY: a file of settings on standard input becomes an associative array, name -> its line. The last
# line of a name counts. The lines are not evaluated.
read_settings() {
  local -n _read=$1
  local line
  while IFS= read -r line; do
    if [[ $line == [A-Z]*=* ]]; then _read[${line%%=*}]=$line; fi
  done
}

# with_origins ORIGINS: nginx/conf.d/cors.conf on standard input, with the origins of the setting CORS_ORIGINS.
with_origins() {
  local origins origin line
  IFS=', ' read -r -a origins <<<"$1"
  for origin in "${origins[@]}"; do
    [[ $origin =~ $ORIGIN ]] || abort "CORS_ORIGINS must be like https://shop.example, without a path, several with a comma between; it has '$origin'."
  done
  while IFS= read -r line; do
    printf '%s\n' "$line"
    ((${#origins[@]})) || continue
    # shellcheck disable=SC2016    # variables of Nginx
    case $line in
      'map $http_origin '*) printf '    "%s" $http_origin;\n' "${origins[@]}" ;;
      'map "" $quartet_vary '*) printf '    "" Origin;\n' ;;
    esac
  done
}
readonly ORIGIN='^https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?$'

url_encoded() {
  local LC_ALL=C text=$1 i character byte
  for ((i = 0; i < ${#text}; i++)); do
    character=${text:i:1}
    case $character in
      [A-Za-z0-9._~/-]) printf '%s' "$character" ;;
      *)
        printf -v byte '%d' "'$character"
        printf '%%%02X' $((byte & 255))
        ;;
    esac
  done
}
