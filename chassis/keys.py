"""Keys: one Ed25519 key pair for each service, and one public file that says whose each is.

    python -m chassis.keys {ensure|announce|switch|retire|list} DIRECTORY microservice1 ...

A private key is `DIRECTORY/<service>.pem`, readable by its owner alone; the public ones are
together in `DIRECTORY/jwks.json` (RFC 7517, RFC 8037), each with the member `iss`: the one service
that may sign with it. A retired one has `exp`: when it ends, in seconds since 1970.

`ensure` makes what is missing and keeps what is there. A new key takes over in three steps, each of
which may be repeated, so that whatever was interrupted is finished by doing all three again:
`announce` publishes it, `switch` makes it the one that signs, and, once nobody signs with the one
before, `retire` sets that one's end, after which no token of it can be left.
"""

import argparse
import base64
import hashlib
import json
import math
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# longer than any token lasts (chassis.tokens), with a minute for clocks that are set
RETIRED_SECONDS = 660


def ensure_keys(directory, services):
    """Make the missing keys and publish them. Returns the path of the JWKS file.

    A key whose private half is gone proves nothing from then on.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for service in services:
        _ensure_key(_current(directory, service))
    published = _with_current(directory, services)
    for service in services:
        gone = _superseded(directory, published, service)
        published = [key for key in published if key not in gone]
    return _publish(directory, published)


def announce(directory, services):
    """Make the next key of each service and publish it beside the one that signs.

    A service that has switched already, and is not done yet, gets no other. Returns the path.
    """
    published = _with_current(directory, services)
    for service in services:
        if _next(directory, service).exists() or not _superseded(directory, published, service):
            key = public_jwk(service, _ensure_key(_next(directory, service)))
            published = _with(published, key)
    return _publish(directory, published)


def switch(directory, services):
    """Let each service sign with its next key, from when it reads its key file again."""
    for service in services:
        if _next(directory, service).exists():
            _next(directory, service).replace(_current(directory, service))


def retire(directory, services):
    """Set the end of all published keys of the services but their current ones; drop what ended.

    Returns the path.
    """
    now = int(time.time())
    published = _published(directory)
    for service in services:
        for key in _superseded(directory, published, service):
            key["exp"] = now + RETIRED_SECONDS
    return _publish(directory, [key for key in published if key.get("exp", math.inf) > now])


def described(directory, services):
    """Return [(service, kid, state)]; state: `signs`, `announced`, `superseded`, or until when."""
    published = _published(directory)
    return [
        (service, key["kid"], _state(directory, published, service, key))
        for service in services
        for key in published
        if key["iss"] == service
    ]


def public_jwk(service, private_key):
    """Return the public half as a JWK: `kid` is the RFC 7638 thumbprint, `iss` the owner."""
    raw = private_key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
    thumbprint = hashlib.sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest()
    return {**jwk, "kid": _base64url(thumbprint), "alg": "EdDSA", "use": "sig", "iss": service}


def load_private_key(path):
    """Return the Ed25519 private key in a PEM file."""
    return serialization.load_pem_private_key(Path(path).read_bytes(), password=None)


def show(directory, services):
    """Print a line for each key of the services: whose, its id, and what it is good for."""
    for line in described(directory, services):
        print("{:<14} {}  {}".format(*line))


STEPS = {
    "ensure": ensure_keys,
    "announce": announce,
    "switch": switch,
    "retire": retire,
    "list": show,
}


def _current(directory, service):
    return directory / f"{service}.pem"


def _next(directory, service):
    return directory / f"{service}.next.pem"


def _ensure_key(path):
    if path.exists():
        return load_private_key(path)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(path, pem, mode=0o600)
    return key


def _published(directory):
    file = directory / "jwks.json"
    return json.loads(file.read_text(encoding="utf-8"))["keys"] if file.exists() else []


def _publish(directory, keys):
    text = json.dumps({"keys": keys}, indent=2) + "\n"
    _write(directory / "jwks.json", text.encode(), mode=0o644)
    return directory / "jwks.json"


def _with(published, key):
    """Return the published keys and this one, which is not retired, whatever was said of it."""
    if key in published:
        return published
    return [other for other in published if other["kid"] != key["kid"]] + [key]


def _with_current(directory, services):
    published = _published(directory)
    for service in services:
        key = public_jwk(service, load_private_key(_current(directory, service)))
        published = _with(published, key)
    return published


def _superseded(directory, published, service):
    """Return the keys of a service that are neither its current one nor the next, nor retired."""
    files = (_current(directory, service), _next(directory, service))
    live = {_kid(service, file) for file in files if file.exists()}
    return [
        key
        for key in published
        if key["iss"] == service and key["kid"] not in live and "exp" not in key
    ]


def _state(directory, published, service, key):
    if "exp" in key:
        return (
            f"retired, good until {datetime.fromtimestamp(key['exp'], UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
    if key in _superseded(directory, published, service):
        return "superseded, not retired yet"
    return "signs" if key["kid"] == _kid(service, _current(directory, service)) else "announced"


def _kid(service, file):
    return public_jwk(service, load_private_key(file))["kid"]


def _write(path, data, mode):
    """Write a file in one step, and durably: no reader, and no power cut, sees half of it."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    unfinished.chmod(mode)
    unfinished.replace(path)


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main():
    parser = argparse.ArgumentParser(prog="chassis.keys", description=__doc__.partition("\n")[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("directory", type=Path)
    parser.add_argument("services", nargs="+")
    arguments = parser.parse_args()
    STEPS[arguments.step](arguments.directory, arguments.services)


if __name__ == "__main__":
    main()
