"""API endpoints. Each one unpacks the request, calls one business function, and returns."""

from chassis.api import Blueprint
from chassis.auth import allow, callers, identity, network, public
from chassis.conditional import conditional
from chassis.events import CONTENT_TYPE
from chassis.idempotent_routes import takes_no_idempotency_key
from chassis.resources import paged
from chassis.service import current
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
_WAIT = (
    "Too many wrong passwords, code `too_many_attempts`. An account has 10 free tries in a row, "
    "an address 100. Then a wait follows each wrong password: 1 s, doubled each time, at most "
    "300 s, as `Retry-After` says. No password is checked within a wait. An hour without a try "
    "ends the count. An address from which the account has signed in within 30 days has a count "
    "of its own"
)

users = Blueprint("users", __name__, url_prefix="/users", description="Accounts and their points")
short = Blueprint("user", __name__, url_prefix="/user", description="Short forms, by username")
tokens = Blueprint("tokens", __name__, url_prefix="/tokens", description="Signing in and out")
revocations = Blueprint("revocations", __name__, url_prefix="/internal/revocations")
confirmations = Blueprint(
    "confirmations", __name__, url_prefix="/confirmations", description="Confirming addresses"
)
password_resets = Blueprint(
    "password_resets", __name__, url_prefix="/password-resets", description="A forgotten password"
)
redemptions = Blueprint("redemptions", __name__, url_prefix="/internal/redemptions")
events = Blueprint("events", __name__, url_prefix="/internal/events")

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
@users.arguments(NewUser)
@users.response(201, UserView)
@users.alt_response(403, description="Only administrators give a role or points")
@users.alt_response(409, description="The username or the e-mail address is taken")
def register_user(body):
    """Register a user"""
    user = registering.register(identity(), **body)
    return user, 201, {"Location": f"{current().settings.prefix}/users/{user.id}"}


@users.route("", methods=["GET"])
@allow("admin")
@users.arguments(UserQuery, location="query")
@users.response(200, UserView(many=True))
def list_users(query):
    """List users"""
    return paged(accounts.list_users(**query))


@users.route("/me", methods=["GET"])
@allow("user")
@conditional
@users.response(200, UserView)
def get_me():
    """Show who is signed in; 404 once the account is deleted"""
    return accounts.get_user(identity(), identity().user_id)


@users.route("/<int:user_id>", methods=["GET"])
@allow("user", "microservice3")
@conditional
@users.response(200, UserView)
def get_user(user_id):
    """Show a user"""
    return accounts.get_user(identity(), user_id)


@short.route("/<username>", methods=["GET"])
@allow("user", "microservice3")
@conditional
@short.response(200, UserView)
def get_user_called(username):
    """Show the user of that name, in any case"""
    return accounts.get_user_called(identity(), username)


@users.route("/<int:user_id>", methods=["PUT"])
@allow("user")
@conditional
@users.arguments(UserFields)
@users.response(200, UserView)
@users.alt_response(403, description="A field for administrators, or not the current password")
@users.alt_response(409, description="A name is taken, or this is the last administrator")
@users.alt_response(429, description=_WAIT)
def replace_user(body, user_id, expected):
    """Write an account anew; a full name that is left out is cleared"""
    return accounts.edit(identity(), network(), user_id, expected, **body)


@users.route("/<int:user_id>", methods=["PATCH"])
@allow("user")
@conditional
@users.arguments(UserChange)
@users.response(200, UserView)
@users.alt_response(403, description="A field for administrators, or not the current password")
@users.alt_response(409, description="A name is taken, or this is the last administrator")
@users.alt_response(429, description=_WAIT)
def change_user(body, user_id, expected):
    """Change some fields of an account"""
    return accounts.edit(identity(), network(), user_id, expected, **body)


@users.route("/<int:user_id>", methods=["DELETE"])
@allow("user")
@conditional
@users.response(204)
@users.alt_response(409, description="This is the last administrator")
def delete_user(user_id, expected):
    """Delete an account, its points and its sessions"""
    accounts.delete(identity(), user_id, expected)


@users.route("/<int:user_id>/confirmation", methods=["POST"])
@allow("user")
@conditional
@users.response(202, UserView)
@users.alt_response(409, description="Nothing is to be confirmed")
@users.alt_response(429, description="Several codes went to this address: wait")
def send_confirmation(user_id):
    """Send a new code to the address that is to be confirmed"""
    return confirming.send_again(identity(), user_id)


@users.route("/<int:user_id>/points", methods=["POST"])
@allow("admin")
@conditional
@users.arguments(PointsChange)
@users.response(200, UserView)
@users.alt_response(409, description="There are not enough points to take")
def adjust_points(body, user_id):
    """Give or take points"""
    return points.adjust(identity(), user_id, **body)


@users.route("/<int:user_id>/promotion", methods=["PUT"])
@allow("admin", "microservice3")
@conditional
@users.response(200, UserView)
def promote_user(user_id, expected):
    """Compute a user's status anew"""
    return points.promote(identity(), user_id, expected)


@short.route("/promote/<username>", methods=["PUT"])
@allow("admin", "microservice3")
@conditional
@short.response(200, UserView)
def promote_user_called(username, expected):
    """Compute the status of the user of that name anew"""
    return points.promote_called(identity(), username, expected)


@tokens.route("", methods=["POST"])
@public
@takes_no_idempotency_key
@tokens.arguments(Credentials)
@tokens.response(200, TokensView)
@tokens.alt_response(401, description="The username or the password is wrong")
@tokens.alt_response(429, description=_WAIT)
@tokens.alt_response(503, description="Too many sign in at this moment")
def sign_in(body):
    """Sign in"""
    return sessions.sign_in(**body, network=network()), NO_STORE


@tokens.route("/refresh", methods=["POST"])
@public
@takes_no_idempotency_key
@tokens.arguments(RefreshToken)
@tokens.response(200, TokensView)
@tokens.alt_response(401, description="The refresh token is unknown, used, expired or revoked")
def refresh_session(body):
    """Get new tokens; the given one works 10 s longer, and used later it ends the session"""
    return sessions.refresh(**body), NO_STORE


@tokens.route("", methods=["DELETE"])
@public
@tokens.arguments(RefreshToken)
@tokens.response(204)
def sign_out(body):
    """Sign out: no refresh token of this session is valid any longer"""
    sessions.sign_out(**body)


@revocations.route("", methods=["GET"])
@callers("microservice2", "microservice3", "microservice4")
@revocations.response(200, RevocationsView)
def list_revocations():
    """List whose access tokens are void although they have not expired"""
    return {"epochs": sessions.revoked()}


@confirmations.route("", methods=["POST"])
@public
@takes_no_idempotency_key
@confirmations.arguments(Confirmation)
@confirmations.response(200, UserView)
@confirmations.alt_response(409, description="Another account has the address by now")
@confirmations.alt_response(422, description="`bad_code`: it is unknown, used or expired")
def confirm_address(body):
    """Confirm an address by the code that was sent to it"""
    return confirming.confirm(**body), NO_STORE


@password_resets.route("", methods=["POST"])
@public
@takes_no_idempotency_key
@password_resets.arguments(PasswordResetRequest)
@password_resets.response(202, PasswordResetRequest)
def ask_for_password_reset(body):
    """Have a code sent, if an account has this address; the answer is the same if none has"""
    resetting.ask(**body)
    return body, NO_STORE


@password_resets.route("", methods=["PUT"])
@public
@password_resets.arguments(PasswordReset)
@password_resets.response(200, UserView)
@password_resets.alt_response(422, description="`bad_code`: it is unknown, used or expired")
@password_resets.alt_response(503, description="Too many passwords are hashed at this moment")
def reset_password(body):
    """Set a password by a code; it confirms the address and ends all sessions"""
    return resetting.reset(**body), NO_STORE


@redemptions.route("/<int:order_id>", methods=["PUT"])
@callers("microservice3")
@redemptions.arguments(RedemptionRequest)
@redemptions.response(200, RedemptionView)
@redemptions.alt_response(409, description="Too few points, or the order was already given up")
def redeem_points(body, order_id):
    """Spend a user's points on an order; only its first call counts, whatever later ones say"""
    return redeeming.redeem(order_id, **body)


@redemptions.route("/<int:order_id>", methods=["DELETE"])
@callers("microservice3")
@redemptions.response(200, RedemptionView)
def refund_points(order_id):
    """Give back what an order has spent; without that, see that it no longer spends any"""
    return redeeming.refund(order_id)


@events.route("", methods=["POST"])
@callers("microservice3")
@events.arguments(OrderEvent(many=True), content_type=CONTENT_TYPE)
@events.response(204)
def receive_events(events):
    """Take in what happened to orders: one event, or a batch"""
    points.receive(events)
