"""Signed tokens (JWT, RFC 7519; EdDSA, RFC 8037): who somebody is, checked without asking anybody.

A user token is signed by microservice1 alone, a service token by the service that it names. Which
key belongs to whom says the JWKS file on this host; what a token's header claims about keys is
never followed.
"""

import json
import math
import re
import secrets
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import jwt
from jwt.utils import base64url_decode

from chassis import wire
from chassis.errors import TokenExpired, Unauthenticated
from chassis.keys import load_private_key, public_jwk
from chassis.revocations import Revocations

ALGORITHM = "EdDSA"
USER_ISSUER = "microservice1"
USER_AUDIENCE = "quartet"
USER_TYPE = "at+jwt"
SERVICE_TYPE = "svc+jwt"
USER_TOKEN_SECONDS = 600
SERVICE_TOKEN_SECONDS = 60
REMEMBERED_TOKENS = 1024  # in one process
ROLES = ("customer", "admin")
_HEADERS = {"alg", "typ", "kid"}
_REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti"]
_FORM = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_USER_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_LARGEST_USER_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: a user (`user_id`, `role` and `epoch`) or a service (`service`).

    epoch: how often all tokens of the user had been ended when this one was issued.
    """

    user_id: int | None = None
    role: str | None = None
    service: str | None = None
    epoch: int = 0

    @property
    def is_admin(self):
        return self.role == "admin"

    @property
    def actor(self):
        """`user:7` or `service:microservice3`, as logs and the audit name it."""
        return f"service:{self.service}" if self.service else f"user:{self.user_id}"


class Signer:
    """Signs this service's tokens. The key is read at first use, and again when it has changed."""

    def __init__(self, name, key_file):
        self._name = name
        self._key_file = Path(key_file)
        self._lock = threading.Lock()
        self._version = None
        self._service_tokens = {}

    def user_token(self, user_id, role, epoch=0):
        """Return an access token for a user. Only microservice1's is accepted by anybody."""
        claims = {"sub": str(user_id), "role": role, "epoch": epoch, "aud": USER_AUDIENCE}
        return self._sign(claims, USER_TYPE, USER_TOKEN_SECONDS)

    def service_token(self, audience):
        """Return a token that names us to the service `audience`; kept for half its life.

        By the wall clock, as the token says it: after a step of that, the old one is of no use.
        """
        now = time.time()
        token, signed_at = self._service_tokens.get(audience, (None, math.inf))
        if not signed_at <= now < signed_at + SERVICE_TOKEN_SECONDS / 2:
            claims = {"sub": self._name, "aud": audience}
            token = self._sign(claims, SERVICE_TYPE, SERVICE_TOKEN_SECONDS)
            self._service_tokens[audience] = token, now
        return token

    def _read_key(self):
        """Return the key to sign with, and its id."""
        with self._lock:
            version = _version_of(self._key_file)
            if version != self._version:
                key = load_private_key(self._key_file)
                self._key = key, public_jwk(self._name, key)["kid"]
                self._version = version
            return self._key

    def _sign(self, claims, token_type, seconds):
        key, kid = self._read_key()
        now = int(time.time())
        lifetime = {"iat": now, "nbf": now, "exp": now + seconds}
        return jwt.encode(
            {"iss": self._name, "jti": secrets.token_hex(8), **lifetime, **claims},
            key,
            algorithm=ALGORITHM,
            headers={"typ": token_type, "kid": kid},
        )


class Verifier:
    """Checks tokens against the JWKS file, which is read again when it has changed.

    Whatever is signed with a retired key there, one with `exp`, expires then at the latest.
    revocations: a chassis.revocations.Revocations; without one, no token is revoked.
    """

    def __init__(self, name, jwks_file, revocations=None):
        self._name = name
        self._revocations = revocations or Revocations(None)
        self._jwks_file = Path(jwks_file)
        self._lock = threading.Lock()
        self._version = None
        self._keys = {}
        self._proved = lru_cache(maxsize=REMEMBERED_TOKENS)(self._prove)

    def identify(self, token):
        """Return the Identity that a token proves. Raises TokenExpired or Unauthenticated."""
        identity, expires = self._proved(token, self._read_keys())
        if time.time() >= expires:
            raise TokenExpired
        if identity.user_id and identity.epoch < self._revocations.epoch_of(identity.user_id):
            raise TokenExpired("The access token was revoked: sign in again")
        return identity

    def _prove(self, token, _version_of_keys):
        """Check everything about a token that does not change while the keys stay the same.

        The same token comes with every request of a client, and checking it takes as long as a
        small query: what was proved is remembered, what was refused is not.
        """
        try:
            header = _header(token)
            issuer, key, ends = self._owner(header["kid"])
            if header["typ"] == USER_TYPE and issuer == USER_ISSUER:
                claims = self._decode(token, key, issuer, USER_AUDIENCE, USER_TOKEN_SECONDS)
                return _user(claims), min(claims["exp"], ends)
            if header["typ"] == SERVICE_TYPE:
                claims = self._decode(token, key, issuer, self._name, SERVICE_TOKEN_SECONDS)
                return _service(claims, issuer), min(claims["exp"], ends)
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired from error
        except jwt.ImmatureSignatureError as error:  # our clock is slow: as if theirs were
            raise TokenExpired("The access token is not valid yet") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("The access token is not valid") from error
        raise Unauthenticated("The access token is of a kind that is not accepted here")

    def _decode(self, token, key, issuer, audience, longest):
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=issuer,
            audience=audience,
            options={"require": _REQUIRED, "strict_aud": True},
        )
        if any(type(claims[name]) is not int for name in ("iat", "nbf", "exp")):
            raise ValueError("a time is no whole number of seconds")
        if claims["exp"] - claims["iat"] > longest:
            raise ValueError("it lasts longer than anything that is signed here")
        return claims

    def _read_keys(self):
        """Read the file again if it has changed. Returns which version of it was read."""
        version = _version_of(self._jwks_file)
        if version != self._version:
            with self._lock:
                keys = json.loads(self._jwks_file.read_text(encoding="utf-8"))["keys"]
                self._keys = {
                    key["kid"]: (key["iss"], jwt.PyJWK(key).key, key.get("exp", math.inf))
                    for key in keys
                }
                self._version = version
        return version

    def _owner(self, kid):
        """Return the issuer whose key that is, the key, and when it ends."""
        if not isinstance(kid, str) or kid not in self._keys:
            raise Unauthenticated("The access token is signed with an unknown key")
        return self._keys[kid]


def _version_of(file):
    """Return what changes when a file is replaced."""
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_ino


def _header(token):
    """Return the header of a token that can be read in one way only. Raises ValueError.

    PyJWT takes a key that is there twice, padding, and headers that it does not know.
    """
    if not _FORM.fullmatch(token):
        raise ValueError("it is not three parts in base64url")
    header, claims = (wire.loads(base64url_decode(part)) for part in token.split(".")[:2])
    if not isinstance(header, dict) or not isinstance(claims, dict) or header.keys() != _HEADERS:
        raise ValueError("it has other headers than ours have")
    return header


def _user(claims):
    is_id = _USER_ID.fullmatch(claims["sub"]) and int(claims["sub"]) <= _LARGEST_USER_ID
    epoch = claims.get("epoch", 0)  # releases before epochs signed without one
    if claims.get("role") not in ROLES or not is_id or type(epoch) is not int:
        raise Unauthenticated("The access token names no user")
    return Identity(user_id=int(claims["sub"]), role=claims["role"], epoch=epoch)


def _service(claims, issuer):
    if claims["sub"] != issuer or "role" in claims:
        raise Unauthenticated("The access token names another service")
    return Identity(service=issuer)
