"""The OpenAPI documents hold what they promise: Schemathesis, with all its checks.

QUARTET_SCHEMA_CASES says how many cases there are to be at least; without it there are a few.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.settings import SERVICES, prefix_of

pytestmark = pytest.mark.usefixtures("unharmed")

ROOT = Path(__file__).resolve().parents[2]
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
CASES = int(os.environ.get("QUARTET_SCHEMA_CASES", "0"))
RUNS = [(service, caller) for service in SERVICES for caller in ("admin", "anonymous")]
RUNS += [(service, "microservice3") for service in SERVICES if service != "microservice3"]


@pytest.mark.parametrize(("service", "caller"), RUNS)
def test_a_service_is_what_its_document_says(stack, service, caller):
    generated, examples = 0, 3
    while generated <= CASES / len(RUNS):
        output = schemathesis(stack, service, caller, examples)
        new = int(re.search(r"(\d+) generated", output)[1])
        generated += new
        examples = 50
    print(f"{generated} cases of {service} as {caller}")


def schemathesis(stack, service, caller, examples):
    """Run it once. Returns its output."""
    inside = caller in SERVICES
    base = f"{stack.internal_url if inside else stack.url}{prefix_of(service)}"
    done = subprocess.run(
        [
            *(
                SCHEMATHESIS,
                "--config-file",
                ROOT / "tests/hostile/schemathesis.toml",
                "--no-color",
            ),
            *("run", f"{base}{'/internal' if inside else ''}/openapi.json", "--checks", "all"),
            *("--phases", "examples,coverage,fuzzing,stateful" if CASES else "examples,fuzzing"),
            *("--max-examples", str(examples), "--continue-on-failure"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOSTILE_CALLER": caller,
            "HOSTILE_CALLEE": service,
            "HOSTILE_KEYS": str(stack.var / "keys"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
