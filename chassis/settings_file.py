"""The file of settings that an operator edits: every setting that may be chosen, with its default.

    python -m chassis.settings_file microservice3 < FILE

prints FILE with what it lacks. Each setting that the service reads gets a line with `##` that says
what it accepts, and one that is not in the file is added as a comment with its default. Lines
of the operator stay as they are, so a second run changes nothing. Settings that scripts
decide, such as DATABASE_URL, are not here. Only the standard library is imported, so that the
system's Python can run it before anything is installed.
"""

import re
import sys
from dataclasses import dataclass

EVERY_SERVICE = ("microservice1", "microservice2", "microservice3", "microservice4")
_USERS, _PRODUCTS, _ORDERS, _NOTIFICATIONS = EVERY_SERVICE


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting that an operator may choose.

    default: as it stands in a file. accepted: which values, and what they do.
    services: the names of those that read it.
    """

    name: str
    default: str
    accepted: str
    services: tuple = EVERY_SERVICE

    @property
    def description(self):
        return f"## {self.name}: {self.accepted}. Default: {self.default or 'empty'}"


CHOICES = (
    Choice("PROCESSES", "2", "1 to 64: processes for public requests (scripts/scale)"),
    Choice("THREADS", "4", "1 to 64: threads of each process (scripts/scale)"),
    Choice("DATABASE_CONNECTIONS", "3", "1 to 64: how many connections each process may hold"),
    Choice("LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR"),
    Choice("AUDIT_KEPT_MONTHS", "", "24 or more: how long audit entries are kept; empty: for ever"),
    Choice(
        "CURRENCY",
        "EUR",
        "three capital letters: the currency of prices and new orders",
        (_PRODUCTS, _ORDERS),
    ),
    Choice("REGISTRATION", "open", "open: to everybody; admin: by administrators only", (_USERS,)),
    Choice(
        "EDITS_PER_MINUTE",
        "30",
        "a number from 1 on: how often one customer may change their profile; empty: no limit",
        (_USERS,),
    ),
    Choice(
        "ORDERS_PER_MINUTE",
        "120",
        "a number from 1 on: how many orders one customer may place; empty: no limit",
        (_ORDERS,),
    ),
    Choice(
        "SMTP_URL",
        "",
        "smtp://[user:password@]host[:port], smtps://host or file:///folder; empty: e-mails wait",
        (_NOTIFICATIONS,),
    ),
    Choice(
        "MAIL_FROM",
        "Quartet <no-reply@quartet.invalid>",
        "the sender of e-mails: an address, or Name <address>",
        (_NOTIFICATIONS,),
    ),
    Choice(
        "PUBLIC_URL",
        "",
        "https://shop.example: the site whose pages /confirm and /reset-password take the codes of "
        "e-mails; empty: no links",
        (_NOTIFICATIONS,),
    ),
    Choice(
        "CORS_ORIGINS",
        "",
        "https://shop.example, several with a comma between: sites whose pages may call the API "
        "from a browser; takes effect by scripts/install; empty: none",
        (_USERS,),
    ),
    Choice(
        "UNCONFIRMED_EMAILS_PER_DAY",
        "20",
        "a number from 1 on: how many e-mails an unconfirmed address gets in a day",
        (_NOTIFICATIONS,),
    ),
    Choice(
        "NOTIFICATIONS_KEPT_DAYS",
        "180",
        "30 or more: how long sent and failed notifications are kept; empty: for ever",
        (_NOTIFICATIONS,),
    ),
    Choice(
        "SUPPRESSED_NOTIFICATIONS_KEPT_DAYS",
        "",
        "30 or more: how long suppressed notifications are kept; empty: for ever",
        (_NOTIFICATIONS,),
    ),
)


def completed(text, service):
    """Return the text of a file of settings with the description of every choice of the service.

    text: the file, or "" for none. A description stands above its setting. A setting that the
    file has neither set nor commented out is added at the end, commented out.
    """
    lines = text.splitlines()
    for choice in CHOICES:
        if service not in choice.services:
            continue
        lines = [line for line in lines if not line.startswith(f"## {choice.name}: ")]
        mention = re.compile(rf"#?\s*{choice.name}=")
        place = next((i for i, line in enumerate(lines) if mention.match(line)), len(lines))
        if place == len(lines):
            lines.append(f'#{choice.name}="{choice.default}"')
        lines.insert(place, choice.description)
    return "".join(f"{line}\n" for line in lines)


def main():
    sys.stdout.write(completed(sys.stdin.read(), sys.argv[1]))


if __name__ == "__main__":
    main()
