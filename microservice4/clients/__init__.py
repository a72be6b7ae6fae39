"""The mail server, in this service's words: it takes an e-mail, refuses it for good, or defers it.

Where it is says SMTP_URL: `smtp://[user:password@]host[:port]`, `smtps://...`, or `file:///folder`
for a folder that stands in for a server. While it is away, one e-mail at a time is its probe.
"""

from urllib.parse import urlsplit

from chassis import service
from chassis.errors import NotTried
from chassis.guard import MAIL_SERVER
from microservice4.clients import folder, smtp
from microservice4.clients.composing import compose
from microservice4.errors import MailDeferred, MailRefused, MailServerAway


def send_mail(notification):
    """Hand an e-mail over. It is taken, or one of these is raised:

    - MailRefused: it will never be taken.
    - MailDeferred: it may be taken later.
    - MailServerAway: no e-mail would be taken.
    - NotTried: the mail server was away just now, so it was not asked.
    """
    settings = service.current().settings
    message = compose(notification, settings.mail_from)
    guard = service.current().guards[MAIL_SERVER]
    if seconds := guard.breaker.seconds_shut():
        guard.not_called("circuit open")
        raise _Shut(seconds)
    try:
        _hand_over(notification, message, urlsplit(settings.smtp_url))
    except MailServerAway:
        guard.failed()
        raise
    except (MailRefused, MailDeferred):
        guard.breaker.succeeded()
        raise
    guard.breaker.succeeded()


class _Shut(NotTried):
    def __init__(self, seconds):
        super().__init__("the mail server is away")
        self.pause_seconds = seconds


def _hand_over(notification, message, server):
    if server.scheme == "file":
        folder.write(server, f"{notification.id}-{notification.event_type}.eml", message)
    elif server.hostname:
        smtp.send(server, message)
    else:
        raise MailServerAway("SMTP_URL does not say where the mail server is")
