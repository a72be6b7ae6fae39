"""Tokens that are not what they seem: each a function of a Forger, all to be refused by everybody.

A Forger holds the private keys of all services, which no attacker does: so each token here is wrong
in what its name says, and right in all else.
"""

import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from chassis.keys import load_private_key, public_jwk

ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's base point
UNIX_END = 2**31 - 1


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Forger:
    """Signs anything with the key of any service. keys: the folder that `chassis.keys` filled.

    audience: the service that the tokens are shown to.
    """

    def __init__(self, keys, audience):
        self.keys = keys
        self.audience = audience
        self.neighbour = "microservice4" if audience == "microservice2" else "microservice2"

    def key(self, name):
        return load_private_key(self.keys / f"{name}.pem")

    def kid(self, name):
        return public_jwk(name, self.key(name))["kid"]

    def header(self, name="microservice1", **changes):
        return _changed({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid(name)}, changes)

    def claims(self, **changes):
        now = int(time.time())
        lifetime = {"iat": now, "nbf": now, "exp": now + 60}
        who = {"iss": "microservice1", "sub": "7", "role": "admin", "aud": "quartet", "jti": "1"}
        return _changed({**who, **lifetime}, changes)

    def service_claims(self, name="microservice3", **changes):
        who = {"iss": name, "sub": name, "aud": self.audience, "role": None}
        return self.claims(**{**who, **changes})

    def sign(self, header, claims, key="microservice1"):
        """Return a token. header, claims: dicts, or text or bytes that stand there as they are."""
        key = self.key(key) if isinstance(key, str) else key
        signed = f"{_part(header)}.{_part(claims)}"
        return f"{signed}.{b64(key.sign(signed.encode()))}"

    def user(self, header=None, key="microservice1", **changes):
        """Return a user's token with some claims changed, and with other headers if there are."""
        return self.sign(self.header(**(header or {})), self.claims(**changes), key)

    def service(self, name="microservice3", header=None, key=None, **changes):
        header = self.header(name, **{"typ": "svc+jwt", **(header or {})})
        return self.sign(header, self.service_claims(name, **changes), key or name)

    def parts(self):
        return self.user().split(".")


def _changed(values, changes):
    """None stands for what is left out."""
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def _part(value):
    if not isinstance(value, bytes | str):
        value = json.dumps(value)
    return b64(value if isinstance(value, bytes) else value.encode())


def _hmac(forger, secret):
    signed = f"{_part(forger.header(alg='HS256'))}.{_part(forger.claims())}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _public(forger, encoding, form):
    return forger.key("microservice1").public_key().public_bytes(encoding, form)


def _es256(forger):
    signed = f"{_part(forger.header(alg='ES256'))}.{_part(forger.claims())}"
    key = generate_private_key(SECP256R1())
    return f"{signed}.{b64(key.sign(signed.encode(), ECDSA(SHA256())))}"


def _own_key(forger, **header):
    """A token that brings its key along, under the name of one that is known."""
    key = Ed25519PrivateKey.generate()
    jwk = public_jwk("microservice1", key)
    header = {name: jwk if value == "JWK" else value for name, value in header.items()}
    return forger.user(header=header, key=key)


def _with_signature(forger, change):
    head, claims, signature = forger.parts()
    raw = base64.urlsafe_b64decode(signature + "==")
    return f"{head}.{claims}.{b64(change(raw))}"


def _plus_order(raw):
    """The other form of the same signature: S + L, which RFC 8032 has verifiers refuse."""
    s = int.from_bytes(raw[32:], "little") + ORDER
    return raw[:32] + s.to_bytes(32, "little")


def _non_canonical(forger):
    """The last letter of 64 bytes holds 4 bits that mean nothing: decoders differ on them."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = forger.user()
    return token[:-1] + alphabet[alphabet.index(token[-1]) | 1]


def _claims_text(forger, addition):
    """The claims as text, and before the closing brace a key that is there already."""
    return json.dumps(forger.claims())[:-1] + f", {addition}}}"


def _twice(forger, addition):
    return forger.sign(forger.header(), _claims_text(forger, addition))


FORGERIES = {
    # ---- the algorithm and the key
    "alg none, unsigned": lambda f: f"{_part(f.header(alg='none'))}.{_part(f.claims())}.",
    "alg None, unsigned": lambda f: f"{_part(f.header(alg='None'))}.{_part(f.claims())}.",
    "alg none, signed": lambda f: f.user(header={"alg": "none"}),
    "alg missing": lambda f: f.user(header={"alg": None}),
    "alg empty": lambda f: f.user(header={"alg": ""}),
    "alg a list": lambda f: f.user(header={"alg": ["EdDSA"]}),
    "alg in small letters": lambda f: f.user(header={"alg": "eddsa"}),
    "alg HS256, signed by EdDSA": lambda f: f.user(header={"alg": "HS256"}),
    "alg EdDSA, unsigned": lambda f: f"{_part(f.header())}.{_part(f.claims())}.",
    "HS256 under the raw public key": lambda f: _hmac(
        f, _public(f, serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    ),
    "HS256 under the public key's PEM": lambda f: _hmac(
        f, _public(f, serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    ),
    "HS256 under the JWKS file": lambda f: _hmac(f, (f.keys / "jwks.json").read_bytes()),
    "HS256 under nothing": lambda f: _hmac(f, b""),
    "ES256 under an own key": _es256,
    "an own key": _own_key,
    "kid of another service": lambda f: f.user(header={"kid": f.kid("microservice3")}),
    "kid of another service, and its key": lambda f: f.user(
        header={"kid": f.kid("microservice3")}, key="microservice3"
    ),
    "kid missing": lambda f: f.user(header={"kid": None}),
    "kid empty": lambda f: f.user(header={"kid": ""}),
    "kid a number": lambda f: f.user(header={"kid": 0}),
    "kid a list": lambda f: f.user(header={"kid": [f.kid("microservice1")]}),
    "kid an object": lambda f: f.user(header={"kid": {"kid": 1}}),
    "kid a path": lambda f: f.user(header={"kid": "../../../../dev/null"}),
    "kid an SQL condition": lambda f: f.user(header={"kid": "' OR 1=1 --"}),
    # ---- headers that promise something else
    "jwk brought along": lambda f: _own_key(f, jwk="JWK"),
    "jwk brought along, without kid": lambda f: _own_key(f, jwk="JWK", kid=None),
    "jku": lambda f: _own_key(f, jku="https://evil.example/jwks.json"),
    "x5u": lambda f: _own_key(f, x5u="https://evil.example/cert.pem"),
    "x5c": lambda f: _own_key(f, x5c=["MIIB"]),
    "crit": lambda f: f.user(header={"crit": ["exp"], "exp": 1}),
    "crit of nothing known": lambda f: f.user(header={"crit": ["quartet"], "quartet": True}),
    "crit empty": lambda f: f.user(header={"crit": []}),
    "b64 false": lambda f: f.user(header={"b64": False, "crit": ["b64"]}),
    "b64 false, not critical": lambda f: f.user(header={"b64": False}),
    "nested: cty JWT": lambda f: f.sign(f.header(cty="JWT"), f.user()),
    "nested: cty JWT and claims": lambda f: f.user(header={"cty": "JWT"}),
    "header a list": lambda f: f.sign("[]", f.claims()),
    "header null": lambda f: f.sign("null", f.claims()),
    "header no JSON": lambda f: f.sign("{", f.claims()),
    "header of two algs": lambda f: f.sign(
        json.dumps(f.header())[:-1] + ', "alg": "none"}', f.claims()
    ),
    # ---- the type: whose token it is
    "typ JWT": lambda f: f.user(header={"typ": "JWT"}),
    "typ missing": lambda f: f.user(header={"typ": None}),
    "typ a list": lambda f: f.user(header={"typ": ["at+jwt"]}),
    "typ in capitals": lambda f: f.user(header={"typ": "AT+JWT"}),
    "a user's token as a service's": lambda f: f.user(header={"typ": "svc+jwt"}),
    "a service's token as a user's": lambda f: f.service(header={"typ": "at+jwt"}),
    "a user minted by another service": lambda f: f.sign(
        f.header("microservice3"), f.claims(iss="microservice3"), "microservice3"
    ),
    "a user minted in microservice1's name": lambda f: f.sign(
        f.header("microservice3"), f.claims(), "microservice3"
    ),
    "a service with a role": lambda f: f.service(role="admin"),
    "a service for another audience": lambda f: f.service(aud=f.neighbour),
    "a service for users' audience": lambda f: f.service(aud="quartet"),
    "a service in another's name": lambda f: f.service(sub="microservice1"),
    "a service issued by another": lambda f: f.service(iss="microservice1"),
    "a service under another's kid": lambda f: f.service(key="microservice4"),
    "a service that does not exist": lambda f: f.service(iss="microservice9", sub="microservice9"),
    # ---- the claims
    "aud missing": lambda f: f.user(aud=None),
    "aud empty": lambda f: f.user(aud=""),
    "aud wrong": lambda f: f.user(aud="octet"),
    "aud a list": lambda f: f.user(aud=["quartet"]),
    "aud in capitals": lambda f: f.user(aud="QUARTET"),
    "aud a service": lambda f: f.user(aud=f.audience),
    "iss missing": lambda f: f.user(iss=None),
    "iss empty": lambda f: f.user(iss=""),
    "iss wrong": lambda f: f.user(iss="microservice2"),
    "iss a list": lambda f: f.user(iss=["microservice1"]),
    "sub missing": lambda f: f.user(sub=None),
    "sub empty": lambda f: f.user(sub=""),
    "sub a number": lambda f: f.user(sub=7),
    "sub negative": lambda f: f.user(sub="-7"),
    "sub a word": lambda f: f.user(sub="admin"),
    "sub padded": lambda f: f.user(sub=" 7"),
    "sub in other digits": lambda f: f.user(sub="٧"),
    "sub a superscript": lambda f: f.user(sub="²"),
    "sub beyond 64 bits": lambda f: f.user(sub=str(2**63)),
    "sub of 5,000 digits": lambda f: f.user(sub="9" * 5_000),
    "role missing": lambda f: f.user(role=None),
    "role unknown": lambda f: f.user(role="root"),
    "role in capitals": lambda f: f.user(role="ADMIN"),
    "role a list": lambda f: f.user(role=["admin"]),
    "role an object": lambda f: f.user(role={"admin": True}),
    "epoch a word": lambda f: f.user(epoch="1"),
    "epoch a fraction": lambda f: f.user(epoch=1.5),
    "epoch true": lambda f: f.user(epoch=True),
    "epoch null": lambda f: f.sign(f.header(), {**f.claims(), "epoch": None}),
    "jti missing": lambda f: f.user(jti=None),
    "claims a list": lambda f: f.sign(f.header(), "[]"),
    "claims null": lambda f: f.sign(f.header(), "null"),
    "claims a number": lambda f: f.sign(f.header(), "7"),
    "claims empty": lambda f: f.sign(f.header(), "{}"),
    "claims no JSON": lambda f: f.sign(f.header(), "{"),
    "claims no UTF-8": lambda f: f.sign(f.header(), b'{"sub": "\xff"}'),
    "claims nested 1,500 deep": lambda f: f.sign(f.header(), "[" * 1_500 + "]" * 1_500),
    "sub twice": lambda f: _twice(f, '"sub": "1"'),
    "role twice": lambda f: _twice(f, '"role": "admin"'),
    "exp twice": lambda f: _twice(f, f'"exp": {UNIX_END}'),
    # ---- the time
    "expired": lambda f: f.user(exp=int(time.time()) - 1),
    "expired a service's": lambda f: f.service(exp=int(time.time()) - 1),
    "exp missing": lambda f: f.user(exp=None),
    "exp a string": lambda f: f.user(exp=str(UNIX_END)),
    "exp a word": lambda f: f.user(exp="never"),
    "exp negative": lambda f: f.user(exp=-1),
    "exp zero": lambda f: f.user(exp=0),
    "exp true": lambda f: f.user(exp=True),
    "exp a list": lambda f: f.user(exp=[UNIX_END]),
    "exp NaN": lambda f: f.user(exp=float("nan")),
    "exp Infinity": lambda f: f.user(exp=float("inf")),
    "exp 1e400": lambda f: f.sign(
        f.header(), json.dumps(f.claims(exp="E")).replace('"E"', "1e400")
    ),
    "exp 1e300": lambda f: f.user(exp=1e300),
    "exp of 5,000 digits": lambda f: f.sign(
        f.header(), json.dumps(f.claims(exp="E")).replace('"E"', "9" * 5_000)
    ),
    "exp beyond any lifetime": lambda f: f.user(exp=2**62),
    "exp longer than a user's lifetime": lambda f: f.user(exp=int(time.time()) + 86_400),
    "exp longer than a service's lifetime": lambda f: f.service(exp=int(time.time()) + 600),
    "nbf in the future": lambda f: f.user(nbf=int(time.time()) + 60),
    "nbf missing": lambda f: f.user(nbf=None),
    "nbf a word": lambda f: f.user(nbf="now"),
    "nbf NaN": lambda f: f.user(nbf=float("nan")),
    "iat in the future": lambda f: f.user(iat=int(time.time()) + 60),
    "iat missing": lambda f: f.user(iat=None),
    "iat a list": lambda f: f.user(iat=[1]),
    "iat -Infinity": lambda f: f.user(iat=float("-inf")),
    # ---- how it is written
    "no dots": lambda f: f.user().replace(".", ""),
    "one dot": lambda f: ".".join(f.parts()[:2]),
    "four parts": lambda f: f.user() + ".e30",
    "five parts, as JWE has": lambda f: f.user() + ".e30.e30",
    "a dot more": lambda f: f.user() + ".",
    "only dots": lambda f: "..",
    "no header": lambda f: "." + ".".join(f.parts()[1:]),
    "no claims": lambda f: f"{f.parts()[0]}..{f.parts()[2]}",
    "no signature": lambda f: ".".join(f.parts()[:2]) + ".",
    "padding": lambda f: f.user() + "==",
    "plain base64": lambda f: f.user().replace("-", "+").replace("_", "/") + "+/",
    "last letter not canonical": _non_canonical,
    "a blank inside": lambda f: f.user().replace(".", ". ", 1),
    "a letter that is no ASCII": lambda f: f.user() + "é",
    "a letter that is no ASCII inside": lambda f: "é" + f.user(),
    "a percent sign": lambda f: f.user().replace(".", "%2e"),
    "quotes": lambda f: f'"{f.user()}"',
    "two tokens": lambda f: f"{f.user()},{f.user()}",
    "7 kB of it": lambda f: f.user(more="x" * 3_500) + "A" * 2_000,
    "JSON serialisation": lambda f: json.dumps(
        dict(zip(("protected", "payload", "signature"), f.parts(), strict=True))
    ),
    # ---- the signature
    "signature cut short": lambda f: f.user()[:-4],
    "signature longer": lambda f: _with_signature(f, lambda raw: raw + b"\0"),
    "signature of zeros": lambda f: _with_signature(f, lambda raw: bytes(64)),
    "signature with a bit changed": lambda f: _with_signature(
        f, lambda raw: bytes([raw[0] ^ 1]) + raw[1:]
    ),
    "signature plus the order": lambda f: _with_signature(f, _plus_order),
    "signature of the identity": lambda f: _with_signature(f, lambda raw: b"\1" + bytes(63)),
    "signature of another token": lambda f: ".".join(
        [*f.parts()[:2], f.user(sub="8").split(".")[2]]
    ),
    "claims of another token": lambda f: ".".join(
        [f.parts()[0], f.user(sub="8").split(".")[1], f.parts()[2]]
    ),
}
