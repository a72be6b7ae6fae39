"""Revocations: access tokens that end before they expire, without a question to Users per request.

A user token bears the epoch of its user at that time. Users raises the epoch with a new password,
with a new role, and when the account is deleted. It lists the raised epochs for as long as older
tokens could still be valid. The worker of each service fetches this list every 20 s and writes it
into a file. Web processes read the file again when it has changed, as they do with public keys.

The file outlives restarts. While Users is down, the last list stays in force.
"""

import json
import os
from pathlib import Path

from chassis import context
from chassis.http import ServiceClient

_users = ServiceClient("microservice1")


class Revocations:
    """The list, as this service has it.

    file: where it is kept, or None. Without a file nothing is revoked.
    """

    def __init__(self, file):
        self._file = Path(file) if file else None
        self._read = None, {}  # the version of the file, and what was in it

    def epoch_of(self, user_id):
        """Return the epoch before which tokens of the user are revoked; 0: none are."""
        return self._epochs().get(str(user_id), 0)

    def replace(self, epochs):
        """Make this the list. Readers see the old file or the new one, whole.

        epochs: {user id as a string: epoch}.
        """
        text = json.dumps(epochs).encode()
        if self._file.exists() and self._file.read_bytes() == text:
            return
        unfinished = self._file.with_suffix(f".{os.getpid()}")
        with unfinished.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._file)

    def _epochs(self):
        version = self._version()
        if version is None:
            return {}
        if version != self._read[0]:
            self._read = version, json.loads(self._file.read_bytes())
        return self._read[1]

    def _version(self):
        try:
            stat = self._file and self._file.stat()
        except FileNotFoundError:
            return None
        return stat and (stat.st_mtime_ns, stat.st_ino)


def fetch():
    """Fetch the list from Users. Raises NeighbourUnavailable or RemoteProblem."""
    context.service.get().revocations.replace(_users.get("/internal/revocations")["epochs"])
