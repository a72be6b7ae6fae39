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
    advice = "Choose another username."


class EmailTaken(Conflict):
    code, title = "email_taken", "Another account has this e-mail address"
    advice = "Use another address, or sign in to the account that has it."


class NothingToConfirm(Conflict):
    code, title = "nothing_to_confirm", "Every address of this account is confirmed"
    advice = "Nothing is left to do."


class BadCode(Problem):
    status, code = 422, "bad_code"
    title = "The code is unknown, used, expired, or for an address that was replaced"
    advice = "Ask for a new code, and use the newest e-mail."


class LastAdmin(Conflict):
    code, title = "last_admin", "The last administrator can be neither deleted nor demoted"
    advice = "Make another user an administrator first."


class NotEnoughPoints(Conflict):
    """For a redemption, `requested` and `balance` say how many are wanted and can be spent."""

    code, title = "not_enough_points", "There are not enough points"
    advice = "Read the user's `points_balance`, and take no more than that."


class TooLate(Conflict):
    code, title = "too_late", "The order has been given up"
    advice = "Do not repeat the request."


class BadCredentials(Unauthenticated):
    code, title = "bad_credentials", "These credentials are not valid"
    advice = "Ask the user for the username and the password."


class WrongPassword(Forbidden):
    code, title = "wrong_password", "The current password is missing or wrong"
    advice = "Ask the user for it, and send it as `current_password`."


class TooManyAttempts(TooManyRequests):
    code, title = "too_many_attempts", "Too many wrong passwords: wait before the next try"
    advice = (
        "Wait for as many seconds as `Retry-After` says. No password is checked within a wait. An "
        "account has 10 free tries in a row, an address 100. Each further wrong password doubles "
        "the wait, from 1 s up to 300 s. An hour without a try ends the count. An address from "
        "which the account has signed in within 30 days has a count of its own."
    )

    def __init__(self, pause_seconds):
        super().__init__()
        self.pause_seconds = pause_seconds


class CodesSent(TooManyRequests):
    code, title = "codes_sent", "Several codes went to this address: use one, or ask again later"
    advice = "Use a code that was sent, or wait for as many seconds as `Retry-After` says."

    def __init__(self, pause_seconds):
        super().__init__()
        self.pause_seconds = pause_seconds


class PasswordsBusy(Unavailable):
    title = "Too many passwords are being checked at this moment"
    advice = "Wait for as many seconds as `Retry-After` says, then try again."
