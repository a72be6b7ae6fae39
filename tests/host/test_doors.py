"""Who may come in where: the internal listener, the port of the metrics, the services' sockets."""

import json
import shutil
import time

import pytest

from chassis.settings import SERVICES
from tests.host.asking import rows
from tests.system.front_door import wait_for

pytestmark = pytest.mark.brief

UWSGI = "/usr/lib/quartet/uwsgi"
INTERNAL_SOCKET = "/run/quartet-internal/nginx.sock"
# a program that prints what became of it
CONNECT = f"""
import socket
try:
    socket.socket(socket.AF_UNIX).connect({INTERNAL_SOCKET!r})
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""
BIND = """
import socket
try:
    socket.create_server(("127.0.0.1", {port}))
    print("bound")
except OSError as error:
    print(type(error).__name__)
"""
ASK = """
import http.client, json, sys
connection = http.client.HTTPConnection("127.0.0.1", 8081, timeout=10)
statuses = {}
for path in sys.argv[1:]:
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    statuses[path] = answer.status
print(json.dumps(statuses))
"""
# as Nginx would: `SOCKET NAME=VALUE...`
SEND = """
import socket, struct, sys
variables = dict(word.split("=", 1) for word in sys.argv[2:])
body = variables.pop("BODY", "").encode()
PLAIN = {"REQUEST_METHOD": "GET", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1"}
variables = {**PLAIN, **variables}
if body:
    variables |= {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"}
words = [word.encode() for pair in variables.items() for word in pair]
packet = b"".join(struct.pack("<H", len(word)) + word for word in words)
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
connection.connect(sys.argv[1])
connection.sendall(struct.pack("<BHB", 0, len(packet), 0) + packet + body)
print(b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace"))
"""
READABLE = """
import os, sys
for path in sys.stdin.read().split():
    if os.path.lexists(path) and os.access(path, os.R_OK):
        print(path)
"""
WRITABLE = r"find / -xdev \( -type d -o -type f \) -writable -print 2>/dev/null; true"
WAITING = "SELECT count(*) FROM outbox"
WORDS = ("metrics", "health/live", "health/ready", "internal/events", "products", "docs", "status")
SHARED = ("/dev/shm", "/run", "/run/lock", "/tmp", "/var/tmp")  # other file systems, for everybody
EVIL = "open('/run/microservices/microservice1/was_here', 'w')\ndef application(*_): return []\n"


def as_user(host, user, program, *arguments):
    by = ("env", "--chdir=/", "runuser", "-u", user, "--", "python3", "-c")
    return host.output(*by, program, *arguments)


TRIED_UNIT = """
[Service]
Type=oneshot
User=%i
LoadCredential=tried:/root/tried.py
ExecStart=/usr/bin/python3 %d/tried
StandardInput=file:/root/tried.in
StandardOutput=truncate:/root/tried.out
StandardError=inherit
"""
SANDBOX = "usr/local/lib/systemd/system/microservice@.service.d/sandbox.conf"


@pytest.fixture
def in_sandbox(host):
    """Returns a function that runs a program in the sandbox of a service. Returns its output."""
    units = host.root / "etc/systemd/system"
    (units / "tried@.service").write_text(TRIED_UNIT)
    (units / "tried@.service.d").mkdir()
    (units / "tried@.service.d/sandbox.conf").write_text((host.root / SANDBOX).read_text())
    host.run("systemctl", "daemon-reload")

    def run(service, program, stdin=""):
        (host.root / "root/tried.py").write_text(program)
        (host.root / "root/tried.in").write_text(stdin)
        host.run("systemctl", "start", f"tried@{service}")
        return host.output("cat", "/root/tried.out")

    yield run
    shutil.rmtree(units / "tried@.service.d")
    (units / "tried@.service").unlink()
    host.run("systemctl", "daemon-reload")


def ready(host):
    return host.run("scripts/status", check=False).returncode == 0


def test_only_the_services_reach_the_internal_listener(host, in_sandbox):
    assert as_user(host, "nobody", CONNECT) == "PermissionError"
    assert as_user(host, "postgres", CONNECT) == "PermissionError"
    assert in_sandbox("microservice4", CONNECT) == "connected"


def test_port_8081_has_metrics_and_health_and_no_other_route(host):
    paths = [f"/api/service{number}/{path}" for number in range(1, 5) for path in WORDS]
    statuses = json.loads(as_user(host, "nobody", ASK, *paths))

    assert {path for path, status in statuses.items() if status == 200} == {
        f"/api/service{number}/{path}"
        for number in range(1, 5)
        for path in ("metrics", "health/live", "health/ready")
    }
    assert {status for status in statuses.values() if status != 200} == {404}


def test_a_service_listens_on_no_port(in_sandbox):
    assert in_sandbox("microservice4", BIND.format(port=0)) == "PermissionError"
    assert in_sandbox("microservice1", BIND.format(port=8081)) == "PermissionError"


def test_nobody_takes_a_door_while_nginx_is_away_and_no_event_is_lost(host):
    host.run("systemctl", "stop", "nginx")
    try:
        for user in ("nobody", "microservice4"):
            assert as_user(host, user, BIND.format(port=8081)) == "OSError"
        name = f"awayuser{time.time_ns()}"
        body = (
            f'{{"username": "{name}", "email": "{name}@example.com", "password": "correct horse"}}'
        )
        answer = send(
            host, "microservice1", "PATH_INFO=/api/service1/users", "REQUEST_METHOD=POST", body
        )
        assert answer.startswith("HTTP/1.1 201"), answer
        time.sleep(3)  # the worker tries meanwhile
        assert rows(host, "microservice1", WAITING) != "0"
    finally:
        host.run("systemctl", "start", "nginx")

    wait_for(lambda: rows(host, "microservice1", WAITING) == "0", seconds=60)
    told = f"SELECT count(*) FROM contacts WHERE username = '{name}'"
    wait_for(lambda: rows(host, "microservice4", told) == "1", seconds=10)


def send(host, service, *words):
    *words, body = words
    return as_user(host, "www-data", SEND, f"/run/quartet/{service}.sock", *words, f"BODY={body}")


def test_nginx_that_was_killed_listens_again(host):
    before = host.output("systemctl", "show", "-P", "MainPID", "nginx")
    host.run("systemctl", "kill", "--signal=KILL", "nginx")

    wait_for(
        lambda: (
            host.output("systemctl", "show", "-P", "MainPID", "nginx") not in (before, "0")
            and ready(host)
        ),
        seconds=30,
    )


def test_a_service_sees_nothing_that_nginxs_user_can_write(host, in_sandbox):
    writable = host.output(
        "setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", "sh", "-c", WRITABLE
    )
    places = {*writable.split(), *SHARED}
    assert any(place.startswith("/var/lib/nginx") for place in places)
    own = []
    for place in SHARED:  # a file of Nginx's user in each of them, if it may write there
        host.run(
            "setpriv",
            "--reuid=www-data",
            "--regid=www-data",
            "--clear-groups",
            "touch",
            f"{place}/evil.py",
            check=False,
        )
        own.append(f"{place}/evil.py")
    files = [place for place in places if place not in SHARED]

    for service in SERVICES:
        seen = in_sandbox(service, READABLE, stdin="\n".join([*files, *own])).split()
        assert not [place for place in seen if not place.startswith("/proc/")], service
    host.run("rm", "-f", *own)


def test_nginxs_user_brings_no_code_into_a_service(host):
    marker = "/run/microservices/microservice1/was_here"
    for folder in ("/var/lib/nginx", "/dev/shm", "/run/lock", "/tmp"):
        script = f'cat >"{folder}/evil.py"; chmod 644 "{folder}/evil.py"'
        host.run("sh", "-c", script, stdin=EVIL)
        host.run("chown", "www-data:", f"{folder}/evil.py")
        for forged in (
            (f"UWSGI_FILE={folder}/evil.py",),
            ("UWSGI_SCRIPT=evil", f"UWSGI_CHDIR={folder}"),
            ("UWSGI_MODULE=evil", f"UWSGI_PYTHONPATH={folder}", f"UWSGI_HOME={folder}"),
        ):
            for _ in range(6):
                send(host, "microservice1", "SCRIPT_NAME=/pwn", "PATH_INFO=/pwn", *forged, "")
        host.run("rm", f"{folder}/evil.py")

    assert host.run("test", "-e", marker, check=False).returncode != 0
    assert send(host, "microservice1", "PATH_INFO=/api/service1/metrics", "").startswith(
        "HTTP/1.1 404"
    )
    assert ready(host)


def test_uwsgi_is_compiled_with_guards(host):
    read = host.output("readelf", "--dynamic", "--segments", "--symbols", "--wide", UWSGI)

    assert "BIND_NOW" in read and "GNU_RELRO" in read
    assert "__stack_chk_fail" in read and "__memcpy_chk" in read
    assert "RWE" not in read.split("Section to Segment")[0].split("GNU_STACK")[1].splitlines()[0]
