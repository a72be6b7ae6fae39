"""A part of uWSGI that is killed takes with it no more than the requests that it had in hand."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.processes import children, is_alive
from tests.system.front_door import UwsgiService, wait_for

SLOW = """
import os, time

def app(environ, start_response):
    time.sleep(0.05)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""
THREADS = 4  # of each of the two processes
PATH = "/api/service1/anything"


@pytest.fixture
def service(door, tmp_path):
    service = UwsgiService(tmp_path, door.sockets, SLOW)
    service.start()
    wait_for(lambda: service.has_loaded(times=3), seconds=30)
    yield service
    service.stop()


def test_a_killed_process_loses_the_requests_in_its_hands_and_no_other(door, service):
    answers, end = [], threading.Event()

    def ask_on():
        while not end.is_set():
            answers.append(door.ask("GET", PATH))

    with ThreadPoolExecutor(12) as clients:
        for _ in range(12):
            clients.submit(ask_on)
        wait_for(lambda: len(answers) > 50)
        killed = int(answers[-1].body)
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: service.has_loaded(times=4), seconds=30)
        served = len(answers)
        wait_for(lambda: len(answers) > served + 100)
        end.set()

    lost = [answer for answer in answers if answer.status != 200]
    assert len(lost) <= THREADS
    assert {(answer.status, answer.json["code"]) for answer in lost} <= {(503, "unavailable")}
    by_process = {answer.body for answer in answers[served:] if answer.status == 200}
    assert len(by_process) == 2 and str(killed).encode() not in by_process


def test_the_processes_of_a_killed_master_end_too_and_a_restart_serves(door, service):
    workers = children(service.process.pid)
    service.process.kill()
    service.process.wait()

    wait_for(lambda: not any(is_alive(pid) for pid in workers), seconds=10)
    assert door.ask("GET", PATH).status == 503

    service.start()
    wait_for(lambda: service.has_loaded(times=6), seconds=30)
    assert {door.ask("GET", PATH).status for _ in range(20)} == {200}
