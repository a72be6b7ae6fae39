"""The tour of the README, word for word: it works on any port, and again on the same stack."""

import os
import re
import subprocess

import pytest

from tests.system.front_door import PROJECT

README = (PROJECT / "README.md").read_text()


@pytest.fixture
def tour():
    """All commands of the tour, as one script that stops at the first that fails."""
    [section] = re.findall(r"^## A tour.*?(?=^## )", README, re.M | re.S)
    return "set -euo pipefail\n" + "\n".join(re.findall(r"```sh\n(.*?)```", section, re.S))


@pytest.fixture
def checkout(stack, tmp_path):
    """A folder in which the stack of this test has the names that the README uses."""
    (tmp_path / "scripts").symlink_to(PROJECT / "scripts")
    (tmp_path / "var").symlink_to(stack.var)
    return tmp_path


def test_the_tour_works_twice_on_any_port(stack, tour, checkout):
    env = {**os.environ, "QUARTET_VAR": str(stack.var)}

    for _ in range(2):
        done = subprocess.run(
            ["bash", "-c", tour], cwd=checkout, env=env, capture_output=True, text=True, timeout=120
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert '"email_confirmed":true' in done.stdout
        assert '"code":"out_of_stock"' in done.stdout
        assert '"status":"cancelled"' in done.stdout
        assert "microservice3        POST /orders: 201" in done.stdout
