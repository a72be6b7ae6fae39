# The parts of a host, each with a pair of functions: has_X succeeds if nothing is to be done, make_X
# does it, and may be repeated at any time.
# shellcheck shell=bash disable=SC2153

# ---- what the machine must be before anything is done

# problems: what only the operator can mend, one sentence a line.
problems() {
  local port
  ((EUID == 0)) || echo "call it as root: sudo scripts/${0##*/}"
  type -P apt-get >/dev/null || echo "this is neither Debian nor Ubuntu: there is no apt-get"
  if [[ ! -d /run/systemd/system ]]; then
    echo "systemd does not run this machine; scripts/up needs none"
  elif (($(systemctl --version | awk 'NR == 1 {print $2}') < 250)); then
    echo "this systemd is too old: 250 is needed, Debian 12 has it"
  fi
  type -P git >/dev/null || echo "git is missing: apt-get install git"
  _git rev-parse --quiet --verify HEAD >/dev/null 2>&1 || echo "$CHECKOUT is no git checkout with a commit: releases are built from commits"
  (($(df --output=avail --block-size=1M "$CHECKOUT" /opt /usr /var 2>/dev/null | tail -n +2 | sort -n | head -n 1) > 1500)) ||
    echo "less than 1.5 GB of disk are free"
  for port in 80 "$HOST_METRICS_PORT"; do
    if port_is_taken "$port" && ! _is_nginx_on "$port"; then echo "port $port is taken by another program than Nginx: see ss -ltnp"; fi
  done
}

# Who listens is told to root alone; that Nginx does is enough, or systemd, which holds the port of the metrics.
_is_nginx_on() { ss -Hltnp "sport = :$1" 2>/dev/null | grep -qE '"(nginx|systemd)"'; }

# ---- packages

has_packages() { [[ -z $(missing_packages; _missing_on_a_host; _half_installed) ]]; }

# What apt has not come to the end of: someone ended it, or the power did.
_half_installed() {
  dpkg-query --show --showformat='${binary:Package} ${db:Status-Status}\n' | grep -E ' (unpacked|half-)' || true
  grep -ls 'Made by quartet' /usr/sbin/policy-rc.d || true
}

_missing_on_a_host() {
  type -P logrotate >/dev/null || [[ -x /usr/sbin/logrotate ]] || echo logrotate
  type -P ss >/dev/null || echo iproute2
  type -P pgbackrest >/dev/null || echo pgbackrest
  type -P age >/dev/null || echo age
  type -P rsync >/dev/null || echo rsync
}

make_packages() {
  local missing
  mapfile -t missing < <(missing_packages; _missing_on_a_host)
  install_packages "${missing[@]}"
}

# ---- users and folders

has_users() {
  local service
  for service in "${SERVICES[@]}"; do
    getent passwd "$service" >/dev/null && [[ -d $WWW/$service/releases ]] || return 1
  done
  getent group "$INTERNAL_GROUP" >/dev/null && [[ -d $SECRETS ]]
}

make_users() {
  local service
  getent group "$INTERNAL_GROUP" >/dev/null || groupadd --system "$INTERNAL_GROUP"
  for service in "${SERVICES[@]}"; do
    getent passwd "$service" >/dev/null ||
      useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin "$service"
    mkdir -p "$WWW/$service/releases"
  done
  mkdir -p "$LIBRARY" "$SECRETS"
  chmod 0700 "$SECRETS"
}

# ---- uWSGI, and a first release of each service

has_software() {
  local service
  _has_own_uwsgi && _has_importer || return 1
  for service in "${SERVICES[@]}"; do is_for_this_python "$service" "$(current_release "$service")" || return 1; done
}

make_software() {
  local service steps=()
  _make_venv
  _install_build_packages
  if ! _has_own_uwsgi; then
    _make_uwsgi & steps+=($!)
  fi
  for service in "${SERVICES[@]}"; do _make_release "$service"; done
  _has_importer || _make_importer
  together "${steps[@]}"
}

_has_importer() { [[ $(cat "$IMPORTER/stamp" 2>/dev/null) == "$(_made_from "$IMPORTER_LOCK")" ]]; }

_make_importer() {
  rm -rf "$IMPORTER.new"
  make_locked_venv "$IMPORTER.new" "$IMPORTER_LOCK"
  rm -rf "$IMPORTER"
  mv -T "$IMPORTER.new" "$IMPORTER"
}

_has_own_uwsgi() { has_uwsgi && [[ -x $LIBRARY/uwsgi ]] && is_hardened "$LIBRARY/uwsgi"; }

_make_uwsgi() {
  _compile_uwsgi
  _install_uwsgi
  install -m 0755 "$VENV/bin/uwsgi" "$LIBRARY/uwsgi.new"
  mv "$LIBRARY/uwsgi.new" "$LIBRARY/uwsgi"
}

# The first, or the one that runs, for another Python.
_make_release() {
  local release
  release=$(current_release "$1")
  if [[ -n $release ]]; then
    build_release "$1" "${release##*-}" "$release"
  else
    release=$(release_of HEAD)
    build_release "$1" HEAD "$release"
    point "$1" current "$release"
    record_deployment "$1" installed "$release"
  fi
}

# ---- secrets and settings

has_secrets() {
  [[ -s $SECRETS/admin.password ]] && service_secrets_are_made && keys_are_made && cmp -s "$SECRETS/jwks.json" "$SETTINGS/jwks.json"
}

make_secrets() {
  make_service_secrets
  make_secret admin.password
  keys_are_made || make_keys
  publish_keys
}

has_settings() {
  local service
  for service in "${SERVICES[@]}"; do
    [[ -s $SETTINGS/$service.env ]] && ! grep -q "$OLD_INTERNAL_URL" "$SETTINGS/$service.env" &&
      [[ $(_completed "$service" <"$SETTINGS/$service.env") == "$(<"$SETTINGS/$service.env")" ]] || return 1
  done
}

# What an installation wrote before the internal listener was a unix socket.
readonly OLD_INTERNAL_URL='^INTERNAL_URL="http://127\.0\.0\.1:8081"$'

# The values in a file that exists are the operator's, and stay. Settings that are new are added as comments.
make_settings() {
  local service settings
  for service in "${SERVICES[@]}"; do
    [[ -s $SETTINGS/$service.env ]] || write_settings "$service"
    sed -i "s|$OLD_INTERNAL_URL|$(setting INTERNAL_URL "$HOST_INTERNAL_URL")|" "$SETTINGS/$service.env"
    settings=$(_completed "$service" <"$SETTINGS/$service.env")
    replace_settings "$service" <<<"$settings"
  done
}

# _completed SERVICE: the file of settings on standard input, with each setting that may be chosen and its default.
_completed() (
  cd "$CHECKOUT" || exit
  "$SYSTEM_PYTHON" -B -m chassis.settings_file "$1"
)

# write_settings SERVICE: with what the caller has chosen.
write_settings() {
  local file=$SETTINGS/$1.env
  (umask 077 && _first_settings "$1" >"$file.new")
  chown "root:$1" "$file.new"
  chmod 0640 "$file.new"
  mv "$file.new" "$file"
}

_first_settings() {
  echo "# Settings of $1. After a change: scripts/restart $1"
  echo "# scripts/install writes the lines that begin with ##; a setting behind # has its default."
  setting DATABASE_URL "postgresql://$1@/$1?host=/run/postgresql&port=$(_cluster_port)"
  setting JWKS_FILE "$SETTINGS/jwks.json"
  setting INTERNAL_URL "$HOST_INTERNAL_URL"
  # glibc keeps a heap for each thread, which grows and is not given back: two for all are enough
  setting MALLOC_ARENA_MAX 2
  # and keeps the 19 MiB of each password that it has hashed, unless this limit is a fixed one
  setting MALLOC_MMAP_THRESHOLD_ 1048576
  case $1 in
    microservice2) setting IMAGES_DIR "$IMAGES" ;;
    microservice4) setting SMTP_URL "${SMTP_URL:-file://$MAIL}" ;;
  esac
  chosen_settings
}

# Debian's first cluster has 5432; another one may be there already.
_cluster_port() { postgres_port 2>/dev/null || echo 5432; }

# ---- units

unit_files() { (cd "$CHECKOUT/systemd" && find -- */* *.{service,socket,target,timer} ! -type d) | sort; }

# What belongs to the units: a file of systemd/, and where it goes.
declare -rA CONFIGURATION=(
  [tmpfiles.conf]=/etc/tmpfiles.d/quartet.conf
  [journald.conf]=/etc/systemd/journald@quartet.conf
  [logrotate.conf]=$LIBRARY/logrotate.conf
)

has_units() {
  local unit file
  for file in "${!CONFIGURATION[@]}"; do
    cmp -s "$CHECKOUT/systemd/$file" "${CONFIGURATION[$file]}" || return 1
  done
  for unit in $(unit_files); do
    cmp -s "$CHECKOUT/systemd/$unit" "$UNITS/$unit" || return 1
  done
}

make_units() {
  local unit file
  for file in "${!CONFIGURATION[@]}"; do
    install -D -m 0644 "$CHECKOUT/systemd/$file" "${CONFIGURATION[$file]}"
  done
  for unit in $(unit_files); do
    install -D -m 0644 "$CHECKOUT/systemd/$unit" "$UNITS/$unit"
  done
  systemd-tmpfiles --create quartet.conf
  systemctl daemon-reload
  systemctl try-restart systemd-journald@quartet.service    # it keeps what it has open
}

# ---- migrations

has_migrations() {
  local service pid pids=() result=0
  for service in "${SERVICES[@]}"; do is_migrated "$service" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid" || result=1; done
  return "$result"
}

make_migrations() {
  local service steps=()
  for service in "${SERVICES[@]}"; do migrate "$service" & steps+=($!); done
  together "${steps[@]}"
}

# ---- services

all_units() {
  local service
  printf '%s\n' microservices.target microservices-{backup,restore-drill,logs,prune}.timer
  for service in "${SERVICES[@]}"; do units_of "$service"; done
}

has_services() {
  local units
  mapfile -t units < <(all_units)
  # of several units, --quiet would be content with one
  [[ $(systemctl is-enabled "${units[@]}" 2>/dev/null | sort -u) == enabled &&
    $(systemctl is-active "${units[@]}" 2>/dev/null | sort -u) == active && -z $(_with_old_secrets) ]]
}

make_services() {
  local units service
  mapfile -t units < <(all_units)
  systemctl enable --now "${units[@]}"
  for service in $(_with_old_secrets); do take_new_secrets "$service"; done
}

# The services that were started before one of their secrets was made.
_with_old_secrets() {
  local service started
  for service in "${SERVICES[@]}"; do
    started=$(systemctl show --timestamp=unix --property=ActiveEnterTimestamp --value "microservice@$service.service")
    if [[ -n $started && -n $(find "$SECRETS/$service".{database,pem,secret} -newermt "$started") ]]; then echo "$service"; fi
  done
}

# ---- an administrator

has_administrator() {
  [[ $(in_service microservice1 python -m microservice1.commands has-admin 2>/dev/null) == yes ]]
}

make_administrator() { create_admin admin admin@quartet.invalid <"$SECRETS/admin.password"; }
