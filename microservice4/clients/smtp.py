"""SMTP: one conversation for each e-mail, which ends in time and in one of four ways."""

import re
import smtplib
import ssl
import time
from contextlib import suppress
from urllib.parse import unquote

from chassis import context
from microservice4.clients.composing import domain_of, envelope
from microservice4.errors import MailDeferred, MailRefused, MailServerAway

MAIL_SECONDS = 3.0  # what the worker has beyond it is for writing down how it ended
CONNECT_SECONDS = 1.0  # for each address that the server's name has

_TOO_LARGE = 552  # the one refusal of a sender that is about the e-mail
_LONGEST_REASON = 300


def send(server, message):
    """Return when the server has taken the e-mail. server: the parts of an SMTP_URL. Raises:

    - MailRefused: the server says no (5xx) because of the recipient or the e-mail.
    - MailDeferred: it says later (4xx) because of them, or falls silent after the recipient.
    - MailServerAway: it is not reached, or does not want us (our password, our sender). That can
      be corrected, and then every e-mail still goes out.
    """
    sender, recipient = envelope(message)
    conversation = None
    try:
        conversation = _open(server, domain_of(message))
        _secure(conversation, server)
        if not recipient.isascii() and not conversation.has_extn("smtputf8"):
            raise MailRefused("the mail server takes addresses in ASCII only")
        conversation.send_message(message, sender, [recipient])
    except smtplib.SMTPRecipientsRefused as no:
        raise _verdict(*no.recipients[recipient], recipient) from None
    except smtplib.SMTPDataError as no:
        raise _verdict(no.smtp_code, no.smtp_error, recipient) from None
    except smtplib.SMTPSenderRefused as no:
        if no.smtp_code == _TOO_LARGE:
            raise _verdict(no.smtp_code, no.smtp_error, recipient) from None
        raise _silence(server, no) from None
    except (smtplib.SMTPException, OSError, UnicodeError) as silence:
        has_recipient = conversation is not None and conversation.has_recipient
        raise _silence(server, silence, MailDeferred if has_recipient else MailServerAway) from None
    finally:
        if conversation is not None:
            _close(conversation)


def _open(server, own_name):
    """Connect. own_name: how we introduce ourselves; the default would ask DNS, without limit."""
    place = {"host": server.hostname, "port": server.port or 0}
    how = {"local_hostname": own_name, "timeout": CONNECT_SECONDS}
    if server.scheme == "smtps":
        return _TlsConversation(**place, **how, context=ssl.create_default_context())
    return _Conversation(**place, **how)


def _secure(conversation, server):
    """Encrypt if the server can. The password goes only to a server that proves who it is."""
    conversation.ehlo_or_helo_if_needed()
    if server.scheme == "smtp":
        if conversation.has_extn("starttls"):
            conversation.starttls(context=_tls(verified=bool(server.username)))
            conversation.ehlo()
        elif server.username:
            raise MailServerAway(f"{server.hostname}: no STARTTLS, so no password is sent")
    if server.username:
        conversation.login(unquote(server.username), unquote(server.password or ""))


def _tls(verified):
    """Without a password to protect, any encryption is better than none (RFC 7435)."""
    tls = ssl.create_default_context()
    if not verified:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    return tls


def _close(conversation):
    """Take leave without waiting for an answer: how it ended is known by now."""
    with suppress(smtplib.SMTPException, OSError):
        conversation.putcmd("QUIT")
    conversation.close()


def _verdict(code, words, recipient):
    """What a server's no means for the e-mail, in its words but without the address."""
    reason = f"{code} {words.decode(errors='replace')}"
    reason = re.sub(re.escape(recipient), "recipient", reason, flags=re.IGNORECASE)
    reason = "".join(character if character.isprintable() else " " for character in reason)
    outcome = MailRefused if 500 <= code < 600 else MailDeferred
    return outcome(reason[:_LONGEST_REASON])


def _silence(server, error, outcome=MailServerAway):
    """No verdict. The words of an error may repeat a name or a password; its kind does not."""
    code = getattr(error, "smtp_code", "")
    return outcome(f"{server.hostname}: {type(error).__name__} {code}".rstrip())


class _InTime:
    """Gives each step of a conversation the time that the whole has left.

    has_recipient: whether the server has taken us and our sender, and was told the recipient. What
    comes after that is about the e-mail.
    """

    has_recipient = False

    def __init__(self, *arguments, **named):
        left = context.seconds_left()
        self._end = time.monotonic() + (MAIL_SECONDS if left is None else min(left, MAIL_SECONDS))
        super().__init__(*arguments, **named)

    def rcpt(self, *arguments, **named):
        self.has_recipient = True
        return super().rcpt(*arguments, **named)

    def send(self, s):
        self._hurry()
        super().send(s)

    def getreply(self):
        self._hurry()
        return super().getreply()

    def _hurry(self):
        left = self._end - time.monotonic()
        if left <= 0:
            self.close()
            raise TimeoutError
        if self.sock:
            self.sock.settimeout(left)


class _Conversation(_InTime, smtplib.SMTP):
    pass


class _TlsConversation(_InTime, smtplib.SMTP_SSL):
    pass
