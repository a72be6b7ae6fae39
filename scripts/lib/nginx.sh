# The private Nginx of a stack.
# shellcheck shell=bash disable=SC2153

nginx_pid() { pid_in "$RUN/nginx.pid" "$VAR/nginx"; }

_nginx() { as_run_user nginx -e "$VAR/log/nginx.log" -p "$VAR/nginx/" -c "$VAR/nginx/nginx.conf" "$@"; }

# Copy nginx/ to var/nginx, but for what is only a host's, and fill in what differs between stacks. A machine that
# has ::1 is listened to there as well, because `localhost` may be either address.
_render_nginx() {
  local folder=$1 also=''
  if [[ $(loopback_addresses) == *::1* ]]; then also='s|^\( *listen \)127.0.0.1:\(.*\)|&\n\1[::1]:\2|'; fi
  as_run_user rm -rf "$folder"
  as_run_user mkdir -p "$folder"
  tar -C "$CHECKOUT/nginx" --exclude=./conf.d/service.conf --exclude=./tls -cf - . | as_run_user tar -C "$folder" --no-same-owner -xf -
  sed -e "s|@HTTP_PORT@|$HTTP_PORT|; s|@INTERNAL_PORT@|$INTERNAL_PORT|; s|@RUN@|$RUN|g; $also" "$CHECKOUT/nginx/embedded.conf" |
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

start_nginx() {
  _nginx -t -q && without_descriptors _nginx
}

reload_nginx() { _nginx -t -q && _nginx -s reload; }

# QUIT lets the requests in flight finish.
stop_nginx() {
  local pid
  if pid=$(nginx_pid); then stop_process nginx "$pid" QUIT 12; fi
}
