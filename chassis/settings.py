"""Settings come from the environment, are read here and nowhere else, and are complete or refused.

A secret is in a file that `NAME_FILE` names, never in a variable. The exception is SMTP_URL, which
may hold the password for the mail server.
"""

import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from environs import Env, EnvError, EnvValidationError, ValidationError

from chassis.mailboxes import sendable

SERVICES = {f"microservice{n}": f"service{n}" for n in range(1, 5)}
DEFAULT_INTERNAL_URL = "http://127.0.0.1:8081"
DEFAULT_MAIL_FROM = "Quartet <no-reply@quartet.invalid>"
_SITE = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
_INTERNAL_URL = re.compile(r"(http://[^/?#@:]+(:[0-9]{1,5})?/?|unix:/[^?#]+)")
_ORIGIN = r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?"
_ORIGINS = re.compile(rf"({_ORIGIN}([, ]+{_ORIGIN})*)?")
_MOST = 1_000_000
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_UNREPEATED = {"SMTP_URL"}  # a refusal does not show the value, because it may hold a password


class SettingsError(Exception):
    """Settings are missing or make no sense.

    reasons: a text for each of them that names it and says what is accepted.
    """

    @property
    def reasons(self):
        return self.args

    def __str__(self):
        return "; ".join(self.reasons)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one service is told about the place where it runs.

    name: `microservice1` to `microservice4`. database_url: libpq's URL, without the password.
    secret: what fingerprints and cursors are derived from, this service's own; it outlives keys.
    revocations_file: where the worker keeps the list of revoked tokens; see chassis.revocations.
    internal_url: where the internal listener is, `http://HOST[:PORT]` or `unix:PATH`. connections:
    how many connections to its database each process may hold. processes: how many serve public
    requests; one more serves internal ones only. threads: how many each has. mail_from: whom
    e-mails come from, an address or `Name <address>`. images_dir: the folder from which Nginx
    serves images. public_url: the site whose pages take the codes of e-mails, or "".
    cors_origins: whose pages may call the API from a browser, with commas between; Nginx reads it
    (nginx/conf.d/cors.conf). unconfirmed_emails_per_day: how many an unconfirmed address gets.
    orders_per_minute, edits_per_minute: of one customer, None: as many as they like.
    notifications_kept_days (sent or failed), suppressed_notifications_kept_days: None: for ever.
    notify_socket: see chassis.notify. crash_point, crash_share: see chassis.crash.
    """

    name: str
    database_url: str
    jwks_file: Path
    signing_key_file: Path
    secret: str = field(repr=False)
    revocations_file: Path | None = None
    database_password: str = field(default="", repr=False)
    internal_url: str = DEFAULT_INTERNAL_URL
    currency: str = "EUR"
    log_level: str = "INFO"
    connections: int = 3
    threads: int = 4
    processes: int = 2
    registration: str = "open"
    smtp_url: str = field(default="", repr=False)
    mail_from: str = DEFAULT_MAIL_FROM
    public_url: str = ""
    cors_origins: str = ""
    unconfirmed_emails_per_day: int = 20
    images_dir: Path | None = None
    orders_per_minute: int | None = None
    edits_per_minute: int | None = None
    notifications_kept_days: int | None = None
    suppressed_notifications_kept_days: int | None = None
    notify_socket: str = ""
    crash_point: str = ""
    crash_share: float = 1.0

    @property
    def notifications_kept(self):
        """How long notifications are kept that were sent or have failed, as PostgreSQL writes an
        interval; None: for ever."""
        return _interval(self.notifications_kept_days, "days")

    @property
    def suppressed_notifications_kept(self):
        """The same of suppressed notifications."""
        return _interval(self.suppressed_notifications_kept_days, "days")

    @property
    def prefix(self):
        """Where Nginx mounts this service: `/api/service1`."""
        return prefix_of(self.name)


@dataclass(frozen=True, slots=True)
class Owner:
    """As whom migrations connect. database_url: libpq's URL, with the owner's name.

    audit_kept: how long audit entries are kept, as PostgreSQL writes an interval; None: for ever.
    """

    database_url: str
    database_password: str = field(repr=False)
    audit_kept: str | None = None
    crash_point: str = ""  # a command never dies on purpose


def prefix_of(name):
    """Return the path under which a service is reached, `/api/service2` for `microservice2`."""
    return f"/api/{SERVICES[name]}"


def owner_of(name):
    """Return the role that owns the tables of a service, `microservice2_owner`."""
    return f"{name}_owner"


def _interval(count, unit):
    return None if count is None else f"{count} {unit}"


def load(name):
    """Read the settings of the service called `name`. Raises SettingsError."""
    try:
        with _reading() as env:
            return Settings(
                name=name,
                database_url=env.str("DATABASE_URL"),
                database_password=_secret(env, "DATABASE_PASSWORD_FILE"),
                jwks_file=env.path("JWKS_FILE"),
                signing_key_file=env.path("SIGNING_KEY_FILE"),
                secret=_required_secret(env, "SECRET_FILE"),
                revocations_file=env.path("REVOCATIONS_FILE"),
                internal_url=_internal_url(env),
                images_dir=env.path("IMAGES_DIR", None),
                notify_socket=env.str("NOTIFY_SOCKET", ""),
                crash_point=env.str("CRASH_POINT", ""),
                crash_share=env.float("CRASH_SHARE", 1.0),
                **_choices(env),
            )
    except SettingsError as error:
        # without the way to it: this one line is what operators look for in the log
        reasons = "; ".join(error.reasons)
        raise SettingsError(f"{name}: {reasons}. See the table of settings in README.md.") from None


def load_owner(name):
    """Read as whom the owner of that service's tables connects. Raises SettingsError."""
    try:
        with _reading() as env:
            url = env.str("DATABASE_URL")
            password = _secret(env, "DATABASE_OWNER_PASSWORD_FILE")
            audit_kept = _interval(_audit_kept_months(env), "months")
    except SettingsError as error:
        reasons = "; ".join(error.reasons)
        raise SettingsError(f"{name}: {reasons}. Only scripts connect as the owner.") from None
    return Owner(with_role(url, owner_of(name)), password, audit_kept)


def check_choices():
    """Check those settings that an operator chooses, and no file. Raises SettingsError."""
    with _reading() as env:
        _choices(env)
        _audit_kept_months(env)


@contextmanager
def _reading():
    """Give an Env. At the end, raise SettingsError with a reason for each wrong setting."""
    env = Env(eager=False)
    try:
        yield env
        env.seal()
    except EnvValidationError as error:
        reasons = [_reason(name, messages) for name, messages in error.error_messages.items()]
        raise SettingsError(*reasons) from None
    except (EnvError, OSError) as error:
        raise SettingsError(str(error)) from None


def _reason(name, messages):
    value = os.environ.get(name)
    if value is None:
        return f"{name} is not set"
    given = "" if name in _UNREPEATED else f", and is {value!r}"
    return f"{name} {messages[0]}{given}"


def _choices(env):
    """What an operator may choose, as arguments of Settings."""
    return {
        "currency": _text(env, "CURRENCY", "EUR", _is_currency, "three capital letters, as EUR"),
        "log_level": _one_of(env, "LOG_LEVEL", "INFO", *_LOG_LEVELS),
        "connections": _number(env, "DATABASE_CONNECTIONS", 3, most=64),
        "threads": _number(env, "THREADS", 4, most=64),
        "processes": _number(env, "PROCESSES", 2, most=64),
        "registration": _one_of(env, "REGISTRATION", "open", "open", "admin"),
        "smtp_url": _smtp_url(env),
        "mail_from": _mail_from(env),
        "public_url": _public_url(env),
        "cors_origins": _cors_origins(env),
        "unconfirmed_emails_per_day": _number(env, "UNCONFIRMED_EMAILS_PER_DAY", 20),
        "orders_per_minute": _limit(env, "ORDERS_PER_MINUTE", 120),
        "edits_per_minute": _limit(env, "EDITS_PER_MINUTE", 30),
        "notifications_kept_days": _limit(env, "NOTIFICATIONS_KEPT_DAYS", 180, least=30),
        "suppressed_notifications_kept_days": _limit(
            env, "SUPPRESSED_NOTIFICATIONS_KEPT_DAYS", None, least=30
        ),
    }


def _audit_kept_months(env):
    return _limit(env, "AUDIT_KEPT_MONTHS", None, least=24)


def with_role(database_url, role):
    """Return libpq's URL with another role in it, which may be the same."""
    parts = urlsplit(database_url)
    return parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()


def _text(env, name, default, is_sound, accepted):
    """Return a text. accepted: completes the sentence "NAME must be"."""

    def validate(value):
        if not is_sound(value):
            raise ValidationError(f"must be {accepted}")

    return env.str(name, default, validate=validate)


def _one_of(env, name, default, *values):
    accepted = f"{', '.join(values[:-1])} or {values[-1]}"
    return _text(env, name, default, values.__contains__, accepted)


def _number(env, name, default, least=1, most=_MOST):
    """Return a whole number within the bounds."""
    accepted = f"a whole number from {least} to {most}"
    value = _text(env, name, default, lambda text: _is_number(text, least, most), accepted)
    return None if value is None else int(value)


def _limit(env, name, default, least=1):
    """Return a whole number, or None if the setting is empty: no limit, or for ever."""
    return _number(env, name, default, least) if env.str(name, None) != "" else None


def _is_number(text, least, most):
    return text.isascii() and text.isdecimal() and len(text) <= 9 and least <= int(text) <= most


def _is_currency(text):
    return re.fullmatch(r"[A-Z]{3}", text)


def _secret(env, name):
    file = env.path(name, None)
    return file.read_text(encoding="utf-8").strip() if file else ""


def _required_secret(env, name):
    file = env.path(name)
    secret = file.read_text(encoding="utf-8").strip() if file else ""
    if file and not secret:
        raise EnvError(f"the file that {name} names is empty")
    return secret


def _internal_url(env):
    accepted = "like http://127.0.0.1:8081 or unix:/run/folder/name.sock"
    return _text(env, "INTERNAL_URL", DEFAULT_INTERNAL_URL, _INTERNAL_URL.fullmatch, accepted)


def _smtp_url(env):
    accepted = (
        "like smtp://[user:password@]host[:port], smtps://host or "
        "file:///folder, with what is special in a password percent-encoded"
    )
    return _text(env, "SMTP_URL", "", _is_smtp_url, accepted)


def _is_smtp_url(url):
    try:
        parts = urlsplit(url)
        place = parts.path if parts.scheme == "file" else parts.hostname
        return not url or parts.scheme in ("smtp", "smtps", "file") and place and parts.port != 0
    except ValueError:
        return False


def _mail_from(env):
    accepted = "like shop@example.com or Shop <shop@example.com>, with ASCII before the @"
    return _text(env, "MAIL_FROM", DEFAULT_MAIL_FROM, _is_sender, accepted)


def _is_sender(text):
    """A mail server without SMTPUTF8 takes no e-mail from a sender that is not ASCII."""
    try:
        return text.isprintable() and sendable(parseaddr(text)[1]).isascii()
    except ValueError:
        return False


def _public_url(env):
    accepted = "like https://shop.example or https://shop.example/path"
    url = _text(env, "PUBLIC_URL", "", lambda url: not url or _SITE.fullmatch(url), accepted)
    return url and url.rstrip("/")


def _cors_origins(env):
    accepted = "like https://shop.example, without a path, several with a comma between"
    return _text(env, "CORS_ORIGINS", "", _ORIGINS.fullmatch, accepted)


def main():
    """Check them: all that `microservice3` has, or without a name those an operator chooses.

    Exit status 1 if any is refused, each on a line of its own.
    """
    try:
        if len(sys.argv) > 1:
            load(sys.argv[1])
        else:
            check_choices()
    except SettingsError as error:
        sys.exit("\n".join(error.reasons))


if __name__ == "__main__":
    main()
