# Commands of the services themselves, run by in_service or in_service_as_owner: in a stack, or on a host.
# shellcheck shell=bash

# migrate SERVICE: by the owner of its tables, whose password no process of the service has.
migrate() { in_service_as_owner "$1" python -m chassis.migrate "$1"; }

# normalise SERVICE [--dry-run]: fails if texts are left that a person has to change.
normalise() { in_service "$1" python -m "$1.normalise" "${@:2}"; }

# normalise_after_upgrade SERVICE: a person changes what is left, so that is said and stops nothing. An older release
# has no such command.
normalise_after_upgrade() {
  local said
  if said=$(normalise "$1" 2>&1) || [[ $said == *"No module named"* ]]; then return; fi
  warn "some text of $1 is not in its form; scripts/normalise lists it again:"$'\n'"$said"
}

# token_for USERNAME: an access token, on standard output.
token_for() { in_service microservice1 python -m microservice1.commands token "$1"; }

# create_admin USERNAME EMAIL: with the password on standard input; one who exists stays.
create_admin() { in_service microservice1 python -m microservice1.commands create-admin "$1" "$2"; }

# reset_password USERNAME: with the password on standard input.
reset_password() { in_service microservice1 python -m microservice1.commands reset-password "$1"; }

# has_orders: was anything ever ordered?
has_orders() { [[ $(in_service microservice3 python -m microservice3.commands has-orders) != no ]]; }

# erase_test_order USER, erase_test_notifications USER: what try_order.py has caused as the user of that number.
erase_test_order() { in_service microservice3 python -m microservice3.commands erase-test-order <<<"$1"; }
erase_test_notifications() { in_service microservice4 python -m microservice4.commands erase-test-notifications <<<"$1"; }

# raise_versions SERVICE NUMBER: those that others compare; Notifications has only copies of others' versions.
raise_versions() {
  [[ $1 == microservice4 ]] || in_service "$1" python -m "$1.commands" raise-versions <<<"$2"
}

# prune SERVICE [--dry-run]: the audit log by the owner of its table, for a service may not delete from it.
prune() {
  in_service "$1" python -m "$1.prune" "${@:2}" && in_service_as_owner "$1" python -m chassis.prune "$@"
}
