"""Errors this service returns, and errors it receives from the mail server."""

from chassis.errors import Conflict, NotTried


class NotFailed(Conflict):
    code = "not_failed"
    title = "Only a notification that is queued or has failed can be tried again"
    advice = "Read the notification: its `status` says what became of it."


class NotQueued(Conflict):
    code, title = "not_queued", "Only a notification that is queued can be given up"
    advice = "Read the notification: its `status` says what became of it."


class CodeForgotten(Conflict):
    code = "code_forgotten"
    title = "The code of this e-mail is deleted: the user has to ask for another one"
    advice = "Let the user ask for another code."


class MailRefused(Exception):
    """This e-mail will never be taken as it is. str(): the reason, without the address."""


class MailDeferred(Exception):
    """The mail server has not taken this e-mail; later it may. str(): as of MailRefused."""


class MailServerAway(NotTried):
    """There is no mail server, or it does not want us, whatever the e-mail."""

    title = "The mail server takes no e-mails"
