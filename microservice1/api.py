"""API endpoints. Each one unpacks the request, calls one business function, and returns."""

from chassis.api import Blueprint
from chassis.auth import allow, callers, identity, network, public
from chassis.conditional import conditional
from chassis.errors import Forbidden, NotFound, TooManyRequests
from chassis.events import CONTENT_TYPE
from chassis.idempotent_routes import takes_no_idempotency_key
from chassis.resources import paged
from chassis.service import current
from microservice1.errors import (
    BadCode,
    BadCredentials,
    CodesSent,
    EmailTaken,
    LastAdmin,
    NotEnoughPoints,
    NothingToConfirm,
    PasswordsBusy,
    TooLate,
    TooManyAttempts,
    UsernameTaken,
    WrongPassword,
)
from microservice1.logic import (
    accounts,
    confirming,
    points,
    redeeming,
    registering,
    resetting,
    sessions,
)
from microservice1.schemas import (
    Confirmation,
    Credentials,
    NewUser,
    OrderEvent,
    PasswordReset,
    PasswordResetRequest,
    PointsChange,
    RedemptionRequest,
    RedemptionView,
    RefreshToken,
    RevocationsView,
    TokensView,
    UserChange,
    UserFields,
    UserQuery,
    UserView,
)

NO_STORE = {"Cache-Control": "no-store"}
_USER_ID = [
    {
        "in": "path",
        "name": "user_id",
        "description": "The number of the user, as `GET /users/me` shows it",
        "example": 7,  # 1 is often the operator's own account
    }
]
_USERNAME = [
    {
        "in": "path",
        "name": "username",
        "description": "The username, in any case",
        "example": "ada",
    }
]

users = Blueprint("users", __name__, url_prefix="/users", description="Accounts and their points")
short = Blueprint(
    "users by name",
    __name__,
    url_prefix="/user",
    description="Short forms of three operations above, for clients that know a username",
)
tokens = Blueprint("tokens", __name__, url_prefix="/tokens", description="Signing in and out")
confirmations = Blueprint(
    "confirmations",
    __name__,
    url_prefix="/confirmations",
    description="Confirming e-mail addresses",
)
password_resets = Blueprint(
    "password resets",
    __name__,
    url_prefix="/password-resets",
    description="A new password for a user who forgot it",
)
revocations = Blueprint(
    "revocations",
    __name__,
    url_prefix="/internal/revocations",
    description="Access tokens that ended early",
)
redemptions = Blueprint(
    "redemptions",
    __name__,
    url_prefix="/internal/redemptions",
    description="Points that orders spend",
)
events = Blueprint(
    "events", __name__, url_prefix="/internal/events", description="Events of other services"
)

blueprints = (
    users,
    short,
    tokens,
    confirmations,
    password_resets,
    revocations,
    redemptions,
    events,
)


@users.route("", methods=["POST"])
@short.route("", methods=["POST"])
@allow("anyone")
@conditional
@users.raises(Forbidden, UsernameTaken, EmailTaken, PasswordsBusy)
@users.arguments(NewUser)
@users.response(201, UserView)
def register_user(body):
    """Register a user

    Opens an account. An e-mail welcomes the user and brings a code, which confirms the address.
    Only an administrator may give a `role` or `points`, and what an administrator enters counts as
    confirmed. Where the operator has closed registration, only administrators register users.
    """
    user = registering.register(identity(), **body)
    return user, 201, {"Location": f"{current().settings.prefix}/users/{user.id}"}


@users.route("", methods=["GET"])
@allow("admin")
@users.arguments(UserQuery, location="query")
@users.response(200, UserView(many=True))
def list_users(query):
    """List users

    Lists all accounts by number. The filters find one account by its username or e-mail address,
    or all with a status or a role.
    """
    return paged(accounts.list_users(**query))


@users.route("/me", methods=["GET"])
@allow("user")
@conditional
@users.raises(NotFound)
@users.response(200, UserView)
def get_me():
    """Show who is signed in

    Shows the account of the access token. It is a 404 once the account is deleted.
    """
    return accounts.get_user(identity(), identity().user_id)


@users.route("/<int:user_id>", methods=["GET"], parameters=_USER_ID)
@allow("user", "microservice3")
@conditional
@users.response(200, UserView)
def get_user(user_id):
    """Show a user

    Shows one account. To a customer, the accounts of others do not exist (404).
    """
    return accounts.get_user(identity(), user_id)


@short.route("/<username>", methods=["GET"], parameters=_USERNAME)
@allow("user", "microservice3")
@conditional
@short.response(200, UserView)
def get_user_called(username):
    """Show the user of that name, in any case

    As `GET /users/{user_id}`, for a client that knows the username.
    """
    return accounts.get_user_called(identity(), username)


_ERRORS_OF_A_CHANGE = (
    WrongPassword,
    UsernameTaken,
    EmailTaken,
    LastAdmin,
    TooManyAttempts,
    TooManyRequests,
    PasswordsBusy,
)


@users.route("/<int:user_id>", methods=["PUT"], parameters=_USER_ID)
@allow("user")
@conditional
@users.raises(*_ERRORS_OF_A_CHANGE)
@users.arguments(UserFields)
@users.response(200, UserView)
def replace_user(body, user_id, expected):
    """Write an account anew; a full name that is left out is cleared

    Customers change their own account; a new password needs `current_password`. Only an
    administrator changes a `username` or a `role`. Another password or role ends all sessions of
    the user. Another e-mail address becomes valid once the user has confirmed it.
    """
    return accounts.edit(identity(), network(), user_id, expected, **body)


@users.route("/<int:user_id>", methods=["PATCH"], parameters=_USER_ID)
@allow("user")
@conditional
@users.raises(*_ERRORS_OF_A_CHANGE)
@users.arguments(UserChange)
@users.response(200, UserView)
def change_user(body, user_id, expected):
    """Change some fields of an account

    As PUT, but fields that are left out stay as they are, and `null` clears the full name.
    """
    return accounts.edit(identity(), network(), user_id, expected, **body)


@users.route("/<int:user_id>", methods=["DELETE"], parameters=_USER_ID)
@allow("user")
@conditional
@users.raises(LastAdmin)
@users.response(204)
def delete_user(user_id, expected):
    """Delete an account, its points and its sessions

    Customers delete their own account, administrators any. The username and the e-mail address
    become free. Orders keep what they have written down.
    """
    accounts.delete(identity(), user_id, expected)


@users.route("/<int:user_id>/confirmation", methods=["POST"], parameters=_USER_ID)
@allow("user")
@conditional
@users.raises(NothingToConfirm, CodesSent)
@users.response(202, UserView)
def send_confirmation(user_id):
    """Send a new code to the address that is to be confirmed

    Sends an e-mail with another code. Codes that were sent before stay valid.
    """
    return confirming.send_again(identity(), user_id)


@users.route("/<int:user_id>/points", methods=["POST"], parameters=_USER_ID)
@allow("admin")
@conditional
@users.raises(NotEnoughPoints)
@users.arguments(PointsChange)
@users.response(200, UserView)
def adjust_points(body, user_id):
    """Give or take points

    Enters points in the user's ledger with a reason. The balance cannot be taken below zero. The
    status follows from the points, and the user is told of a higher one by e-mail.
    """
    return points.adjust(identity(), user_id, **body)


@users.route("/<int:user_id>/promotion", methods=["PUT"], parameters=_USER_ID)
@allow("admin", "microservice3")
@conditional
@users.response(200, UserView)
def promote_user(user_id, expected):
    """Compute a user's status anew

    The status follows from the points anyway, so this changes nothing unless it was wrong.
    """
    return points.promote(identity(), user_id, expected)


@short.route("/promote/<username>", methods=["PUT"], parameters=_USERNAME)
@allow("admin", "microservice3")
@conditional
@short.response(200, UserView)
def promote_user_called(username, expected):
    """Compute the status of the user of that name anew

    As `PUT /users/{user_id}/promotion`, for a client that knows the username.
    """
    return points.promote_called(identity(), username, expected)


@tokens.route("", methods=["POST"])
@public
@takes_no_idempotency_key
@tokens.raises(BadCredentials, TooManyAttempts, PasswordsBusy)
@tokens.arguments(Credentials)
@tokens.response(200, TokensView)
def sign_in(body):
    """Sign in

    Opens a session: exchanges a username and a password for an access token and a refresh token.
    Send the access token as `Authorization: Bearer <access token>`; on this page, paste it at
    **Authorize**. A user has at most 50 sessions, and the oldest gives way.
    """
    return sessions.sign_in(**body, network=network()), NO_STORE


@tokens.route("/refresh", methods=["POST"])
@public
@takes_no_idempotency_key
@tokens.raises(BadCredentials)
@tokens.arguments(RefreshToken)
@tokens.response(200, TokensView)
def refresh_session(body):
    """Get new tokens for a refresh token

    The given refresh token works 10 s longer, because the answer may be lost. If it is used later,
    it or its successor was stolen, so the session ends.
    """
    return sessions.refresh(**body), NO_STORE


@tokens.route("", methods=["DELETE"])
@public
@tokens.arguments(RefreshToken)
@tokens.response(204)
def sign_out(body):
    """Sign out: no refresh token of this session is valid any longer

    An access token of the session stays valid until it expires. A refresh token that is unknown or
    ended already is answered in the same way.
    """
    sessions.sign_out(**body)


@revocations.route("", methods=["GET"])
@callers("microservice2", "microservice3", "microservice4")
@revocations.response(200, RevocationsView)
def list_revocations():
    """List whose access tokens are void although they have not expired

    The other services ask for this list every few seconds.
    """
    return {"epochs": sessions.revoked()}


@confirmations.route("", methods=["POST"])
@public
@takes_no_idempotency_key
@confirmations.raises(EmailTaken, BadCode)
@confirmations.arguments(Confirmation)
@confirmations.response(200, UserView)
def confirm_address(body):
    """Confirm an address by the code that was sent to it

    The code alone says whose address it is. If it was sent to a new address, that takes the place
    of the present one.
    """
    return confirming.confirm(**body), NO_STORE


@password_resets.route("", methods=["POST"])
@public
@takes_no_idempotency_key
@password_resets.arguments(PasswordResetRequest)
@password_resets.response(202, PasswordResetRequest)
def ask_for_password_reset(body):
    """Have a code sent for a new password

    If an account has this address, it gets an e-mail with a code. The answer is the same if none
    has, so that nobody learns who has an account.
    """
    resetting.ask(**body)
    return body, NO_STORE


@password_resets.route("", methods=["PUT"])
@public
@password_resets.raises(BadCode, PasswordsBusy)
@password_resets.arguments(PasswordReset)
@password_resets.response(200, UserView)
def reset_password(body):
    """Set a password by a code; it confirms the address and ends all sessions

    Sets the password of the account that the code was sent to. All its access tokens and refresh
    tokens end, so sign in with the new password.
    """
    return resetting.reset(**body), NO_STORE


@redemptions.route("/<int:order_id>", methods=["PUT"])
@callers("microservice3")
@redemptions.raises(NotEnoughPoints, TooLate)
@redemptions.arguments(RedemptionRequest)
@redemptions.response(200, RedemptionView)
def redeem_points(body, order_id):
    """Spend a user's points on an order

    Only the first call for an order counts, whatever later ones say. A repeat gets the same answer.
    """
    return redeeming.redeem(order_id, **body)


@redemptions.route("/<int:order_id>", methods=["DELETE"])
@callers("microservice3")
@redemptions.response(200, RedemptionView)
def refund_points(order_id):
    """Give back what an order has spent

    An order that has not spent any is marked, so that it can no longer spend.
    """
    return redeeming.refund(order_id)


@events.route("", methods=["POST"])
@callers("microservice3")
@events.arguments(OrderEvent(many=True), content_type=CONTENT_TYPE)
@events.response(204)
def receive_events(events):
    """Take in what happened to orders: one event, or a batch

    A confirmed order earns points, and a cancelled one takes them back. An event that comes again
    changes nothing.
    """
    points.receive(events)
