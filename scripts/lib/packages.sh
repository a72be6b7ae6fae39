# Debian packages that a stack needs.
# shellcheck shell=bash

# missing_packages: one name a line. The compiler is needed only until uWSGI is built.
missing_packages() {
  local include
  type -P nginx >/dev/null || echo nginx
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql
  [[ -x $SYSTEM_PYTHON ]] || echo python3
  "$SYSTEM_PYTHON" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  has_uwsgi && return 0

  include=$("$SYSTEM_PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null) || true
  type -P gcc >/dev/null || echo gcc
  [[ -e /usr/include/stdio.h ]] || echo libc6-dev
  [[ -e $include/Python.h ]] || echo libpython3-dev
  [[ -e /usr/include/pcre2.h ]] || echo libpcre2-dev    # without it uWSGI builds, but cannot route
}

# install_packages NAME...: through apt as root or by sudo; otherwise say what to install, and stop.
install_packages() {
  local installer=$CHECKOUT/scripts/lib/install-packages
  if ((EUID == 0)); then
    "$installer" "$@"
  elif sudo -n true 2>/dev/null; then
    sudo "$installer" "$@"
  elif [[ -t 0 ]] && type -P sudo >/dev/null; then
    sudo -v && sudo "$installer" "$@"
  else
    abort "these Debian packages are missing, and neither root nor sudo is at hand: $*
Ask an administrator for: apt-get install --no-install-recommends $*"
  fi
}

ensure_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  type -P apt-get >/dev/null || abort "these programs are missing, and this is no Debian: ${missing[*]}. Install them by hand."
  can_install || install_packages "${missing[@]}"    # says what is missing, and stops
  long_step "half a minute or more" "Debian packages: ${missing[*]}" "see that apt-get update works on this machine, then call ${0##*/} again." \
    install_packages "${missing[@]}"
}

can_install() { ((EUID == 0)) || sudo -n true 2>/dev/null || { [[ -t 0 ]] && type -P sudo >/dev/null; }; }
