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

# chosen_settings: what the caller has chosen, in the environment.
chosen_settings() {
  local name
  for name in CURRENCY LOG_LEVEL REGISTRATION DATABASE_CONNECTIONS PROCESSES THREADS \
    MAIL_FROM PUBLIC_URL UNCONFIRMED_EMAILS_PER_DAY ORDERS_PER_MINUTE EDITS_PER_MINUTE \
    NOTIFICATIONS_KEPT_DAYS SUPPRESSED_NOTIFICATIONS_KEPT_DAYS AUDIT_KEPT_MONTHS; do
    if [[ -n ${!name:-} ]]; then setting "$name" "${!name}"; fi
  done
}

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
