import subprocess
import sys
from signal import SIGKILL

import pytest

from chassis import testing

DIE = """
import sys
from chassis import context, crash, settings
from chassis.service import Service

with Service(settings.load("microservice3")).active():
    crash.point("committed")
print("alive")
"""


@pytest.fixture
def pass_a_crash_point(keys, tmp_path):
    """Returns a function: a process with these settings comes to the crash point `committed`."""
    made = testing.make_service("microservice3", "postgresql://nowhere", keys).settings

    secret = tmp_path / "secret"
    secret.write_text(made.secret)

    def run(**settings):
        settings |= {"DATABASE_URL": made.database_url, "JWKS_FILE": str(made.jwks_file)}
        settings |= {"SIGNING_KEY_FILE": str(made.signing_key_file)}
        settings |= {"SECRET_FILE": str(secret)}
        settings |= {"REVOCATIONS_FILE": str(tmp_path / "revocations.json")}
        return subprocess.run(
            [sys.executable, "-c", DIE], env=settings, capture_output=True, text=True
        )

    return run


def test_a_process_dies_at_its_crash_point(pass_a_crash_point):
    died = pass_a_crash_point(CRASH_POINT="committed")

    assert died.returncode == -SIGKILL, died.stderr


@pytest.mark.parametrize(
    "settings",
    [{}, {"CRASH_POINT": "leased"}, {"CRASH_POINT": "committed", "CRASH_SHARE": "0"}],
)
def test_and_passes_all_others(pass_a_crash_point, settings):
    assert pass_a_crash_point(**settings).stdout == "alive\n"
