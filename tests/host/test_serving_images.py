"""Nginx reads the images that the service writes, whatever systemd does to the folder meanwhile."""

import pytest

from tests.images import PNG

CALL = """
import sys, urllib.request
method, token, file = sys.argv[1:]
call = urllib.request.Request("http://127.0.0.1/api/service2/products/1/image", method=method)
if file:
    call.data = open(file, "rb").read()
    call.add_header("Authorization", "Bearer " + token)
    call.add_header("Content-Type", "image/png")
answer = urllib.request.urlopen(call, timeout=20)
print(answer.status, answer.headers["Content-Type"], len(answer.read()))
"""


@pytest.fixture
def image(host):
    """Product 1, which the smoke test of the installation has made, has a picture."""
    (host.root / "root/lamp.png").write_bytes(PNG)
    token = host.output("scripts/token")
    assert host.output("python3", "-c", CALL, "PUT", token, "/root/lamp.png").startswith("200 ")


def served(host):
    return host.output("python3", "-c", CALL, "GET", "", "")


def test_an_image_is_served_after_a_deployment_as_before(host, image, a_release):
    as_before = f"200 image/png {len(PNG)}"
    assert served(host) == as_before

    a_release("microservice2/__init__.py", '"""', '"""Brighter. ')
    host.run("scripts/deploy", "--watch", "1", "microservice2")

    assert served(host) == as_before
    host.run("scripts/rollback", "microservice2")


def test_an_image_is_served_while_the_service_is_away(host, image):
    host.run("scripts/stop", "microservice2")
    try:
        assert served(host) == f"200 image/png {len(PNG)}"
    finally:
        host.run("scripts/start", "microservice2")
