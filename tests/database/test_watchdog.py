import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from chassis import outbox, worker
from chassis.database import transaction
from chassis.worker import Worker


@contextmanager
def running(service, lanes, supervisor):
    told = SimpleNamespace(
        settings=SimpleNamespace(notify_socket=supervisor.getsockname()),
        **{"active": service.active, "database": service.database},
    )
    busy = Worker(told, lanes)
    thread = threading.Thread(target=run_in, args=(service, busy))
    thread.start()
    try:
        yield busy
    finally:
        busy.stop()
        thread.join()


def run_in(service, busy):
    with service.active():
        busy.run()


def test_a_worker_tells_that_it_is_ready_and_goes_round_and_stops(service, supervisor):
    with running(service, {"work": lambda _message: None}, supervisor):
        assert supervisor.recv(100) == b"READY=1"
        assert supervisor.recv(100) == b"WATCHDOG=1"
        assert supervisor.recv(100) == b"WATCHDOG=1"

    heard = supervisor.recv(100)
    while heard == b"WATCHDOG=1":
        heard = supervisor.recv(100)
    assert heard == b"STOPPING=1"


@pytest.mark.parametrize("threads", [1, 2])
def test_one_that_hangs_is_not_covered_up_by_others(service, supervisor, monkeypatch, threads):
    monkeypatch.setattr(worker, "ROUND_SECONDS", 1.5)
    has_begun, may_end = threading.Event(), threading.Event()

    def hang(_message):
        has_begun.set()
        may_end.wait(30)

    hang.threads = threads
    with transaction() as tx:
        outbox.publish(tx, "test.done", subject="test/1", data={}, to=["work"])
    with running(service, {"work": hang, "idle": lambda _message: None}, supervisor):
        try:
            assert has_begun.wait(5)
            with pytest.raises(TimeoutError):
                for _ in range(10):
                    supervisor.recv(100)
        finally:
            may_end.set()
