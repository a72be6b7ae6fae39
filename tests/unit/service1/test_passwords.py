import os
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

from argon2 import PasswordHasher, extract_parameters
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

    assert passwords.confirmed("pässwörd ünïcode", stored) == stored
    assert passwords.confirmed("passwörd ünïcode", stored) is None
    assert passwords.confirmed("", stored) is None
    assert passwords.confirmed("pässwörd ünïcode", None) is None


def test_a_password_is_the_same_in_both_unicode_forms():
    decomposed, composed = "pa\u0308sswo\u0308rd", "pässwörd"

    for stored in (passwords.hashed(decomposed), passwords.hashed(composed)):
        assert passwords.confirmed(decomposed, stored) == stored
        assert passwords.confirmed(composed, stored) == stored


def test_a_hash_of_an_unnormalised_password_is_replaced_by_one_of_its_nfc():
    decomposed, composed = "pa\u0308sswo\u0308rd", "pässwörd"
    of_an_older_release = PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1).hash(
        decomposed
    )

    renewed = passwords.confirmed(decomposed, of_an_older_release)

    assert renewed not in (None, of_an_older_release)
    assert passwords.confirmed(composed, renewed) == renewed


def test_a_wrong_password_costs_the_same_with_and_without_an_account(monkeypatch):
    calls = []
    monkeypatch.setattr(
        passwords, "_by_the_hashing_thread", lambda *work: calls.append(work[-1]) or False
    )
    passwords.confirmed("pa\u0308sswo\u0308rd", None)
    without = len(calls)
    passwords.confirmed("pa\u0308sswo\u0308rd", "a hash")

    assert without == len(calls) - without == 2


def test_one_password_is_hashed_at_a_time_one_waits_and_more_are_refused(monkeypatch):
    slow = Slow()
    monkeypatch.setattr(passwords, "_hasher", slow)

    with ThreadPoolExecutor(6) as clients:
        logins = [clients.submit(passwords.hashed, "x") for _ in range(6)]
        refused = list(islice(as_completed(logins, timeout=10), 4))
        slow.may_end.set()

    assert all(isinstance(login.exception(), PasswordsBusy) for login in refused)
    assert sorted(login.exception() is None for login in logins) == [False] * 4 + [True] * 2
    assert slow.most == 1
    assert passwords.hashed("x")


def test_hashing_steps_back_for_everything_else(monkeypatch):
    slow = Slow()
    slow.may_end.set()
    monkeypatch.setattr(passwords, "_hasher", slow)

    passwords.hashed("x")

    assert slow.niceness == passwords.NICENESS > os.getpriority(os.PRIO_PROCESS, 0)


class Slow:
    """A hasher that hashes until it may end. `most`: at once. niceness: of its last thread."""

    def __init__(self):
        self.may_end = threading.Event()
        self.inside = self.most = 0

    def hash(self, password):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        self.may_end.wait(10)
        self.inside -= 1
        return "hash"
