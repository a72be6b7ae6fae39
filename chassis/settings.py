"""Settings come from the environment, are read here and nowhere else, and are complete or refused.

A secret is never in a variable: `NAME_FILE` names the file that holds it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from environs import Env, EnvError, validate

SERVICES = {f"microservice{n}": f"service{n}" for n in range(1, 5)}
DEFAULT_INTERNAL_URL = "http://127.0.0.1:8081"


class SettingsError(Exception):
    """A setting is missing or makes no sense. The message names it and says how to mend it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one service is told about the place where it runs.

    name: `microservice1` to `microservice4`. database_url: libpq's URL, without the password.
    internal_url: where the internal listener is, without a path. connections: how many
    connections to its database each process may hold.
    """

    name: str
    database_url: str
    jwks_file: Path
    signing_key_file: Path
    database_password: str = field(default="", repr=False)
    internal_url: str = DEFAULT_INTERNAL_URL
    currency: str = "EUR"
    log_level: str = "INFO"
    connections: int = 4
    registration: str = "open"
    smtp_url: str = field(default="", repr=False)

    @property
    def prefix(self):
        """Where Nginx mounts this service: `/api/service1`."""
        return prefix_of(self.name)


def prefix_of(name):
    """Return the path under which a service is reached, `/api/service2` for `microservice2`."""
    return f"/api/{SERVICES[name]}"


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
            internal_url=env.str("INTERNAL_URL", DEFAULT_INTERNAL_URL).rstrip("/"),
            currency=env.str("CURRENCY", "EUR", validate=validate.Regexp(r"[A-Z]{3}\Z")),
            log_level=env.str(
                "LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
            ),
            connections=env.int("DATABASE_CONNECTIONS", 4, validate=validate.Range(min=1, max=64)),
            registration=env.str(
                "REGISTRATION", "open", validate=validate.OneOf(["open", "admin"])
            ),
            smtp_url=_smtp_url(env),
        )
    except (EnvError, OSError) as error:
        raise SettingsError(f"{name}: {error}. See the table of settings in README.md.") from error


def _secret(env, name):
    file = env.path(name, None)
    return file.read_text(encoding="utf-8").strip() if file else ""


def _smtp_url(env):
    url = env.str("SMTP_URL", "")
    if url and urlsplit(url).scheme not in ("smtp", "smtps", "file"):
        raise EnvError("SMTP_URL must begin with smtp://, smtps:// or file://")
    return url
