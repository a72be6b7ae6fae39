# HTTPS on a host: a certificate, and what Nginx does with it.
# shellcheck shell=bash disable=SC2153

readonly TLS=$SETTINGS/tls                  # names, ca.pem, server.pem
readonly TLS_NGINX=/etc/nginx/tls           # service.conf includes what is here
readonly CHALLENGES=/var/lib/quartet-acme   # as in nginx/tls/https.conf

tls_is_on() { [[ -e $TLS_NGINX/https.conf ]]; }

# prepare_tls: the folders, and the program that the timer and certbot call.
prepare_tls() {
  install -d -o root -g www-data -m 2755 "$TLS"
  install -d -m 0755 "$CHALLENGES"
  install -m 0755 "$CHECKOUT/scripts/lib/certificate" "$LIBRARY/certificate.new"
  mv "$LIBRARY/certificate.new" "$LIBRARY/certificate"
}

# has_ca_for NAME...: is there a CA that may sign for exactly these names?
has_ca_for() {
  [[ -s $TLS/ca.pem && $(printf '%s\n' "$@" | sort) == "$(sort "$TLS/names" 2>/dev/null)" ]] &&
    openssl x509 -in "$TLS/ca.pem" -noout -ext nameConstraints 2>/dev/null | grep -q Permitted
}

# The value of X.509's nameConstraints (RFC 5280, 4.2.1.10): clients that trust the CA believe it for these
# names only, so a stolen key cannot pose as any other site. A kind of name of which none is permitted would
# be free, so that kind is excluded as a whole; of DNS by permitting a domain that cannot exist.
_name_constraints() {
  local name constraints=critical
  for name in "$@"; do
    if [[ $name == *:* ]]; then
      constraints+=",permitted;IP:$name/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    elif [[ $name =~ ^[0-9.]+$ ]]; then
      constraints+=",permitted;IP:$name/255.255.255.255"
    else
      constraints+=",permitted;DNS:${name#\*.}"
    fi
  done
  [[ $constraints == *DNS:* ]] || constraints+=",permitted;DNS:invalid"
  [[ $constraints == */255.* ]] || constraints+=",excluded;IP:0.0.0.0/0.0.0.0"
  [[ $constraints == */ffff:* ]] || constraints+=",excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"
  printf '%s' "$constraints"
}

# make_ca NAME...: a CA of this host for these names, unless there is one. Its key never leaves the folder of
# secrets.
make_ca() {
  has_ca_for "$@" && return 0
  (
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -sha256 -subj "/O=Quartet/CN=CA of $(uname -n)" \
      -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
      -addext "nameConstraints=$(_name_constraints "$@")" \
      -keyout "$SECRETS/ca.key" -out "$TLS/ca.pem.new"
  )
  chmod 0644 "$TLS/ca.pem.new"
  mv "$TLS/ca.pem.new" "$TLS/ca.pem"
}

# issue NAME...: a certificate of our CA for these names, unless there is a good one.
issue() {
  if [[ $(printf '%s\n' "$@") != "$(cat "$TLS/names" 2>/dev/null)" ]]; then
    printf '%s\n' "$@" >"$TLS/names.new"
    mv "$TLS/names.new" "$TLS/names"
  fi
  "$LIBRARY/certificate" renew
}

# serve_tls: let Nginx use the certificate; if it cannot, all stays as it was.
serve_tls() { _use_snippet https.conf; }

# promise_tls: let browsers know that plain HTTP will not come back.
promise_tls() { _use_snippet hsts.conf; }

_use_snippet() {
  install -d "$TLS_NGINX"
  _nginx_file "tls/$1" >"$TLS_NGINX/$1.new"
  mv "$TLS_NGINX/$1.new" "$TLS_NGINX/$1"
  if ! { nginx -t -q && systemctl reload nginx; }; then
    rm "$TLS_NGINX/$1"
    return 1
  fi
}

# forget_promise: browsers that were told keep to it until its time is over.
forget_promise() {
  [[ -e $TLS_NGINX/hsts.conf ]] || return 0
  rm "$TLS_NGINX/hsts.conf"
  systemctl reload nginx
}

# forget_tls: Nginx as without it, from its next reload on; certificates and the CA stay.
forget_tls() {
  if systemctl is-enabled --quiet microservices-tls.timer 2>/dev/null; then systemctl disable --now microservices-tls.timer; fi
  rm -rf "$TLS_NGINX" "$CHALLENGES"
}
