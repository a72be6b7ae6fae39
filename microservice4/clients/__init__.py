"""The mail server, in this service's words: it takes an e-mail, refuses it for good, or is silent.

Where it is says SMTP_URL: `smtp://[user:password@]host[:port]`, `smtps://...`, or `file:///folder`
for a folder that stands in for a server.
"""

from urllib.parse import urlsplit

from chassis import service
from microservice4.clients import folder, smtp
from microservice4.clients.composing import compose
from microservice4.errors import MailServerUnavailable


def send_mail(notification):
    """Hand an e-mail over. Raises MailRefused or MailServerUnavailable; otherwise it is taken."""
    settings = service.current().settings
    server = urlsplit(settings.smtp_url)
    message = compose(notification, settings.mail_from)
    if server.scheme == "file":
        folder.write(server, f"{notification.id}-{notification.event_type}.eml", message)
    elif server.hostname:
        smtp.send(server, message)
    else:
        raise MailServerUnavailable("SMTP_URL does not say where the mail server is")
