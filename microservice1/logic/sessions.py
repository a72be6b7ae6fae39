"""Sessions: a password opens one, a refresh token keeps it open, an access token acts in it.

Access tokens are believed by every service until they expire, 10 minutes later, whatever becomes
of the user; refresh tokens end with the session. Of these only hashes are stored.
"""

import hashlib
import secrets

from chassis import service
from chassis.database import transaction
from chassis.tokens import USER_TOKEN_SECONDS
from microservice1 import database
from microservice1.errors import BadCredentials
from microservice1.logic import passwords
from microservice1.logic.accounts import present

REFRESH_TOKEN_DAYS = 30


def sign_in(username, password):
    """Open a session. Returns its tokens; raises BadCredentials or PasswordsBusy."""
    with transaction() as tx:
        user = database.find_user_called(tx, username)
    if not passwords.matches(password, user and user.password_hash):
        raise BadCredentials
    password_hash = user.password_hash
    if passwords.is_outdated(password_hash):
        password_hash = passwords.hashed(password)
    refresh_token = secrets.token_urlsafe(32)
    present_user = _open(user, password_hash, refresh_token)
    if present_user is None:
        return sign_in(username, password)
    return _tokens(present_user, refresh_token)


def refresh(refresh_token):
    """Return a new access token, with the role that the user has now. Raises BadCredentials."""
    with transaction() as tx:
        user = database.find_token_holder(tx, _hash_of(refresh_token))
    if user is None:
        raise BadCredentials("The refresh token is unknown, expired or revoked")
    return _tokens(user, refresh_token)


def sign_out(refresh_token):
    """End the session; one that is over already stays so."""
    with transaction() as tx:
        database.delete_refresh_token(tx, _hash_of(refresh_token))


def access_token_of(username):
    """Return an access token of that user without a password: for who runs the service."""
    with transaction() as tx:
        return _access_token(present(database.find_user_called(tx, username)))


def forget_expired():
    with transaction() as tx:
        database.delete_expired_refresh_tokens(tx)


def _open(user, password_hash, refresh_token):
    """Store a session, and the hash of the password if it is a better one.

    Returns the user as they are now, or None if the password that was checked is theirs no longer.
    """
    with transaction() as tx:
        found = database.lock_user(tx, user.id)
        if found is None or found.password_hash != user.password_hash:
            return None
        if password_hash != found.password_hash:
            database.update_password_hash(tx, user.id, password_hash)
        database.insert_refresh_token(
            tx, user.id, token_hash=_hash_of(refresh_token), days=REFRESH_TOKEN_DAYS
        )
        return found


def _tokens(user, refresh_token):
    return {
        "access_token": _access_token(user),
        "token_type": "Bearer",
        "expires_in": USER_TOKEN_SECONDS,
        "refresh_token": refresh_token,
    }


def _access_token(user):
    return service.current().signer.user_token(user.id, user.role)


def _hash_of(refresh_token):
    return hashlib.sha256(refresh_token.encode()).digest()
