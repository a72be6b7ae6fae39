"""Errors that this service returns, each a fact with a stable code."""

from chassis.errors import (
    Conflict,
    Forbidden,
    Problem,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)


class UsernameTaken(Conflict):
    code, title = "username_taken", "Another account has this username"


class EmailTaken(Conflict):
    code, title = "email_taken", "Another account has this e-mail address"


class NothingToConfirm(Conflict):
    code, title = "nothing_to_confirm", "Every address of this account is confirmed"


class BadCode(Problem):
    status, code = 422, "bad_code"
    title = "The code is unknown, used, expired, or for an address that was replaced"


class LastAdmin(Conflict):
    code, title = "last_admin", "The last administrator can be neither deleted nor demoted"


class NotEnoughPoints(Conflict):
    """For a redemption, `requested` and `balance` say how many are wanted and can be spent."""

    code, title = "not_enough_points", "There are not enough points"


class TooLate(Conflict):
    code, title = "too_late", "The order has been given up"


class BadCredentials(Unauthenticated):
    code, title = "bad_credentials", "These credentials are not valid"


class WrongPassword(Forbidden):
    code, title = "wrong_password", "The current password is missing or wrong"


class TooManyAttempts(TooManyRequests):
    code, title = "too_many_attempts", "Too many wrong passwords: wait before the next try"

    def __init__(self, pause_seconds):
        super().__init__()
        self.pause_seconds = pause_seconds


class CodesSent(TooManyRequests):
    code, title = "codes_sent", "Several codes went to this address: use one, or ask again later"

    def __init__(self, pause_seconds):
        super().__init__()
        self.pause_seconds = pause_seconds


class PasswordsBusy(Unavailable):
    title = "Too many passwords are being checked at this moment"
