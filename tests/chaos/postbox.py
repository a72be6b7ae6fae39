"""A mail server that takes every e-mail and keeps of it which event it tells, in order."""

import re

from aiosmtpd.controller import Controller

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^@>]+)@", re.MULTILINE | re.IGNORECASE)


class Postbox:
    """A context manager: within it, it listens at `url`. `events`: the ids of the events."""

    def __init__(self, port):
        self.events = []
        self.url = f"smtp://127.0.0.1:{port}"
        self._controller = Controller(self, hostname="127.0.0.1", port=port)

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *_):
        self._controller.stop()

    def take(self, content):
        """Take an e-mail (bytes)."""
        self.events.append(_MESSAGE_ID.search(content)[1].decode())

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.take(envelope.content)
        return "250 Taken"
