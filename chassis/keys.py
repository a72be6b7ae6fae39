"""Keys: one Ed25519 key pair for each service, and one public file that says whose each is.

    python -m chassis.keys DIRECTORY microservice1 microservice2 ...

Makes what is missing, keeps what is there. A private key is `DIRECTORY/<service>.pem`, readable by
its owner alone; the public ones are together in `DIRECTORY/jwks.json` (RFC 7517, RFC 8037), each
with the member `iss`: the one service that may sign with it.
"""

import argparse
import base64
import hashlib
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def ensure_keys(directory, services):
    """Make the missing keys and write the JWKS file. Returns the file's path."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    keys = [public_jwk(service, _ensure_key(directory / f"{service}.pem")) for service in services]
    return write_jwks(directory / "jwks.json", keys)


def write_jwks(path, keys):
    """Write public keys to `path` in one step: no reader sees half of it. Returns the path."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps({"keys": keys}, indent=2) + "\n", encoding="utf-8")
    unfinished.chmod(0o644)
    unfinished.replace(path)
    return path


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


def _ensure_key(path):
    if path.exists():
        return load_private_key(path)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    unfinished.replace(path)
    return key


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main():
    parser = argparse.ArgumentParser(prog="chassis.keys", description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("services", nargs="+")
    arguments = parser.parse_args()
    print(ensure_keys(arguments.directory, arguments.services))


if __name__ == "__main__":
    main()
