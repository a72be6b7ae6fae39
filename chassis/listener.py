"""Which listener of Nginx a request came by: the public one or the internal one.

Each service has two unix sockets, one for each listener. The accepted connection knows its socket,
so nothing that a client or Nginx sends can change the answer.
"""

import os
import socket
import stat
from contextlib import contextmanager
from contextvars import ContextVar

try:
    import uwsgi
except ImportError:  # not under uWSGI: the tests
    uwsgi = None

INTERNAL_SOCKET = ".internal.sock"  # how the name of the internal one ends

_UNIX = {"family": socket.AF_UNIX, "type": socket.SOCK_STREAM, "proto": 0}  # else it is asked for

_pretended = ContextVar("pretended", default=False)


def is_internal():
    """Return True for a request of the internal listener. It takes 2 us."""
    if uwsgi is None:
        return _pretended.get()
    connection = socket.socket(fileno=uwsgi.connection_fd(), **_UNIX)
    try:
        return connection.getsockname().endswith(INTERNAL_SOCKET)
    finally:
        connection.detach()


def serves_public_requests():
    """Return False in the process of uWSGI that serves the internal socket alone.

    There, /dev/null takes the place of the public socket.
    """
    return uwsgi is None or stat.S_ISSOCK(os.fstat(uwsgi.sockets[0]).st_mode)


@contextmanager
def pretended(*, internal):
    """Let the requests of a test come by that listener. It changes nothing under uWSGI."""
    token = _pretended.set(internal)
    try:
        yield
    finally:
        _pretended.reset(token)
