"""A token proves what its key may say, to whom it is meant, while it lasts; nothing else does."""

import base64
import json
import time

import jwt
import pytest

from chassis import testing
from chassis.errors import TokenExpired, Unauthenticated
from chassis.keys import load_private_key, public_jwk
from chassis.tokens import Signer, Verifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return testing.make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def products(folder):
    """Who is asked: the verifier of microservice2."""
    return Verifier("microservice2", folder / "jwks.json")


@pytest.fixture
def forge(folder):
    """Returns a function that signs a user's token, with anything about it changed."""

    def sign(key="microservice1", header=None, drop=(), algorithm="EdDSA", **claims):
        private = load_private_key(folder / f"{key}.pem")
        now = int(time.time())
        claims = {
            "iss": "microservice1",
            "sub": "7",
            "role": "admin",
            "aud": "quartet",
            "iat": now,
            "nbf": now,
            "exp": now + 60,
            "jti": "1",
            **claims,
        }
        header = {"typ": "at+jwt", "kid": public_jwk(key, private)["kid"], **(header or {})}
        for name in drop:
            claims.pop(name, None)
            header.pop(name, None)
        secret = private if algorithm == "EdDSA" else "secret" * 8
        return jwt.encode(claims, secret if algorithm != "none" else None, algorithm, header)

    return sign


def test_a_users_token_tells_who_they_are(folder, products):
    token = Signer("microservice1", folder / "microservice1.pem").user_token(7, "admin")

    identity = products.identify(token)

    assert (identity.user_id, identity.role, identity.actor) == (7, "admin", "user:7")


def test_a_services_token_tells_which_it_is(folder, products):
    signer = Signer("microservice3", folder / "microservice3.pem")

    identity = products.identify(signer.service_token("microservice2"))

    assert (identity.service, identity.is_admin) == ("microservice3", False)
    assert identity.actor == "service:microservice3"


def test_a_services_token_is_for_one_callee(folder, products):
    signer = Signer("microservice3", folder / "microservice3.pem")

    with pytest.raises(Unauthenticated):
        products.identify(signer.service_token("microservice4"))


def test_no_other_service_can_mint_a_user(folder, products):
    for name in ("microservice2", "microservice3", "microservice4"):
        with pytest.raises(Unauthenticated):
            products.identify(Signer(name, folder / f"{name}.pem").user_token(7, "admin"))


def test_a_token_that_has_expired_says_so(forge, products):
    with pytest.raises(TokenExpired):
        products.identify(forge(exp=int(time.time()) - 1))


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_from_the_future_is_one_for_another_time(forge, products, claim):
    with pytest.raises(TokenExpired, match="not valid yet"):
        products.identify(forge(**{claim: int(time.time()) + 60}))


@pytest.mark.parametrize("step", [-3600, 3600])
def test_once_its_clock_is_right_again_a_service_signs_anew(folder, products, monkeypatch, step):
    signer = Signer("microservice3", folder / "microservice3.pem")
    true_time = time.time
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: true_time() + step)
        with pytest.raises(TokenExpired):
            products.identify(signer.service_token("microservice2"))

    assert products.identify(signer.service_token("microservice2")).service == "microservice3"


def test_a_services_token_is_kept_while_it_is_young(folder):
    signer = Signer("microservice3", folder / "microservice3.pem")

    assert signer.service_token("microservice2") == signer.service_token("microservice2")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody"},
        {"aud": ["quartet", "somebody"]},
        {"iss": "microservice2"},
        {"iss": "https://example.com"},
        {"nbf": 4102444800},
        {"iat": 4102444800},
        {"role": "root"},
        {"role": None},
        {"sub": "admin"},
        {"sub": ""},
        {"sub": "-1"},
        {"key": "microservice3"},
        {"key": "microservice3", "iss": "microservice3"},
        {"key": "microservice3", "iss": "microservice3", "aud": "microservice2"},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": "svc+jwt"}},
        {"header": {"kid": "unknown"}},
        {"drop": ["kid"]},
        {"drop": ["typ"]},
        {"drop": ["exp"]},
        {"drop": ["nbf"]},
        {"drop": ["iat"]},
        {"drop": ["iss"]},
        {"drop": ["aud"]},
        {"drop": ["sub"]},
        {"drop": ["jti"]},
        {"drop": ["role"]},
        {"algorithm": "none"},
        {"algorithm": "HS256"},
    ],
    ids=str,
)
def test_a_forged_token_is_refused(forge, products, changes):
    with pytest.raises(Unauthenticated):
        products.identify(forge(**changes))


def test_a_service_token_cannot_carry_a_role(folder, products, forge):
    token = forge(
        key="microservice3",
        header={"typ": "svc+jwt"},
        iss="microservice3",
        sub="microservice3",
        aud="microservice2",
    )

    with pytest.raises(Unauthenticated):
        products.identify(token)


def test_a_key_inside_the_token_is_not_believed(folder, products, forge):
    own = load_private_key(folder / "microservice4.pem")
    jwk = public_jwk("microservice1", own)

    with pytest.raises(Unauthenticated):
        products.identify(forge(key="microservice4", header={"jwk": jwk, "kid": jwk["kid"]}))


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(folder, products):
    jwk = json.loads((folder / "jwks.json").read_text())["keys"][0]
    header = {"typ": "at+jwt", "kid": jwk["kid"]}
    secret = base64.urlsafe_b64decode(jwk["x"] + "=")
    claims = {"iss": "microservice1", "sub": "7", "role": "admin", "aud": "quartet"}

    with pytest.raises(Unauthenticated):
        products.identify(jwt.encode(claims, secret, "HS256", header))


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "..", "é", "a" * 10_000, "e30.e30."])
def test_what_is_no_token_is_refused(products, token):
    with pytest.raises(Unauthenticated):
        products.identify(token)


def test_a_changed_signature_is_refused(products, forge):
    head, _, signature = forge().rpartition(".")
    other = ("A" if signature[0] != "A" else "B") + signature[1:]

    with pytest.raises(Unauthenticated):
        products.identify(f"{head}.{other}")


def test_keys_that_are_replaced_are_noticed(tmp_path):
    testing.make_keys(tmp_path)
    verifier = Verifier("microservice2", tmp_path / "jwks.json")
    pem = tmp_path / "microservice1.pem"
    before = Signer("microservice1", pem).user_token(7, "customer")
    assert verifier.identify(before).user_id == 7

    pem.unlink()
    testing.make_keys(tmp_path)

    after = Signer("microservice1", pem).user_token(8, "customer")
    assert verifier.identify(after).user_id == 8
    with pytest.raises(Unauthenticated):
        verifier.identify(before)


def test_private_keys_are_for_their_owner_alone(folder):
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}

    assert modes.pop("jwks.json") == 0o644
    assert set(modes.values()) == {0o600}
    assert "d" not in json.loads((folder / "jwks.json").read_text())["keys"][0]
