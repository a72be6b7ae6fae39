import threading

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type

from microservice1.errors import PasswordsBusy
from microservice1.logic import passwords


def test_hashes_are_argon2id_of_19_mib_and_never_the_same():
    first, second = (passwords.hashed("correct horse battery") for _ in range(2))

    assert first != second
    found = extract_parameters(first)
    assert found.type is Type.ID
    assert (found.memory_cost, found.time_cost, found.parallelism) == (19_456, 2, 1)
    assert not passwords.is_outdated(first)


def test_only_the_password_itself_matches():
    stored = passwords.hashed("pässwörd ünïcode")

    assert passwords.matches("pässwörd ünïcode", stored)
    assert not passwords.matches("passwörd ünïcode", stored)
    assert not passwords.matches("", stored)
    assert not passwords.matches("pässwörd ünïcode", None)


def test_never_more_than_two_are_hashed_at_once(monkeypatch):
    inside, most, lock = 0, 0, threading.Lock()
    enough = threading.Event()

    class Slow:
        def hash(self, password):
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            enough.wait(0.05)
            with lock:
                inside -= 1
            return "hash"

    monkeypatch.setattr(passwords, "_hasher", Slow())
    threads = [threading.Thread(target=passwords.hashed, args=("x",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 2


def test_who_waits_too_long_is_sent_away_and_the_next_one_is_served(monkeypatch):
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)

    with passwords._place(), passwords._place(), pytest.raises(PasswordsBusy):
        passwords.hashed("correct horse battery")

    assert passwords.hashed("correct horse battery")
