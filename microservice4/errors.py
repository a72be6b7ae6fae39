"""Errors this service returns, and errors it receives from the mail server."""

from chassis.errors import Conflict, Unavailable


class NotFailed(Conflict):
    code, title = "not_failed", "Only a notification that has failed can be tried again"
    advice = "Read the notification: its `status` says what became of it."


class CodeForgotten(Conflict):
    code = "code_forgotten"
    title = "The code of this e-mail is deleted: the user has to ask for another one"
    advice = "Let the user ask for another code."


class MailRefused(Exception):
    """This e-mail will never be taken as it is. str(): the reason, without the address."""


class MailServerUnavailable(Unavailable):
    """The mail server has not taken the e-mail; later it may."""

    title = "The mail server did not take the e-mail"
