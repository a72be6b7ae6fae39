"""Settings that make no sense are refused, all at once, and each by what it accepts."""

import os
import subprocess
import sys

import pytest

WRONG = {
    "CURRENCY": ("euro", "must be three capital letters, as EUR, and is 'euro'"),
    "LOG_LEVEL": ("debug", "must be DEBUG, INFO, WARNING or ERROR, and is 'debug'"),
    "REGISTRATION": ("closed", "must be open or admin, and is 'closed'"),
    "PROCESSES": ("0", "must be a whole number from 1 to 64, and is '0'"),
    "THREADS": ("4.0", "must be a whole number from 1 to 64, and is '4.0'"),
    "DATABASE_CONNECTIONS": ("65", "must be a whole number from 1 to 64, and is '65'"),
    "MAIL_FROM": (
        "Shop",
        "must be like shop@example.com or Shop <shop@example.com>, with ASCII before the @, "
        "and is 'Shop'",
    ),
    "ORDERS_PER_MINUTE": ("-1", "must be a whole number from 1 to 1000000, and is '-1'"),
    "NOTIFICATIONS_KEPT_DAYS": ("7", "must be a whole number from 30 to 1000000, and is '7'"),
    "AUDIT_KEPT_MONTHS": ("٣٠", "must be a whole number from 24 to 1000000, and is '٣٠'"),
}


def check(*words, **given):
    """Run `python -m chassis.settings` with these words, in an environment of these settings."""
    return subprocess.run(
        [sys.executable, "-m", "chassis.settings", *words],
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **given},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_told_in_one_line_with_what_is_accepted(name):
    value, reason = WRONG[name]

    done = check(**{name: value})

    assert done.returncode == 1
    assert done.stderr == f"{name} {reason}\n"


def test_all_wrong_settings_are_told_at_once():
    done = check(**{name: value for name, (value, _) in WRONG.items()})

    assert sorted(line.split()[0] for line in done.stderr.splitlines()) == sorted(WRONG)


def test_what_may_hold_a_password_is_not_repeated():
    done = check(SMTP_URL="http://shop:geheim@mail.example")

    assert done.stderr.startswith("SMTP_URL must be like smtp://")
    assert "geheim" not in done.stderr


@pytest.mark.parametrize(
    "given",
    [{}, {"CURRENCY": "GBP", "PROCESSES": "64"}, {"ORDERS_PER_MINUTE": ""}, {"PUBLIC_URL": ""}],
)
def test_sound_settings_pass(given):
    assert check(**given).returncode == 0


def test_a_service_names_all_that_is_missing_or_wrong_in_one_line():
    done = check("microservice3", CURRENCY="euro", DATABASE_URL="postgresql://nowhere")

    [line] = done.stderr.splitlines()
    assert line.startswith("microservice3: JWKS_FILE is not set; SIGNING_KEY_FILE is not set; ")
    assert "CURRENCY must be three capital letters" in line
    assert line.endswith("See the table of settings in README.md.")
