# Where a script acts: on the installed host, or on a stack that scripts/up has made.
# shellcheck shell=bash
#
# Both have require_running, PUBLIC_URL, in_service, as_superuser and what stands on them.

if acts_on_host; then
  source "$CHECKOUT/scripts/lib/host.sh"
else
  source "$CHECKOUT/scripts/lib/stack.sh"
fi
