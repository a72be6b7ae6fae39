"""An e-mail from its template: `templates/<type of event>.txt`, the subject in its first line."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chassis import wire

NEUTRAL_GREETING = "Hello"
PLACE_OF_CODE = "(the code, which only the e-mail shows)"


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    body: str


def render(news, greeting, public_url=""):
    """Return the Letter that tells what happened; a code is left out, and has its place there.

    greeting: its first words. public_url: of the site whose pages take codes, or "" for none.
    """
    facts = wire.loads(news.facts)
    template = _TEMPLATES.get_template(f"{news.event_type}.txt")
    code = news.code and PLACE_OF_CODE
    text = template.render(facts, greeting=greeting, code=code, public_url=public_url)
    head, _, body = text.partition("\n")
    return Letter(_one_line(head.removeprefix("Subject:")), body.lstrip("\n"))


def greeting_of(contact):
    """Return how a user is greeted who is known to read the e-mail."""
    return f"Dear {_one_line(contact.full_name or '') or contact.username}"


def with_code(body, code):
    """Return the body as it is sent."""
    return body if code is None else body.replace(PLACE_OF_CODE, code)


def _one_line(text):
    """Text from elsewhere with every run of white space made one space."""
    return " ".join(text.split())


def _amount(value):
    return f"{value:.2f}"


def _minute(moment):
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d, %H:%M UTC")


# Plain text: there is nothing to escape.
_TEMPLATES = Environment(
    autoescape=False,  # noqa: S701
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters.update(one_line=_one_line, amount=_amount, minute=_minute)
