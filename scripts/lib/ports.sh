# The two ports of a stack. The configuration of its Nginx remembers them, so that no script has to be told again.
# shellcheck shell=bash disable=SC2034,SC2153

readonly DEFAULT_HTTP_PORT=8080 DEFAULT_INTERNAL_PORT=8081
readonly PORTS=(HTTP_PORT INTERNAL_PORT)    # in the order of nginx/embedded.conf

declare -A remembered_ports=()    # HTTP_PORT and INTERNAL_PORT, if there was one before

_read_remembered_ports() {
  local ports i
  mapfile -t ports < <(as_run_user sed -n 's/^ *listen 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$VAR/nginx/nginx.conf" 2>/dev/null)
  for i in "${!PORTS[@]}"; do
    if _is_port "${ports[i]:-}"; then remembered_ports[${PORTS[i]}]=${ports[i]}; fi
  done
}

# choose_ports: for scripts/up. What the caller sets, and else what the stack has had before. An empty variable brings
# back the default.
choose_ports() {
  _read_remembered_ports
  HTTP_PORT=${QUARTET_HTTP_PORT-${remembered_ports[HTTP_PORT]:-}}
  INTERNAL_PORT=${QUARTET_INTERNAL_PORT-${remembered_ports[INTERNAL_PORT]:-}}
  HTTP_PORT=${HTTP_PORT:-$DEFAULT_HTTP_PORT}
  INTERNAL_PORT=${INTERNAL_PORT:-$DEFAULT_INTERNAL_PORT}
  FRONT_DOOR_URL=http://127.0.0.1:$HTTP_PORT
}

# find_ports: for all other scripts. Those of the stack count, and a variable that differs is told.
find_ports() {
  local name chosen
  choose_ports
  for name in "${!remembered_ports[@]}"; do
    chosen=${!name}
    declare -g "$name=${remembered_ports[$name]}"
    if [[ $chosen != "${!name}" ]]; then
      warn "${0##*/}: QUARTET_$name is $chosen in your environment, but this stack uses ${!name}. scripts/up changes it."
    fi
  done
  FRONT_DOOR_URL=http://127.0.0.1:$HTTP_PORT
}

# kept_ports: the remembered ones that the caller does not set and that are not the default.
kept_ports() {
  local name setting default
  for name in "${PORTS[@]}"; do
    setting=QUARTET_$name default=DEFAULT_$name
    if [[ ! -v $setting && ${remembered_ports[$name]:-${!default}} != "${!default}" ]]; then setting "$setting" "${remembered_ports[$name]}"; fi
  done
}

# wrong_ports: what stands against the chosen ports, one sentence each.
wrong_ports() {
  local name
  for name in "${PORTS[@]}"; do
    if ! _is_port "${!name}"; then
      say "QUARTET_$name must be a whole number from 1 to 65535, and is '${!name}'"
    elif ((${!name} < $(_first_open_port))); then
      say "QUARTET_$name must be $(_first_open_port) or more, and is ${!name}: the stack has no right to listen below"
    elif _is_taken "${!name}"; then
      say "QUARTET_$name: port ${!name} is taken by another program$(_owner_of_port "${!name}"). Choose another with QUARTET_$name=NUMBER scripts/up, or stop that program"
    fi
  done
  if [[ $HTTP_PORT == "$INTERNAL_PORT" ]]; then
    say "QUARTET_HTTP_PORT and QUARTET_INTERNAL_PORT must differ, and both are $HTTP_PORT"
  fi
}

_is_port() { [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && (($1 <= 65535)); }

_first_open_port() { cat /proc/sys/net/ipv4/ip_unprivileged_port_start; }

# Not if it is the stack's own Nginx that listens there.
_is_taken() {
  local address
  if nginx_pid >/dev/null && [[ " ${remembered_ports[*]} " == *" $1 "* ]]; then return 1; fi
  for address in $(loopback_addresses); do
    if (exec 3<>"/dev/tcp/$address/$1") 2>/dev/null; then return 0; fi
  done
  return 1
}

# loopback_addresses: those of this machine, which may have no IPv6.
loopback_addresses() {
  say 127.0.0.1
  if grep -qs '^0\{31\}1 ' /proc/net/if_inet6; then say ::1; fi
}

_owner_of_port() {
  local owner
  owner=$(ss -Hltnp "sport = :$1" 2>/dev/null | sed -nE 's/.*users:\(\("([^"]+)",pid=([0-9]+).*/ (\1, pid \2)/p' | head -n 1) || true
  printf '%s' "$owner"
}
