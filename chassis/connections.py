"""HTTP connections to neighbours, on which a timeout bounds a whole answer and not each read of it.

The timeout that requests takes starts anew with every byte: a neighbour that sends one a second
would hold a thread for as long as it likes.
https://requests.readthedocs.io/en/latest/user/advanced/#timeouts

All neighbours are behind one listener, a TCP port or a unix socket, so one pool serves all calls.
"""

import socket
import time
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

MOST_KEPT = 64  # as many threads as a process may have


def connections(internal_url):
    """Return the connections of one service, an HTTPAdapter: kept open, shared by its threads.

    A requests.Session around them would keep cookies, follow redirects and look for proxies.

    internal_url: `http://HOST[:PORT]`, or `unix:PATH` with the absolute path of a unix socket.
    Whatever host the URL of a request names, it goes there.
    """
    if internal_url.startswith("unix:"):
        return _Adapter(_UnixPool(internal_url.removeprefix("unix:")))
    address = urlsplit(internal_url)
    return _Adapter(_Pool(address.hostname, address.port, maxsize=MOST_KEPT))


class _Adapter(HTTPAdapter):
    def __init__(self, pool):
        super().__init__()
        self._pool = pool

    def get_connection_with_tls_context(self, *_arguments, **_options):
        return self._pool

    def close(self):
        self._pool.close()


class _TimedSocket(socket.socket):
    """Its timeout is for all that is received until the next one is set."""

    _end = None

    def settimeout(self, value):
        self._end = None if value is None else time.monotonic() + value
        super().settimeout(value)

    def recv_into(self, *arguments):
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            super().settimeout(left)
        return super().recv_into(*arguments)


class _Connection(HTTPConnection):
    def _new_conn(self):
        return _TimedSocket(fileno=super()._new_conn().detach())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _UnixConnection(HTTPConnection):
    path = None

    def _new_conn(self):
        connection = _TimedSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self.timeout)
        try:
            connection.connect(self.path)
        except TimeoutError as error:
            connection.close()
            raise ConnectTimeoutError(self, f"no answer from {self.path}") from error
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, f"{self.path}: {error}") from error
        return connection


class _UnixPool(HTTPConnectionPool):
    ConnectionCls = _UnixConnection

    def __init__(self, path):
        super().__init__("localhost", maxsize=MOST_KEPT)
        self._path = path

    def _new_conn(self):
        connection = super()._new_conn()
        connection.path = self._path
        return connection
