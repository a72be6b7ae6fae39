# Where a script acts: on the installed host, or on a stack that scripts/up has made.
# shellcheck shell=bash disable=SC2034    # PLACE is used by scripts/status
#
# Both have require_place, require_running, FRONT_DOOR_URL, in_service, as_superuser and what stands on them.

if acts_on_host; then
  PLACE=host
  source "$CHECKOUT/scripts/lib/host.sh"
else
  PLACE=stack
  source "$CHECKOUT/scripts/lib/stack.sh"
fi
