"""What this service refuses, each a fact with a stable code."""

from chassis.errors import Conflict, Forbidden, Unauthenticated, Unavailable


class UsernameTaken(Conflict):
    code, title = "username_taken", "Another account has this username"


class EmailTaken(Conflict):
    code, title = "email_taken", "Another account has this e-mail address"


class LastAdmin(Conflict):
    code, title = "last_admin", "The last administrator can be neither deleted nor demoted"


class NotEnoughPoints(Conflict):
    code, title = "not_enough_points", "Points cannot fall below zero"


class BadCredentials(Unauthenticated):
    code, title = "bad_credentials", "These credentials are not valid"


class WrongPassword(Forbidden):
    code, title = "wrong_password", "The current password is missing or wrong"


class PasswordsBusy(Unavailable):
    title = "Too many passwords are being checked at this moment"
