# Smoke tests: a real order through Nginx and all four services.
# shellcheck shell=bash disable=SC2153

# place_first_order MAIL_FOLDER: by a customer and for a product that stay in the shop.
place_first_order() {
  "$SYSTEM_PYTHON" "$CHECKOUT/scripts/lib/smoke_test.py" "$FRONT_DOOR_URL" "$1" <<<"$(token_for admin)"
}

# try_an_order: the same, and nothing stays but entries in the audit logs.
try_an_order() {
  local file outcome=0
  file=$(mktemp)
  "$SYSTEM_PYTHON" "$CHECKOUT/scripts/lib/try_order.py" "$FRONT_DOOR_URL" "$file" <<<"$(token_for admin)" || outcome=$?
  if [[ -s $file ]]; then _erase_trial "$(number <"$file")" || outcome=$?; fi
  rm -f "$file"
  return "$outcome"
}

# The order goes when all have received that it was cancelled, and the notifications of that after it.
_erase_trial() {
  { wait_until 15 erase_test_order "$1" 2>/dev/null || erase_test_order "$1"; } && erase_test_notifications "$1"
}
