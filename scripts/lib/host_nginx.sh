# Debian's Nginx on a host: its configuration is nginx/conf.d and nginx/snippets, copied as they are. Only
# conf.d/cors.conf gets the origins that the settings of microservice1 name.
# shellcheck shell=bash

# Debian's figure, for each of Nginx's processes, and ours. A request that waits takes two, and refusals in an
# overload take their time: thousands of clients need a place.
readonly FEW_CONNECTIONS='worker_connections 768;' ENOUGH_CONNECTIONS='worker_connections 8192;'

has_nginx() {
  local file
  while read -r file; do
    _nginx_file "$file" | cmp -s - "/etc/nginx/$file" || return 1
  done < <(nginx_files)
  [[ ! -e /etc/nginx/sites-enabled/default ]] && ! grep -q "$FEW_CONNECTIONS" /etc/nginx/nginx.conf && nginx -t -q 2>/dev/null &&
    [[ $(systemctl is-enabled nginx microservices-metrics.socket 2>/dev/null | sort -u) == enabled &&
      $(systemctl is-active nginx microservices-metrics.socket | sort -u) == active ]]
}

# What Nginx does not accept, perhaps together with a file of the operator's, is taken back.
make_nginx() {
  local before
  before=$(mktemp -d)
  cp -a /etc/nginx/. "$before"
  _write_nginx_files
  if ! nginx -t -q; then
    rsync -a --delete "$before/" /etc/nginx/
    rm -rf "$before"
    return 1
  fi
  rm -rf "$before"
  systemctl enable nginx
  if _is_confined; then systemctl reload nginx; else systemctl restart nginx; fi
  systemctl enable --now microservices-metrics.socket
}

_write_nginx_files() {
  local file
  while read -r file; do
    install -d "/etc/nginx/${file%/*}"
    _nginx_file "$file" >"/etc/nginx/$file.new"
    mv "/etc/nginx/$file.new" "/etc/nginx/$file"
  done < <(nginx_files)
  rm -f /etc/nginx/sites-enabled/default    # it would answer on port 80
  sed -i "s/$FEW_CONNECTIONS/$ENOUGH_CONNECTIONS/" /etc/nginx/nginx.conf
}

# Is it that of nginx.service.d/quartet.conf, as it is now? One that Debian's unit alone has started is root's,
# and a reload changes no sandbox.
_is_confined() {
  local started
  started=$(systemctl show --timestamp=unix --property=ActiveEnterTimestamp --value nginx.service)
  [[ $(stat -c %U "/proc/$(main_pid nginx.service)") == www-data &&
    -z $(find "$UNITS/nginx.service.d" -type f -newermt "${started:-now}") ]]
}

nginx_files() { (cd "$CHECKOUT/nginx" && printf '%s\n' conf.d/*.conf snippets/*.conf); }

# A kernel without IPv6 refuses to listen there.
_nginx_file() {
  if [[ $1 == conf.d/cors.conf ]]; then
    with_origins "$(setting_of microservice1 CORS_ORIGINS "")" <"$CHECKOUT/nginx/$1"
  elif [[ -e /proc/net/if_inet6 ]]; then
    cat "$CHECKOUT/nginx/$1"
  else
    sed '/listen \[::\]/d' "$CHECKOUT/nginx/$1"
  fi
}
