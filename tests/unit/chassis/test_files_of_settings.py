"""The file of settings that operators edit says what chassis/settings.py reads."""

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from chassis import settings
from chassis.settings_file import CHOICES, EVERY_SERVICE, completed

ROOT = Path(__file__).resolve().parents[3]
NAMES = {choice.name for choice in CHOICES}

# what scripts decide, and what is for tests
NO_CHOICE = {
    *("DATABASE_URL", "DATABASE_PASSWORD_FILE", "DATABASE_OWNER_PASSWORD_FILE", "JWKS_FILE"),
    *("SIGNING_KEY_FILE", "SECRET_FILE", "REVOCATIONS_FILE", "INTERNAL_URL", "IMAGES_DIR"),
    *("NOTIFY_SOCKET", "CRASH_POINT", "CRASH_SHARE"),
}


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """The environment of a service, with what scripts decide and nothing that is chosen."""
    (tmp_path / "secret").write_text("a secret")
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://microservice1@/microservice1")
    for name in ("JWKS_FILE", "SIGNING_KEY_FILE", "SECRET_FILE", "REVOCATIONS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "secret"))
    return monkeypatch


def test_every_setting_that_is_read_and_may_be_chosen_is_listed():
    source = (ROOT / "chassis/settings.py").read_text()
    read = set(re.findall(r'"([A-Z][A-Z_]{4,})"', source)) - {"DEBUG", "WARNING", "ERROR"}
    read |= set(re.findall(r"(PROCESSES|THREADS)", (ROOT / "chassis/uwsgi.ini").read_text()))

    assert read - NO_CHOICE == NAMES
    assert settings.SERVICES.keys() == set(EVERY_SERVICE)


def test_the_defaults_that_are_listed_are_those_that_hold(environment):
    without = asdict(settings.load("microservice1"))
    for choice in CHOICES:
        environment.setenv(choice.name, choice.default)

    assert asdict(settings.load("microservice1")) == without
    assert settings.load_owner("microservice1").audit_kept is None


def test_scripts_pass_on_each_setting_that_may_be_chosen():
    library = (ROOT / "scripts/lib/settings.sh").read_text()
    passed_on = {name for name in NAMES if re.search(rf"\b{name}\b", library)}

    assert passed_on == NAMES - {"SMTP_URL"}


def test_readme_has_a_row_for_each():
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| (`[A-Z].*?) \|", readme.partition("Of each service's proc")[2], re.M)
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}

    assert named >= NAMES


OF_AN_OPERATOR = """\
# our shop
DATABASE_URL="postgresql:///x"
CURRENCY="GBP"
# CURRENCY: we decided this in 2025
#LOG_LEVEL="DEBUG"
MINE=1"""


def test_what_an_operator_wrote_stays_and_a_second_time_changes_nothing():
    once = completed(OF_AN_OPERATOR, "microservice3")

    assert [line for line in once.splitlines() if line in OF_AN_OPERATOR.splitlines()] == (
        OF_AN_OPERATOR.splitlines()
    )
    assert completed(once, "microservice3") == once
    lines = once.splitlines()
    assert lines[lines.index('CURRENCY="GBP"') - 1].startswith("## CURRENCY: three capital")
    assert lines[lines.index('#LOG_LEVEL="DEBUG"') - 1].startswith("## LOG_LEVEL: DEBUG, INFO")
    assert '#LOG_LEVEL="INFO"' not in lines


def test_a_description_of_an_earlier_release_is_replaced():
    old = '## CURRENCY: anything goes. Default: XXX\nCURRENCY="GBP"\n'

    assert "anything goes" not in completed(old, "microservice3")


@pytest.mark.parametrize("service", EVERY_SERVICE)
def test_a_service_gets_the_settings_that_it_reads(service):
    text = completed("", service)

    listed = set(re.findall(r"^#([A-Z_]+)=", text, re.M))
    assert listed == {choice.name for choice in CHOICES if service in choice.services}
    assert ("REGISTRATION" in listed) == (service == "microservice1")
