"""The kernel is asked, of a real socket."""

import socket
from contextlib import ExitStack

import pytest

from chassis.listen_queue import listen_queue


def test_it_counts_who_waits_and_who_may(tmp_path):
    address = str(tmp_path / "socket")
    with ExitStack() as opened:
        server = opened.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(address)
        server.listen(64)
        assert listen_queue(server.fileno()) == (0, 64)

        for _ in range(5):
            opened.enter_context(socket.socket(socket.AF_UNIX)).connect(address)
        assert listen_queue(server.fileno()) == (5, 64)

        opened.enter_context(server.accept()[0])
        assert listen_queue(server.fileno()) == (4, 64)


def test_what_is_no_listening_unix_socket_has_none(tmp_path):
    with (tmp_path / "file").open("w") as file, pytest.raises(OSError):
        listen_queue(file.fileno())
    with socket.create_server(("127.0.0.1", 0)) as tcp, pytest.raises(OSError):
        listen_queue(tcp.fileno())
