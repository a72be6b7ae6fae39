"""The running stack that is measured: where it is, and what is asked of it before a measurement."""

import http.client
import json
import os
import subprocess
import uuid
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
VAR = Path(os.environ.get("QUARTET_VAR", CHECKOUT / "var"))
PORT = int(os.environ.get("QUARTET_HTTP_PORT", 8080))


def admin_token():
    command = [CHECKOUT / "scripts" / "token"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def call(method, path, token=None, body=None):
    """Return (status, JSON). Raises OSError if there is no answer within 20 s."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


def create_product(token):
    """Return the id of a new product of which there are plenty."""
    product = {
        "sku": f"BENCHMARK-{uuid.uuid4()}",
        "name": "Lamp",
        "category": "Benchmark",
        "price": 29.90,
        "stock": 1_000_000,
    }
    status, answer = call("POST", "/api/service2/products", token, product)
    if status != 201:
        raise SystemExit(f"no product could be created: {status} {answer}")
    return answer["id"]


def get(path, token=None):
    """Return a request for the flood, as bytes; one that no cache may answer."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCache-Control: no-cache\r\n{authorization}\r\n"
    ).encode()
