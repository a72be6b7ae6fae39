"""What a worker does every few seconds, beside its lanes."""

import threading

from chassis import worker
from chassis.errors import Unavailable
from chassis.service import current
from chassis.worker import Worker


def test_each_task_has_its_turn_again_and_again_whatever_the_others_do(
    service, monkeypatch, caplog
):
    monkeypatch.setattr(worker, "FREQUENT_SECONDS", 0.01)
    often = threading.Semaphore(0)

    def silent():
        raise Unavailable

    def wrong():
        raise KeyError

    def sound():
        assert current() is service
        often.release()

    busy = Worker(service, {}, frequent=[silent, wrong, sound])
    thread = threading.Thread(target=busy.run)
    thread.start()
    try:
        assert all(often.acquire(timeout=5) for _ in range(3))
    finally:
        busy.stop()
        thread.join()

    logged = {(line.message, line.task) for line in caplog.records if hasattr(line, "task")}
    assert {("housekeeping put off", "silent"), ("housekeeping failed", "wrong")} <= logged
