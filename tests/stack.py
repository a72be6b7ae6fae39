"""A whole stack of its own, as `scripts/up` makes it, on free ports beside whatever is running."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[1]
HELD_BY_THE_CALLER = "held"  # a file beside var/ that scripts/up is given open
TOKEN_RENEWED_SECONDS = 300  # of the 600 that a token lasts, which are fewer than all tests take

_WITH_LIBRARY = """
source "$1/scripts/lib/common.sh"
source "$1/scripts/lib/stack.sh"
open_stack
shift
"$@"
"""


@dataclass(frozen=True)
class Stack:
    """A running stack. url, internal_url: without a path. env: what its scripts are called with."""

    url: str
    internal_url: str
    var: Path
    env: dict

    def script(self, name, *arguments, check=True, **settings):
        """Run one of the scripts on this stack, with more settings. Returns a CompletedProcess."""
        return self._run([ROOT / "scripts" / name, *arguments], check, settings)

    def function(self, name, *arguments, check=True):
        """Call a function of scripts/lib, as `start_worker`. Returns a CompletedProcess."""
        command = ["bash", "-c", _WITH_LIBRARY, "library", ROOT, name, *arguments]
        return self._run(command, check, {})

    def token(self, *username):
        return self.script("token", *username).stdout.strip()

    def admin_token(self):
        return self.token()

    def call(self, method, path, *, token=None, **options):
        """Call a path (`/api/service2/products`) through Nginx, as the holder of the token."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {})}
        headers |= options.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=15, **options)

    def _run(self, command, check, settings):
        return subprocess.run(
            command, env={**self.env, **settings}, capture_output=True, text=True, check=check
        )


@contextmanager
def running_stack(prefix):
    """Start a stack in a temporary folder whose name begins so; stop and erase it afterwards."""
    home = Path(tempfile.mkdtemp(prefix=prefix))
    home.chmod(0o755)
    http, internal = free_ports(2)
    stack = Stack(
        url=f"http://127.0.0.1:{http}",
        internal_url=f"http://127.0.0.1:{internal}",
        var=home / "var",
        env={
            **os.environ,
            "QUARTET_VAR": str(home / "var"),
            "QUARTET_HTTP_PORT": str(http),
            "QUARTET_INTERNAL_PORT": str(internal),
        },
    )
    with (home / HELD_BY_THE_CALLER).open("w") as held:
        started = subprocess.run(
            [ROOT / "scripts/up"],
            **{"env": stack.env, "capture_output": True, "text": True},
            pass_fds=[held.fileno()],
        )
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield stack
    finally:
        stack.script("down", check=False)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def stack():
    """Started once for all tests of this run; its folder has a space in its name on purpose."""
    with running_stack("quartet test ") as stack:
        yield stack


@pytest.fixture(scope="session")
def _fresh_admin_token(stack):
    """Returns a function that gives a token of an administrator which outlasts any test."""
    made = []  # the token, and when it was made

    def token():
        if not made or time.monotonic() - made[1] > TOKEN_RENEWED_SECONDS:
            made[:] = stack.admin_token(), time.monotonic()
        return made[0]

    return token


@pytest.fixture
def admin_token(_fresh_admin_token):
    return _fresh_admin_token()


def free_ports(count):
    """Return ports of 127.0.0.1 on which nobody listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports
