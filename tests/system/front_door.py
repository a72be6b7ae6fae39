"""The front door alone: the project's Nginx before services of a test's own making."""

import http.client
import json
import os
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from chassis.listener import INTERNAL_SOCKET

PROJECT = Path(__file__).parents[2]
UWSGI = Path(sys.executable).parent / "uwsgi"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=10):
    """Return what condition() returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing came within {seconds} s")


class Answer:
    """What came back: status, headers (names in lower case), body, and the body as JSON.

    `all(name)` is every header of that name.
    """

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.all = response.headers.get_all
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


def assert_problem(answer, status, code):
    """An error of Nginx's own, in the shape of all errors."""
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == code
    assert answer.json["status"] == status
    assert answer.json["type"] == f"/problems/{code}"
    assert answer.json["title"]
    assert answer.json["detail"]
    assert answer.json["request_id"] == answer.headers["x-request-id"]


class FrontDoor:
    """Nginx as scripts/up runs it, in a folder of the test; sockets of services go to `sockets`.

    changes: {text of a file under nginx/: what stands there instead}.
    """

    def __init__(self, folder, changes=None):
        self.folder = folder
        self.changes = changes or {}
        self.images = folder / "images"
        self.sockets = folder / "run"
        self.port, self.internal_port = free_port(), free_port()
        self.log = folder / "log" / "access.log"

    def start(self):
        (self.folder / "run").mkdir()
        (self.folder / "log").mkdir()
        self.images.mkdir()
        only_on_a_host = shutil.ignore_patterns("service.conf")
        shutil.copytree(PROJECT / "nginx", self.folder / "nginx", ignore=only_on_a_host)
        (self.folder / "nginx" / "tmp").mkdir()
        text = (PROJECT / "nginx" / "embedded.conf").read_text()
        for name, value in {
            "@HTTP_PORT@": self.port,
            "@INTERNAL_PORT@": self.internal_port,
            "@RUN@": self.sockets,
        }.items():
            text = text.replace(name, str(value))
        (self.folder / "nginx" / "nginx.conf").write_text(text)
        for before, after in self.changes.items():
            [file] = [
                path
                for path in (self.folder / "nginx").rglob("*.conf")
                if path.name != "embedded.conf" and before in path.read_text()
            ]
            file.write_text(file.read_text().replace(before, after))
        self._nginx()

    def stop(self):
        self._nginx("-s", "stop")

    def _nginx(self, *arguments):
        if os.geteuid() == 0:
            arguments += ("-g", "user root;")  # a test's folder is closed to anybody else
        command = ["nginx", "-e", "stderr", "-p", f"{self.folder}/nginx/", "-c", "nginx.conf"]
        path = os.environ["PATH"] + ":/usr/sbin"
        subprocess.run([*command, *arguments], check=True, env={**os.environ, "PATH": path})

    def ask(self, method, path, body=None, headers=None, port=None, **options):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {}, **options)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def say(self, text):
        """Send bytes as they are; return the status line, the headers and the body as one text."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


class Echo:
    """A service that answers with what reached it: the uwsgi parameters, the body, the listener.

    `?status=N` chooses the status of the answer. `requests` are the parameters of all that came.
    permission: how it answers when Nginx asks whether it would take an upload, a head of HTTP.
    path: of the public socket; that of the internal one lies beside it.
    """

    def __init__(self, path):
        self.requests = []
        self.permission = "204 -"
        self._servers = [_Listener(self, path, "public")]
        self._servers.append(_Listener(self, path.with_suffix(INTERNAL_SOCKET), "internal"))

    def close(self):
        for server in self._servers:
            server.close()


class _Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 1024

    class RequestHandlerClass(socketserver.StreamRequestHandler):
        def handle(self):
            _, size, _ = struct.unpack("<BHB", self.rfile.read(4))
            parameters = _parameters(self.rfile.read(size))
            body = self.rfile.read(int(parameters.get("CONTENT_LENGTH") or 0))
            service = self.server.service
            service.requests.append(parameters)
            if parameters.get("QUARTET_UPLOAD") == "asked":
                self.wfile.write(f"HTTP/1.1 {service.permission}\r\n\r\n".encode())
                return
            text = body.decode() if len(body) < 1_000_000 else f"{len(body)} bytes"
            found = {"parameters": parameters, "body": text, "listener": self.server.name}
            answer = json.dumps(found).encode()
            status = parameters["QUERY_STRING"].removeprefix("status=") or "200"
            head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n\r\n"
            self.wfile.write(head.encode() + answer)

    def __init__(self, service, path, name):
        super().__init__(str(path), self.RequestHandlerClass)
        self.service, self.name = service, name
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()
        Path(self.server_address).unlink()


def _parameters(packet):
    words, position = [], 0
    while position < len(packet):
        (size,) = struct.unpack_from("<H", packet, position)
        words.append(packet[position + 2 : position + 2 + size].decode())
        position += 2 + size
    return dict(zip(words[::2], words[1::2], strict=True))


class UwsgiService:
    """uWSGI under the settings of chassis/uwsgi.ini, with an application of the test's own."""

    def __init__(self, folder, sockets, application, number=1):
        self.folder, self.number = folder, number
        self.fifo = folder / "fifo"
        self.log = folder / "uwsgi.log"
        self.socket = sockets / f"microservice{number}.sock"
        self.set_application(application)

    def set_application(self, application):
        (self.folder / "tried.py").write_text(application)

    def start(self, *options, **environment):
        # fmt: off
        command = [
            UWSGI, "--ini", PROJECT / "chassis" / "uwsgi.ini", "--socket", self.socket,
            "--socket", self.socket.with_suffix(INTERNAL_SOCKET),
            "--mount", f"/api/service{self.number}=tried:app", "--master-fifo", self.fifo, *options,
        ]
        # fmt: on
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(PROJECT),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    **environment,
                },
            )

    def has_loaded(self, times):
        """The workers have loaded it so often; while one loads, uWSGI loses a signal to stop.

        Of two public ones and the internal one, that is three times after a start.
        """
        return self.log.read_text().count("WSGI app 0") == times

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=20)
