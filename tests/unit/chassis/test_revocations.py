"""The list of revoked tokens, as the worker writes it and the web processes read it."""

import pytest

from chassis import testing
from chassis.errors import TokenExpired
from chassis.revocations import Revocations
from chassis.tokens import Identity, Signer, Verifier


@pytest.fixture
def file(tmp_path):
    return tmp_path / "revocations.json"


@pytest.fixture
def lists(file):
    """What the worker has, and what a web process has."""
    return Revocations(file), Revocations(file)


@pytest.fixture
def signer(keys):
    return Signer("microservice1", keys / "microservice1.pem")


@pytest.fixture
def identify(keys, file):
    return Verifier("microservice3", keys / "jwks.json", Revocations(file)).identify


def test_without_a_file_nothing_is_revoked(lists):
    assert [entry.epoch_of(7) for entry in (*lists, Revocations(None))] == [0, 0, 0]


def test_what_one_process_writes_the_other_reads(lists):
    worker, web = lists
    for epochs in ({"7": 1}, {"7": 2, "8": 1}, {}):
        worker.replace(epochs)

        assert [web.epoch_of(user_id) for user_id in (7, 8, 9)] == [
            epochs.get(str(user_id), 0) for user_id in (7, 8, 9)
        ]


def test_the_list_outlives_a_restart(lists, file):
    lists[0].replace({"7": 1})

    assert Revocations(file).epoch_of(7) == 1


def test_a_list_that_stays_the_same_is_not_written_again(lists, file):
    lists[0].replace({"7": 1})
    before = file.stat().st_ino
    lists[0].replace({"7": 1})

    assert file.stat().st_ino == before
    assert list(file.parent.iterdir()) == [file]


def test_a_damaged_file_is_replaced(lists, file):
    file.write_bytes(b"\0\0")
    lists[0].replace({"7": 1})

    assert lists[1].epoch_of(7) == 1


def test_a_token_that_was_accepted_is_refused_once_its_epoch_has_ended(identify, signer, lists):
    token, later = signer.user_token(7, "admin", 1), signer.user_token(7, "admin", 2)
    assert identify(token) == Identity(user_id=7, role="admin", epoch=1)

    lists[0].replace({"7": 2})

    with pytest.raises(TokenExpired):
        identify(token)
    assert identify(later).epoch == 2


def test_a_token_of_a_release_before_epochs_is_of_the_first(identify, signer, lists, monkeypatch):
    sign = Signer._sign
    monkeypatch.setattr(
        Signer,
        "_sign",
        lambda self, claims, *rest: (claims.pop("epoch"), sign(self, claims, *rest))[1],
    )
    token = signer.user_token(7, "customer")
    assert identify(token) == Identity(user_id=7, role="customer")

    lists[0].replace({"7": 1})

    with pytest.raises(TokenExpired):
        identify(token)


def test_other_users_and_services_are_not_concerned(identify, signer, lists, keys):
    lists[0].replace({"7": 1})

    assert identify(signer.user_token(8, "customer")).user_id == 8
    service_token = testing.service_token(keys, "microservice1", "microservice3")
    assert identify(service_token).service == "microservice1"
