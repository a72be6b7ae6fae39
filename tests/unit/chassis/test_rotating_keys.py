"""A new signing key takes over from another, and nobody who holds a token notices."""

import json
import time

import jwt
import pytest

from chassis import keys, testing
from chassis.errors import TokenExpired, Unauthenticated
from chassis.settings import SERVICES
from chassis.tokens import USER_TOKEN_SECONDS, Signer, Verifier

USERS = ["microservice1"]


@pytest.fixture
def folder(tmp_path):
    return testing.make_keys(tmp_path)


@pytest.fixture
def signer(folder):
    return Signer("microservice1", folder / "microservice1.pem")


@pytest.fixture
def verifier(folder):
    return Verifier("microservice2", folder / "jwks.json")


@pytest.fixture
def later(monkeypatch):
    """Returns a function that lets so many seconds pass."""
    true_time = time.time
    passed = 0

    def wait(seconds):
        nonlocal passed
        passed += seconds
        monkeypatch.setattr(time, "time", lambda: true_time() + passed)

    return wait


def rotate(folder, services=USERS):
    for step in (keys.announce, keys.switch, keys.retire):
        step(folder, services)


def states(folder, service="microservice1"):
    return [state.partition(",")[0] for _, _, state in keys.described(folder, [service])]


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def test_after_each_step_all_tokens_are_good(folder, signer, verifier):
    tokens = [signer.user_token(7, "customer")]
    for step in (keys.announce, keys.switch, keys.retire):
        step(folder, USERS)
        tokens.append(signer.user_token(7, "customer"))
        assert [verifier.identify(token).user_id for token in tokens] == [7] * len(tokens)

    assert len({kid_of(token) for token in tokens}) == 2
    assert kid_of(tokens[1]) == kid_of(tokens[0])
    assert kid_of(tokens[2]) == kid_of(tokens[3])


def test_only_the_services_that_are_named_get_a_new_key(folder):
    before = {kid for _, kid, _ in keys.described(folder, SERVICES)}

    rotate(folder, ["microservice2", "microservice3"])

    after = {kid for _, kid, _ in keys.described(folder, SERVICES)}
    assert len(after - before) == 2
    assert states(folder, "microservice1") == states(folder, "microservice4") == ["signs"]
    assert sorted(states(folder, "microservice2")) == ["retired", "signs"]


def test_a_token_of_the_key_before_is_good_until_it_expires(folder, signer, verifier, later):
    token = signer.user_token(7, "customer")
    rotate(folder)

    later(USER_TOKEN_SECONDS - 5)
    assert verifier.identify(token).user_id == 7
    later(10)
    with pytest.raises(TokenExpired):
        verifier.identify(token)


def test_a_retired_key_proves_nothing_after_its_time(folder, verifier, later, tmp_path_factory):
    stolen = tmp_path_factory.mktemp("stolen") / "key.pem"
    stolen.write_bytes((folder / "microservice1.pem").read_bytes())
    thief = Signer("microservice1", stolen)
    later(5 - keys.RETIRED_SECONDS)
    rotate(folder)
    later(keys.RETIRED_SECONDS - 5)

    remembered, unseen = (thief.user_token(7, "admin") for _ in range(2))
    assert verifier.identify(remembered).is_admin
    later(10)

    with pytest.raises(Unauthenticated):
        verifier.identify(remembered)
    with pytest.raises(Unauthenticated):
        verifier.identify(unseen)


def test_a_key_is_retired_for_longer_than_any_token_lasts():
    assert keys.RETIRED_SECONDS >= USER_TOKEN_SECONDS + 60


def test_the_next_rotation_tidies_away_what_has_ended(folder, later):
    rotate(folder)
    later(keys.RETIRED_SECONDS + 1)
    assert sorted(states(folder)) == ["retired", "signs"]

    rotate(folder, ["microservice4"])

    assert states(folder) == ["signs"]


@pytest.mark.parametrize(
    "done",
    [[], ["next key"], ["announce"], ["announce", "switch"]],
    ids=lambda done: "+".join(done),
)
def test_a_rotation_that_was_interrupted_is_finished_by_the_next(folder, signer, verifier, done):
    token = signer.user_token(7, "customer")
    for step in done:
        if step == "next key":
            jwks = (folder / "jwks.json").read_text()
            keys.announce(folder, USERS)
            (folder / "jwks.json").write_text(jwks)
        else:
            getattr(keys, step)(folder, USERS)

    rotate(folder)

    assert sorted(states(folder)) == ["retired", "signs"]
    assert kid_of(signer.user_token(7, "customer")) != kid_of(token)
    assert verifier.identify(token).user_id == 7
    assert not (folder / "microservice1.next.pem").exists()


def test_making_what_is_missing_keeps_what_is_retired_or_announced(folder, signer, verifier):
    token = signer.user_token(7, "customer")
    rotate(folder)
    keys.announce(folder, USERS)
    (folder / "microservice3.pem").unlink()

    keys.ensure_keys(folder, SERVICES)

    assert verifier.identify(token).user_id == 7
    assert sorted(states(folder)) == ["announced", "retired", "signs"]
    assert states(folder, "microservice3") == ["signs"]


def test_a_key_that_is_there_already_is_published_as_it_was(folder):
    before = json.loads((folder / "jwks.json").read_text())

    keys.ensure_keys(folder, SERVICES)

    assert json.loads((folder / "jwks.json").read_text()) == before


def test_new_private_keys_are_for_their_owner_alone(folder):
    keys.announce(folder, USERS)

    assert (folder / "microservice1.next.pem").stat().st_mode & 0o777 == 0o600
    assert (folder / "jwks.json").stat().st_mode & 0o777 == 0o644
