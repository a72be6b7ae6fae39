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

# make_ca: one for this host, once; its key never leaves the folder of secrets.
make_ca() {
  [[ -s $TLS/ca.pem ]] && return 0
  (
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -sha256 -subj "/O=Quartet/CN=CA of $(uname -n)" \
      -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
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
