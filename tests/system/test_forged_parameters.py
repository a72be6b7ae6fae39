"""What Nginx's user could send to a service: uwsgi's own variables, straight to the public socket.

uWSGI obeys some of them while it reads a request, so each test looks at what became of it, and of
the requests after it, and not at the status alone.
"""

import shutil
import socket
import struct

import pytest

from chassis.settings import SERVICES, prefix_of
from tests.stack import free_ports
from tests.system.front_door import wait_for

PLAIN = {"REQUEST_METHOD": "GET", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1"}
APP = """
import pathlib
pathlib.Path({marker!r}).touch()

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"pwned"]
"""


def ask(path, **variables):
    """Send one request as Nginx would. Returns the whole answer, "" if there is none."""
    variables = {**PLAIN, **variables}
    packet = b"".join(
        struct.pack("<H", len(word.encode())) + word.encode()
        for pair in variables.items()
        for word in pair
    )
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(struct.pack("<BHB", 0, len(packet), 0) + packet)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")


@pytest.fixture
def public_socket(stack):
    return stack.var / "run" / "microservice1.sock"


@pytest.fixture
def intruders(stack):
    """A file of code that the service can read, and the file that this code would make."""
    folder = stack.var / "cache" / "intruder"
    folder.mkdir()
    folder.chmod(0o777)
    marker = folder / "was_here"
    (folder / "evil.py").write_text(APP.format(marker=str(marker)))
    yield folder / "evil.py", marker
    shutil.rmtree(folder)


def all_are_well(stack):
    return all(
        stack.call("GET", f"{prefix_of(service)}/health/ready").status_code == 200
        for service in SERVICES
    )


@pytest.mark.parametrize("place", ["/pwn", "/api/service1", ""])
def test_no_other_code_is_loaded_whatever_a_request_says(stack, public_socket, intruders, place):
    code, marker = intruders
    folder = str(code.parent)
    for forged in (
        {"UWSGI_FILE": str(code)},
        {"UWSGI_SCRIPT": "evil", "UWSGI_CHDIR": folder},
        {"UWSGI_MODULE": "evil", "UWSGI_CALLABLE": "application", "UWSGI_CHDIR": folder},
        {"UWSGI_MODULE": "wsgiref.simple_server", "UWSGI_CALLABLE": "demo_app"},
        {"UWSGI_HOME": folder, "UWSGI_FILE": str(code)},
        {"UWSGI_PYHOME": folder, "UWSGI_FILE": str(code)},
        {"UWSGI_PYTHONPATH": folder, "UWSGI_MODULE": "evil"},
        {"UWSGI_SETENV": f"PYTHONPATH={folder}", "UWSGI_MODULE": "evil"},
        {"UWSGI_APPID": "/other", "UWSGI_FILE": str(code)},
        {"UWSGI_TOUCH_RELOAD": str(code), "UWSGI_FILE": str(code)},
    ):
        for _ in range(8):  # each process of the service has its turn
            answer = ask(public_socket, SCRIPT_NAME=place, PATH_INFO=f"{place}/x", **forged)
            assert "pwned" not in answer and "wsgi.version" not in answer, forged

    assert not marker.exists()
    for path in ("/pwn/x", "/api/service1/x", "/x"):
        for _ in range(8):
            assert "pwned" not in ask(public_socket, PATH_INFO=path)
    assert all_are_well(stack)


def test_the_public_socket_cannot_be_made_the_internal_one(stack, public_socket):
    own = public_socket.with_suffix(".internal.sock")
    paths = ("/api/service1/metrics", "/api/service1/internal/events")
    for forged in (
        {"QUARTET_LISTENER": "internal"},
        {"UWSGI_SETENV": "QUARTET_LISTENER=internal"},
        {"SERVER_NAME": str(own), "SERVER_PORT": str(own), "UWSGI_SCHEME": "internal"},
        {"REMOTE_ADDR": "unix:", "HTTP_HOST": str(own)},
    ):
        for path in paths:
            answer = ask(public_socket, PATH_INFO=path, **forged)
            assert answer.startswith("HTTP/1.1 404") or answer == "", (path, forged)
            assert ask(public_socket, PATH_INFO=path).startswith("HTTP/1.1 404")

    assert ask(own, PATH_INFO=paths[0]).startswith("HTTP/1.1 200")


def test_the_password_goes_to_no_other_database_whatever_variables_are_set(stack, public_socket):
    """libpq takes what its settings leave out from the environment, which a request can change."""
    [port] = free_ports(1)
    with socket.create_server(("127.0.0.1", port)) as trap:
        trap.settimeout(1)
        for variable in ("PGHOSTADDR=127.0.0.1", f"PGPORT={port}", "PGHOST=127.0.0.1"):
            for _ in range(16):  # each process of the service has its turn
                ask(public_socket, PATH_INFO="/api/service1/health/live", UWSGI_SETENV=variable)
        stack.function("as_superuser", "postgres", "-c", TERMINATE)

        for _ in range(16):
            ask(public_socket, PATH_INFO="/api/service1/health/ready")
        with pytest.raises(TimeoutError):
            trap.accept()

    stack.script("restart", "microservice1")
    wait_for(lambda: all_are_well(stack))


TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'microservice1'"
