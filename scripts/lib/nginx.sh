# The private Nginx of a stack.
# shellcheck shell=bash disable=SC2153

nginx_pid() { pid_in "$RUN/nginx.pid" "$VAR/nginx"; }

_nginx() { as_run_user nginx -e "$VAR/log/nginx.log" -p "$VAR/nginx/" -c "$VAR/nginx/nginx.conf" "$@"; }

# Copy nginx/ to var/nginx, but for what is only a host's, and fill in what differs between stacks.
_render_nginx() {
  local folder=$1
  as_run_user rm -rf "$folder"
  as_run_user mkdir -p "$folder"
  tar -C "$CHECKOUT/nginx" --exclude=./conf.d/service.conf --exclude=./tls -cf - . | as_run_user tar -C "$folder" --no-same-owner -xf -
  sed -e "s|@HTTP_PORT@|$HTTP_PORT|; s|@INTERNAL_PORT@|$INTERNAL_PORT|; s|@RUN@|$RUN|g" "$CHECKOUT/nginx/embedded.conf" |
    as_run_user tee "$folder/nginx.conf" >/dev/null
  with_origins "$(_origins)" <"$CHECKOUT/nginx/conf.d/cors.conf" | as_run_user tee "$folder/conf.d/cors.conf" >/dev/null
}

# as the services have it: scripts/up may be called again without the variable
_origins() { as_run_user sed -n 's/^CORS_ORIGINS="\(.*\)"$/\1/p' "$VAR/env/microservice1.env"; }

# configure_nginx: bring var/nginx up to date; succeeds only if something changed.
configure_nginx() {
  local new=$VAR/nginx.new
  _render_nginx "$new"
  if [[ $(tree_hash "$new") == "$(_configured_hash)" ]]; then
    as_run_user rm -rf "$new"
    return 1
  fi
  as_run_user rm -rf "$VAR/nginx/conf.d" "$VAR/nginx/snippets"
  as_run_user mkdir -p "$VAR/nginx/tmp"
  as_run_user cp -rT "$new" "$VAR/nginx"
  tree_hash "$new" | as_run_user tee "$VAR/nginx/tmp/configured" >/dev/null
  as_run_user rm -rf "$new"
}

_configured_hash() { cat "$VAR/nginx/tmp/configured" 2>/dev/null || true; }

check_ports() {
  local setting port
  for setting in HTTP_PORT INTERNAL_PORT; do
    port=${!setting}
    if port_is_taken "$port"; then
      abort "port $port on 127.0.0.1 is taken by another program$(_owner_of_port "$port"). Choose another with QUARTET_$setting=NUMBER scripts/up, or stop that program."
    fi
  done
}

_owner_of_port() {
  local owner
  owner=$(ss -Hltnp "sport = :$1" 2>/dev/null | sed -nE '1s/.*users:\(\("([^"]+)",pid=([0-9]+).*/ (\1, pid \2)/p') || true
  printf '%s' "$owner"
}

start_nginx() {
  _nginx -t -q && _nginx
}

reload_nginx() { _nginx -t -q && _nginx -s reload; }

# QUIT lets the requests in flight finish.
stop_nginx() {
  local pid
  if pid=$(nginx_pid); then stop_process nginx "$pid" QUIT 12; fi
}
