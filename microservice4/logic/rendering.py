"""An e-mail from its template: `templates/<type of event>.txt`, the subject in its first line."""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chassis import wire


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    body: str


def render(news, contact):
    """Return the Letter that tells a contact what happened."""
    facts = wire.loads(news.facts)
    template = _TEMPLATES.get_template(f"{news.event_type}.txt")
    greeting = _one_line(contact.full_name or "") or contact.username
    text = template.render(facts, greeting=greeting)
    head, _, body = text.partition("\n")
    return Letter(_one_line(head.removeprefix("Subject:")), body.lstrip("\n"))


def _one_line(text):
    """Text from elsewhere with every run of white space made one space."""
    return " ".join(text.split())


def _amount(value):
    return f"{value:.2f}"


# Plain text: there is nothing to escape.
_TEMPLATES = Environment(
    autoescape=False,  # noqa: S701
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters.update(one_line=_one_line, amount=_amount)
