"""One service's running parts: its settings, its database, its keys."""

import hmac
from contextlib import contextmanager

from chassis import context
from chassis.connections import connections
from chassis.database import Pool
from chassis.guard import guards
from chassis.revocations import Revocations
from chassis.tokens import Signer, Verifier


class Service:
    """What a process needs to be a service. Nothing is connected or read before its first use.

    settings: chassis.settings.Settings. http_adapter carries the calls to neighbours; tests put
    their neighbours' applications there. guards: {neighbour: chassis.guard.Guard}.
    """

    def __init__(self, settings):
        self.settings = settings
        self.name = settings.name
        self.database = Pool(
            settings.database_url, settings.database_password, settings.connections, settings.name
        )
        self.signer = Signer(settings.name, settings.signing_key_file)
        self.revocations = Revocations(settings.revocations_file)
        self.verifier = Verifier(settings.name, settings.jwks_file, self.revocations)
        self.http_adapter = connections(settings.internal_url)
        self.guards = guards(settings.threads)

    def secret(self, purpose):
        """Return 32 bytes that this service alone knows, the same in all its processes.

        purpose: a word; another one gives others. A new signing key changes none of them.
        """
        return hmac.digest(self.settings.secret.encode(), purpose.encode(), "sha256")

    @contextmanager
    def active(self):
        """Make this the service that `current()` returns, in this thread, for a while."""
        token = context.service.set(self)
        try:
            yield self
        finally:
            context.service.reset(token)


def current():
    """Return the service that does the work in hand. Raises LookupError outside of one."""
    return context.service.get()
