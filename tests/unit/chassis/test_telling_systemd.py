import socket

from chassis.notify import notifier


def test_a_state_arrives_as_it_was_said(supervisor):
    notifier(supervisor.getsockname())("WATCHDOG=1")

    assert supervisor.recv(100) == b"WATCHDOG=1"


def test_an_abstract_socket_begins_with_an_at_sign():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # Linux gives it an abstract name
        notifier("@" + listening.getsockname()[1:].decode())("READY=1")

        assert listening.recv(100) == b"READY=1"


def test_nobody_is_told_without_a_socket():
    notifier("")("READY=1")


def test_a_supervisor_that_is_gone_does_not_stop_the_work(tmp_path):
    notifier(str(tmp_path / "gone"))("WATCHDOG=1")
