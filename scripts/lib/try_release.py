"""Ask a release that nobody uses yet what every service must be able to answer.

Usage: try_release.py SOCKET PREFIX    such as /run/.../candidate.sock /api/service2

It has 60 s to load. Exit status: 0 if all is answered with 200, 1 if not.
"""

import http.client
import socket
import sys
import time

LOADING_SECONDS = 60
QUESTIONS = ("/health/live", "/health/ready", "/openapi.json", "/docs")


class UnixConnection(http.client.HTTPConnection):
    """HTTP on a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=LOADING_SECONDS)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(path, question):
    """Return the status of a GET. It waits in the socket until the application is loaded."""
    connection = UnixConnection(path)
    try:
        connection.request("GET", question)
        return connection.getresponse().status
    finally:
        connection.close()


def main(path, prefix):
    started = time.monotonic()
    for question in QUESTIONS:
        try:
            status = ask(path, prefix + question)
        except OSError as error:
            sys.exit(f"GET {prefix + question} was not answered: {error}")
        if status != 200:
            sys.exit(f"GET {prefix + question} was answered {status}, not 200")
    print(f"{len(QUESTIONS)} questions answered after {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
