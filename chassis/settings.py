"""Settings come from the environment, are read here and nowhere else, and are complete or refused.

A secret is in a file that `NAME_FILE` names, never in a variable. The exception is SMTP_URL, which
may hold the password for the mail server.
"""

import re
import sys
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from environs import Env, EnvError, validate

SERVICES = {f"microservice{n}": f"service{n}" for n in range(1, 5)}
DEFAULT_INTERNAL_URL = "http://127.0.0.1:8081"
DEFAULT_MAIL_FROM = "Quartet <no-reply@quartet.invalid>"
_SITE = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
_ORIGIN = r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?"
_ORIGINS = re.compile(rf"({_ORIGIN}([, ]+{_ORIGIN})*)?")
_CURRENCY = validate.Regexp(r"[A-Z]{3}\Z", error="it must be three capital letters, as EUR")
_INTERNAL_URL = validate.Regexp(
    r"(http://[^/?#@:]+(:[0-9]{1,5})?/?|unix:/[^?#]+)\Z",
    error="it must be like http://127.0.0.1:8081 or unix:/run/folder/name.sock",
)


class SettingsError(Exception):
    """A setting is missing or makes no sense. The message names it and says how to mend it."""


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
    env = Env()
    try:
        return Settings(
            name=name,
            database_url=env.str("DATABASE_URL"),
            database_password=_secret(env, "DATABASE_PASSWORD_FILE"),
            jwks_file=env.path("JWKS_FILE"),
            signing_key_file=env.path("SIGNING_KEY_FILE"),
            secret=_required_secret(env, "SECRET_FILE"),
            revocations_file=env.path("REVOCATIONS_FILE"),
            internal_url=env.str("INTERNAL_URL", DEFAULT_INTERNAL_URL, validate=_INTERNAL_URL),
            currency=env.str("CURRENCY", "EUR", validate=_CURRENCY),
            log_level=env.str(
                "LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
            ),
            connections=env.int("DATABASE_CONNECTIONS", 3, validate=validate.Range(min=1, max=64)),
            threads=env.int("THREADS", 4, validate=validate.Range(min=1)),
            processes=env.int("PROCESSES", 2, validate=validate.Range(min=1)),
            registration=env.str(
                "REGISTRATION", "open", validate=validate.OneOf(["open", "admin"])
            ),
            smtp_url=_smtp_url(env),
            mail_from=_mail_from(env),
            public_url=_public_url(env),
            cors_origins=_cors_origins(env),
            unconfirmed_emails_per_day=env.int(
                "UNCONFIRMED_EMAILS_PER_DAY", 20, validate=validate.Range(min=1)
            ),
            images_dir=env.path("IMAGES_DIR", None),
            orders_per_minute=_count(env, "ORDERS_PER_MINUTE", 120),
            edits_per_minute=_count(env, "EDITS_PER_MINUTE", 30),
            notifications_kept_days=_count(env, "NOTIFICATIONS_KEPT_DAYS", 180, least=30),
            suppressed_notifications_kept_days=_count(
                env, "SUPPRESSED_NOTIFICATIONS_KEPT_DAYS", None, least=30
            ),
            notify_socket=env.str("NOTIFY_SOCKET", ""),
            crash_point=env.str("CRASH_POINT", ""),
            crash_share=env.float("CRASH_SHARE", 1.0),
        )
    except (EnvError, OSError) as error:
        # without the way to it: this one line is what operators look for in the log
        reason = f"{name}: {error}. See the table of settings in README.md."
        raise SettingsError(reason) from None


def load_owner(name):
    """Read as whom the owner of that service's tables connects. Raises SettingsError."""
    env = Env()
    try:
        url = env.str("DATABASE_URL")
        password = _secret(env, "DATABASE_OWNER_PASSWORD_FILE")
        audit_kept = _interval(_count(env, "AUDIT_KEPT_MONTHS", None, least=24), "months")
    except (EnvError, OSError) as error:
        raise SettingsError(f"{name}: {error}. Only scripts connect as the owner.") from None
    return Owner(with_role(url, owner_of(name)), password, audit_kept)


def with_role(database_url, role):
    """Return libpq's URL with another role in it, which may be the same."""
    parts = urlsplit(database_url)
    return parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()


def _count(env, name, default, least=1):
    """Return a whole number, or None if the setting is empty: no limit, or for ever."""
    if env.str(name, None) == "":
        return None
    return env.int(name, default, validate=validate.Range(min=least, max=1_000_000))


def _secret(env, name):
    file = env.path(name, None)
    return file.read_text(encoding="utf-8").strip() if file else ""


def _required_secret(env, name):
    secret = env.path(name).read_text(encoding="utf-8").strip()
    if not secret:
        raise EnvError(f"the file that {name} names is empty")
    return secret


def _smtp_url(env):
    """Refuse what cannot be one; the URL itself is not repeated, for it may hold a password."""
    url = env.str("SMTP_URL", "")
    if not url:
        return url
    try:
        parts = urlsplit(url)
        place = parts.path if parts.scheme == "file" else parts.hostname
        sound = parts.scheme in ("smtp", "smtps", "file") and place and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise EnvError(
            "SMTP_URL must be like smtp://[user:password@]host[:port], smtps://host or "
            "file:///folder, with what is special in a password percent-encoded"
        )
    return url


def _mail_from(env):
    sender = env.str("MAIL_FROM", DEFAULT_MAIL_FROM)
    name, _, domain = parseaddr(sender)[1].rpartition("@")
    if not name or not domain or not sender.isprintable():
        raise EnvError("MAIL_FROM must be like shop@example.com or Shop <shop@example.com>")
    return sender


def _public_url(env):
    url = env.str("PUBLIC_URL", "")
    if url and not _SITE.fullmatch(url):
        raise EnvError("PUBLIC_URL must be like https://shop.example or https://shop.example/path")
    return url.rstrip("/")


def _cors_origins(env):
    origins = env.str("CORS_ORIGINS", "")
    if not _ORIGINS.fullmatch(origins):
        raise EnvError(
            "CORS_ORIGINS must be like https://shop.example, without a path, several with a comma "
            "between"
        )
    return origins


def main():
    """Check them: `python -m chassis.settings microservice3`. Exit status 1 if they are refused."""
    try:
        load(sys.argv[1])
    except SettingsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
