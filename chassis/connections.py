"""HTTP connections to neighbours, on which a timeout bounds a whole answer and not each read of it.

The timeout that requests takes starts anew with every byte: a neighbour that sends one a second
would hold a thread for as long as it likes.
https://requests.readthedocs.io/en/latest/user/advanced/#timeouts
"""

import socket
import time

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection


def connections():
    """Return the connections of one service, an HTTPAdapter: kept open, shared by its threads.

    A requests.Session around them would keep cookies, follow redirects and look for proxies.
    """
    adapter = HTTPAdapter()
    manager = adapter.poolmanager
    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "http": _Pool}
    return adapter


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
